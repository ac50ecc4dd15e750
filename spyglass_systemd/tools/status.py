"""All that is known of a site at this moment: systemd, the scoreboard, the notes beside it, its file. Wakes nobody."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spyglass_systemd.policy.idle import IdlePolicy
from spyglass_systemd.protocols import notice
from spyglass_systemd.tools import board as boards
from spyglass_systemd.tools import condition, foreign, wanted
from spyglass_systemd.tools.condition import OF_A_SERVICE, OF_A_SOCKET, Condition
from spyglass_systemd.tools.foreign import ForeignError
from spyglass_systemd.tools.switch import manager_of, sockets
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spyglass_systemd.tools.board import Board
    from spyglass_systemd.tools.places import Site
    from spyglass_systemd.words.options import Settings

_NOTE_LIMIT = 64 * 1024  # bytes
_LINE_LIMIT = 400  # bytes
_KEPT = ", kept awake by "  # in the Master's STATUS=


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a site. `now` is when, in monotonic seconds.

    `error` is what broke, a line each; `stays` why the app does not fall asleep; `sleeps_in` seconds, None where it
    does not; `enabled` whether it listens after the next boot.
    """

    name: str
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
    listening = {site: sockets(site) for site in sites}
    shown = manager.show_all([unit for units in listening.values() for unit in units], *OF_A_SOCKET)
    services = manager.show_all([site.service for site in sites], *OF_A_SERVICE)
    systemctl = "systemctl --user" if manager.user else "systemctl"
    found = []
    for site, units in listening.items():
        board, trouble = _board(site)
        settings, mistake = _settings(site)
        judged = condition.judge(
            {unit: shown[unit] for unit in units},
            services[site.service],
            board,
            systemctl=systemctl,
            is_there=_is_socket,
        )
        now = time.monotonic()
        found.append(
            Status(
                name=site.name,
                now=now,
                condition=judged,
                board=board,
                enabled=shown[site.socket]["UnitFileState"] == "enabled",
                error=_error(site),
                stays=stays(board, judged.says),
                sleeps_in=sleeps_in(board, settings, now),
                trouble=(*judged.trouble, *trouble, *mistake, *_advice(site)),
            )
        )
    return found


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


def _settings(site: Site) -> tuple[Settings | None, list[tuple[str, str]]]:
    try:
        return wanted.read(site).settings, []
    except SpyglassError as error:
        return None, [(error.message, error.hint)]


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
    flag = " --user" if site.places.user else ""
    return [(line, f"spyglass restart {site.name}{flag}") for line in note(site, notice.RESTART_NEEDED)]


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.lstat(path).st_mode)
    except OSError:
        return False
