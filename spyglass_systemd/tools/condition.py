"""How a site is, from what systemd says of its units and the app of itself: a pure function. Asks nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from spyglass_systemd.tools.board import Board

FINE, NOT_LISTENING, FAILED = 0, 3, 69  # exit codes: systemctl(1) has 3 for a unit that is not active
OFF, DEAF, CRASHED, RESTARTING = "off", "deaf", "crashed", "restarting"  # beside the states of words/states

OF_A_SOCKET = ("LoadState", "ActiveState", "Result", "UnitFileState", "Listen", "ActiveEnterTimestampMonotonic")
OF_A_SERVICE = (
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "StatusText",
    "MemoryCurrent",
    "NeedDaemonReload",
    "ExecMainStatus",
    "StateChangeTimestampMonotonic",
)
_LIMIT = 400  # bytes of what an app says of itself


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that a socket unit listens on. `reachable`: a Unix socket's name is still there."""

    unit: str
    address: str
    active: bool
    reachable: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """`state` is that of the app, or one of OFF, DEAF, CRASHED, RESTARTING.

    `since` is monotonic seconds, None where nobody knows; `says` the app's own words for it. `trouble` is what is wrong
    and what mends it, the worst first. `code` is what a monitor wants: FINE, NOT_LISTENING, FAILED.
    """

    state: str
    since: float | None
    says: str
    code: int
    pid: int
    memory: int | None
    trouble: tuple[tuple[str, str], ...]
    listeners: tuple[Listener, ...]


def judge(
    sockets: Mapping[str, Mapping[str, str]],
    service: Mapping[str, str],
    board: Board | None,
    *,
    systemctl: str,
    typed: str,
    is_there: Callable[[str], bool],
) -> Condition:
    """From the properties of the socket units, by name, the first one first, and of the service.

    `board` is the scoreboard, if the app has one. `systemctl` is how it is called for these units, `typed` names
    the site behind a verb of ours. `is_there` tells whether a path has a socket.
    """
    listeners = tuple(_listeners(sockets, is_there))
    state, since = _state(sockets, service, board)
    deaf = [*_gone(listeners, systemctl), *_closed(sockets, systemctl)]
    active = any(unit["ActiveState"] == "active" for unit in sockets.values())
    faulty = bool(deaf) or state in {State.FAILED.value, CRASHED, RESTARTING}
    return Condition(
        state=state,
        since=since,
        # systemd keeps the last words of an app that has left: they are not about now.
        says="" if state in {OFF, State.ASLEEP.value} else one_line(service["StatusText"], _LIMIT),
        code=FAILED if faulty else FINE if active else NOT_LISTENING,
        pid=_number(service["MainPID"]) or 0,
        memory=_number(service["MemoryCurrent"]),
        trouble=(*deaf, *_ended(state, service, typed), *_stale(service, systemctl)),
        listeners=listeners,
    )


def _state(
    sockets: Mapping[str, Mapping[str, str]], service: Mapping[str, str], board: Board | None
) -> tuple[str, float | None]:
    changed = (_number(service["StateChangeTimestampMonotonic"]) or 0) / 1e6 or None
    active, sub = service["ActiveState"], service["SubState"]
    if active in {"active", "reloading", "activating", "deactivating"} and sub != "auto-restart":
        if board is not None and str(board.pid) == service["MainPID"]:  # else it is that of the one before
            return board.state.value, board.entered_ns / 1e9
        words = {"activating": State.WAKING, "deactivating": State.DRAINING}
        return words.get(active, State.AWAKE).value, changed
    if sub == "auto-restart":
        return RESTARTING, changed
    if any(unit["ActiveState"] == "failed" for unit in sockets.values()):
        return DEAF, changed
    if active == "failed":
        gave_up = service["Result"] == "exit-code" and service["ExecMainStatus"] == str(FAILED)
        return State.FAILED.value if gave_up else CRASHED, changed
    listening = [unit for unit in sockets.values() if unit["ActiveState"] == "active"]
    if not listening:
        return OFF, changed
    began = (_number(listening[0]["ActiveEnterTimestampMonotonic"]) or 0) / 1e6 or None
    return State.ASLEEP.value, max(filter(None, (changed, began)), default=None)


def _listeners(sockets: Mapping[str, Mapping[str, str]], is_there: Callable[[str], bool]) -> list[Listener]:
    found = []
    for name, unit in sockets.items():
        for line in unit["Listen"].splitlines():
            address = line.rpartition(" (")[0]  # `/run/spyglass/blog.sock (Stream)`
            active = unit["ActiveState"] == "active"
            reachable = not active or not address.startswith("/") or is_there(address)
            found.append(Listener(name, address, active, reachable))
    return found


# ### What is wrong, and what mends it


def _gone(listeners: tuple[Listener, ...], systemctl: str) -> list[tuple[str, str]]:
    """Nothing but its socket unit can mend that: it alone binds, and it does not notice."""
    return [
        (
            f"the socket {listener.address} is gone, so nobody can connect, though systemd listens on it",
            f"{systemctl} restart {listener.unit}",
        )
        for listener in listeners
        if not listener.reachable
    ]


def _closed(sockets: Mapping[str, Mapping[str, str]], systemctl: str) -> list[tuple[str, str]]:
    return [
        (
            f"systemd has closed the listener {name}: {unit['Result']}",
            f"{systemctl} reset-failed {name} && {systemctl} start {name}",
        )
        for name, unit in sockets.items()
        if unit["ActiveState"] == "failed"
    ]


def _ended(state: str, service: Mapping[str, str], typed: str) -> list[tuple[str, str]]:
    if state == CRASHED:
        return [(f"its last run ended badly: {service['Result']}", "the next connection starts it anew")]
    if state == RESTARTING:
        return [(f"it ended badly and is started again: {service['Result']}", f"`spyglass logs {typed}` says why")]
    return []


def _stale(service: Mapping[str, str], systemctl: str) -> list[tuple[str, str]]:
    if service["NeedDaemonReload"] != "yes":
        return []
    return [("its units have changed on disk, and systemd has not read them", f"{systemctl} daemon-reload")]


def _number(text: str) -> int | None:
    """A number as systemctl(1) shows it: `[not set]` and the greatest there is are none."""
    return int(text) if text.isascii() and text.isdecimal() and int(text) < 2**64 - 1 else None
