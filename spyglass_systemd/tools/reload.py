"""Has a site's app take new code, and waits for what comes of it. Starts and stops nothing."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import notice
from spyglass_systemd.tools import board as boards
from spyglass_systemd.tools.foreign import ForeignError
from spyglass_systemd.tools.status import note
from spyglass_systemd.tools.switch import manager_of
from spyglass_systemd.words.errors import ManagerError
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.protocols.systemctl import Systemctl
    from spyglass_systemd.tools.board import Board
    from spyglass_systemd.tools.places import Site

_LOOK = 0.05  # seconds between two looks
_ASLEEP, _STARTING = {"inactive", "failed"}, {"activating", "deactivating", "maintenance", "refreshing"}

# ### Why not `systemctl reload`?
# Because it does not know. Of Type=notify it returns at once, of notify-reload it returns 0 for a reload that has
# failed, of an app that is asleep it is an error, and of one that is starting it is swallowed. The Master knows, and
# says so in the scoreboard (processes/succession): the number is noted, the signal sent, and a greater one waited for.
#
# ### How long?
# As long as there is a Master. It gives the import its time (`import_timeout`), and its word that the code is bad is as
# good an end as any. When it leaves, the next one loads the new code anyway.


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `said` is for people; `error` the lines of what broke, () where the new code serves.

    `advice` is what a reload does not bring.
    """

    said: str
    error: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def reload(site: Site, tell: Callable[[str], None]) -> Outcome:
    """Returns when the app has taken the new code, or has not. `tell` is called with what is waited for.

    Raises ManagerError, also where nobody can see what comes of it.
    """
    manager = manager_of(site)
    while True:
        unit = manager.show(site.service, "ActiveState", "SubState", "Result", "MainPID")
        if unit["ActiveState"] in _ASLEEP:
            return Outcome("it is not running: the next connection loads the new code")
        if unit["SubState"] == "auto-restart":
            raise ManagerError(
                f"{site.name} has ended ({unit['Result']}), and systemd starts it again", hint=_log_of(site)
            )
        if unit["ActiveState"] not in _STARTING:
            outcome = _reload(site, manager, int(unit["MainPID"]), tell)
            if outcome is not None:
                return outcome
        tell("it is starting, or stopping")
        time.sleep(_LOOK)


def _reload(site: Site, manager: Systemctl, pid: int, tell: Callable[[str], None]) -> Outcome | None:
    """The same for the Master of this number; None where that is gone before it is asked."""
    try:
        master = os.pidfd_open(pid)
    except OSError:  # no such process; 0 is none
        return None
    try:
        before = _board(site, pid)
        try:
            manager.do("kill", "--signal=HUP", "--kill-whom=main", "--", site.service)
        except ManagerError:
            if _gone(master, 0):
                return None
            raise
        while not _gone(master, _LOOK):
            now = _board(site, pid)
            if now.reload_done > before.reloads:
                return _outcome(site, now)
            tell("it is being loaded" if now.reloads > before.reloads else "it has been told")
        return Outcome("it has left meanwhile: the next connection loads the new code")
    finally:
        os.close(master)


def _outcome(site: Site, board: Board) -> Outcome:
    advice = note(site, notice.RESTART_NEEDED)
    if board.reload_result:
        error = note(site, notice.RELOAD_ERROR) or note(site, notice.LAST_ERROR) or ("nobody has said why",)
        kept = "it answers 503 until it works" if board.state is State.FAILED else "the old code serves on"
        return Outcome(kept, error, advice)
    if board.state is State.WATCHING:
        return Outcome("nothing was loaded: the next connection loads the new code", advice=advice)
    return Outcome("the new code serves", advice=advice)


def _board(site: Site, pid: int) -> Board:
    try:
        found = boards.look(str(site.runtime))
    except ForeignError as error:
        raise ManagerError(f"what comes of a reload cannot be seen: {error.message}", hint=_by_hand(site)) from None
    if found is None or found.pid != pid:
        raise ManagerError(
            f"what comes of a reload cannot be seen: process {pid} has no scoreboard in {site.runtime}",
            hint=_by_hand(site),
        )
    return found


def _by_hand(site: Site) -> str:
    user = "--user " if site.places.user else ""
    return f"`systemctl {user}reload {site.service}` asks for one, and {_log_of(site)}"


def _log_of(site: Site) -> str:
    return f"`spyglass logs {site.typed}` says more"


def _gone(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
