"""All that is known of a site at this moment: systemd, the scoreboard, the notes beside it, its file. Wakes nobody."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spyglass_systemd.policy.idle import IdlePolicy
from spyglass_systemd.protocols import notice
from spyglass_systemd.tools import board as boards
from spyglass_systemd.tools import condition, foreign, wanted
from spyglass_systemd.tools.condition import OF_A_SERVICE, OF_A_SOCKET, Condition, Listener
from spyglass_systemd.tools.foreign import ForeignError
from spyglass_systemd.tools.listening import listening
from spyglass_systemd.tools.switch import manager_of, sockets
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ManagerError, SpyglassError, UsageError
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spyglass_systemd.tools.board import Board
    from spyglass_systemd.tools.places import Places, Site
    from spyglass_systemd.tools.wanted import Wanted
    from spyglass_systemd.words.options import Settings

_NOTE_LIMIT = 64 * 1024  # bytes
_LINE_LIMIT = 400  # bytes
_KEPT = ", kept awake by "  # in the Master's STATUS=


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a site. `typed` names it behind a verb; `now` is when, in monotonic seconds.

    `error` is what broke, a line each; `stays` why the app does not fall asleep; `sleeps_in` seconds, None where it
    does not; `enabled` whether it listens after the next boot.
    """

    name: str
    typed: str
    now: float
    condition: Condition
    board: Board | None
    enabled: bool
    error: tuple[str, ...]
    stays: tuple[str, ...]
    sleeps_in: float | None
    trouble: tuple[tuple[str, str], ...]


def look(sites: Sequence[Site]) -> list[Status]:
    """Of each site, in their order; all of one service manager. Raises ManagerError."""
    if not sites:
        return []
    manager = manager_of(sites[0])
    listen = {site: sockets(site) for site in sites}
    shown = manager.show_all([unit for units in listen.values() for unit in units], *OF_A_SOCKET)
    services = manager.show_all([site.service for site in sites], *OF_A_SERVICE)
    systemctl = "systemctl --user" if manager.user else "systemctl"
    found = []
    for site, units in listen.items():
        board, trouble = _board(site)
        asked, mistake = _asked(site)
        judged = condition.judge(
            {unit: shown[unit] for unit in units},
            services[site.service],
            board,
            systemctl=systemctl,
            typed=site.typed,
            is_there=_is_socket,
        )
        if asked and not any(listener.active for listener in judged.listeners):
            judged = replace(judged, listeners=_of_file(asked) or judged.listeners)
        now = time.monotonic()
        found.append(
            Status(
                name=site.name,
                typed=site.typed,
                now=now,
                condition=judged,
                board=board,
                enabled=shown[site.socket]["UnitFileState"] == "enabled",
                error=_error(site),
                stays=stays(board, judged.says),
                sleeps_in=sleeps_in(board, asked.settings if asked else None, now),
                trouble=(*judged.trouble, *trouble, *mistake, *_advice(site)),
            )
        )
    return found


def orphans(places: Places) -> list[Site]:
    """Sites whose file is gone while units of theirs listen, as far as systemd can be asked; by name."""
    try:
        manager = manager_of(places.site("any"))
        shown = manager.show_all(manager.units("spyglass@*.socket"), "ActiveState")
    except ManagerError:
        return []
    active = [unit for unit, properties in shown.items() if properties["ActiveState"] == "active"]
    names = {unit.removeprefix("spyglass@").removesuffix(".socket").partition(".")[0] for unit in active}
    found = []
    for name in sorted(names):
        with contextlib.suppress(UsageError):  # somebody's own instance
            found.append(places.site(name))
    return [site for site in found if not site.config.exists()]


def stays(board: Board | None, says: str) -> tuple[str, ...]:
    """Why an app that is awake does not fall asleep, as far as somebody knows."""
    if board is None or board.state not in {State.AWAKE, State.DOZING, State.QUIESCING}:
        return ()
    names = [name for worker in board.workers for name in worker.lease_names]
    found = [f"lease {name}" for name in names]
    seen = board.seen
    if seen.leases > len(names):
        found.append(f"{seen.leases - len(names)} more leases")
    if seen.in_flight:
        found.append(f"{seen.in_flight} requests under way")
    if seen.open:
        found.append(f"{seen.open} connections open")
    if not names and _KEPT in says:
        found.append(says.partition(_KEPT)[2])
    return tuple(found)


def sleeps_in(board: Board | None, settings: Settings | None, now: float) -> float | None:
    """Seconds until the app may fall asleep if nobody comes; None where that is not so."""
    if board is None or settings is None or board.state not in {State.AWAKE, State.DOZING}:
        return None
    policy = IdlePolicy(settings.idle, settings.doze, settings.min_awake)
    return policy.sleeps_in(board.seen, board.entered_ns / 1e9, board.began_ns / 1e9, now)


def _board(site: Site) -> tuple[Board | None, list[tuple[str, str]]]:
    try:
        return boards.look(str(site.runtime)), []
    except ForeignError as error:
        return None, [(error.message, error.hint)]


def _asked(site: Site) -> tuple[Wanted | None, list[tuple[str, str]]]:
    if not site.config.exists():
        said = f"its file {site.config} is gone, and its units listen on"
        return None, [(said, f"spyglass disable {site.typed}")]
    try:
        return wanted.read(site), []
    except SpyglassError as error:
        return None, [(error.message, error.hint)]


def _of_file(asked: Wanted) -> tuple[Listener, ...]:
    """Where a site will listen for which nobody listens: until it is enabled, its units know nothing of that."""
    try:
        units = listening(asked)
    except SpyglassError:
        return ()
    own = parse_address(f"unix:{asked.site.path}")
    return tuple(
        Listener(unit.unit, address.text.removeprefix("unix:"), active=False)
        for unit in units
        for address in unit.addresses or (own,)
    )


def note(site: Site, name: str) -> tuple[str, ...]:
    """The lines of a note beside the scoreboard (protocols/notice), all printable; () where there is none."""
    try:
        text = foreign.read(str(site.runtime), name, _NOTE_LIMIT).decode(errors="replace")
    except FileNotFoundError:
        return ()
    except ForeignError as error:
        return (one_line(error.summary, _LINE_LIMIT),)
    return tuple(one_line(line, _LINE_LIMIT) for line in text.rstrip("\n").split("\n"))


def _error(site: Site) -> tuple[str, ...]:
    return note(site, notice.LAST_ERROR) or note(site, notice.RELOAD_ERROR)


def _advice(site: Site) -> list[tuple[str, str]]:
    return [(line, f"spyglass restart {site.typed}") for line in note(site, notice.RESTART_NEEDED)]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
