"""A new generation beside the old: for a reload, and for a Template that died. Knows no state of the app."""

from __future__ import annotations

import time

from spyglass_systemd.policy import respawn
from spyglass_systemd.processes.alarm import FOREVER
from spyglass_systemd.protocols import footing, notice, scoreboard
from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.states import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.processes.roster import Generation, WorkerHandle
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.notify import Notifier
    from spyglass_systemd.protocols.scoreboard import Scoreboard

_SETTLE = 1.0  # seconds in which an old worker hears that it shall stop accepting
_LOOK = 0.005  # seconds between two looks at whether it has
_EXIT_FAILED = 69  # EX_UNAVAILABLE, in the scoreboard's header
_ERROR, _WARNING, _NOTICE = 3, 4, 5  # syslog(3)

# ### Why is there a way back?
# Because the old generation does not stop before the new one serves. Code that does not import, a worker that does not
# boot, a settings file with a slip in it: the new Template is thrown away, and nobody outside has noticed.
#
# ### What of a reload that comes during a reload?
# It is remembered, once: the generation that is being loaded may have read the old code.
#
# ### How does whoever asked for a reload learn what came of it?
# From two numbers in the scoreboard's header: how often a Master has begun to load its app anew, and the last of them
# that is done, with its result. He notes the first, sends the signal, and waits until the second is greater: then code
# has been loaded that was read after he had looked. What broke stands in a file beside the scoreboard before the number
# says so. While the app is broken each attempt counts, because that is what a reload is then.
#
# The service manager, where it waits for a reload (Type=notify-reload), waits as long: RELOADING=1 goes out when
# somebody asks, in any state, and READY=1 when what has begun later is done.
#
# ### What does a reload not bring?
# What the Master itself is made of, for a Template is forked from it. A new Python, another environment, our own next
# version are there after a restart only; each reload says so, because a deploy tends to think of the app alone.


class Succession:
    """`at` is when a reload that was asked for, or is needed, is to begin.

    `begin` reads the settings and forks a Template, or says why not; `restore` takes those settings back.
    """

    def __init__(
        self,
        crew: Crew,
        board: Scoreboard,
        log: Log,
        notifier: Notifier,
        *,
        begin: Callable[[], Generation | SpyglassError],
        restore: Callable[[], None],
        post: Callable[[Event], None],
    ) -> None:
        self._crew = crew
        self._board = board
        self._log = log
        self._notifier = notifier
        self._begin = begin
        self._restore = restore
        self._post = post
        self._failures = 0
        self._trouble: SpyglassError | None = None
        self._number = self._settling = 0
        self._asked_at = 0  # the number when somebody asked last
        self._footing = footing.take()
        self._advice = ""
        self._leaving: list[WorkerHandle] = []
        self._settled_by = FOREVER
        self.at = FOREVER

    def ask(self) -> None:
        """Somebody wants a reload: the service manager waits for what begins from here on."""
        self._asked_at = self._number
        self._notifier.reloading(time.monotonic_ns() // 1000)

    def soon(self) -> None:
        """A reload as soon as it can be."""
        self.at = 0.0

    def take(self) -> bool:
        """Whether a reload is due; it is the caller's now."""
        due, self.at = self.at <= time.monotonic(), FOREVER
        return due

    def start(self) -> None:
        """Fork a second Template; the first serves on."""
        if self._crew.roster.successor is not None:
            self.soon()
            return
        self.at = FOREVER
        self.ask()  # also where nobody has: the Template died
        begun = self._begin()
        if isinstance(begun, SpyglassError):
            self._trouble = begun
            self._post(Event.SUCCESSOR_BROKEN)
        else:
            self._crew.roster.successor = begun

    def confirm(self, status: str, trouble: SpyglassError | None) -> None:
        """Nothing is loaded, so whatever is loaded next is new; unless the settings have `trouble`."""
        self.count()
        if trouble is None:
            self._done(self._number, 0, status)
        else:
            self._log.event("reload_failed", _ERROR, trouble.summary)
            self._done(self._number, _EXIT_FAILED, status, trouble.summary)

    def count(self) -> None:
        """The app is about to be loaded once more."""
        self._number += 1
        self._board.header[scoreboard.H_RELOADS] = self._number

    def attempted(self, status: str, trouble: str = "") -> None:
        """The app has been loaded where none was there to go on with, without or with trouble."""
        self._settle(self._number, _EXIT_FAILED if trouble else 0, trouble, status)

    def succeed(self) -> None:
        """The new generation takes over, the old one finishes what it has accepted."""
        roster = self._crew.roster
        if roster.successor is None:
            return  # said by two workers in one turn
        old, roster.current, roster.successor = roster.current, roster.successor, None
        self._failures = 0
        self._settling = self._number
        self._leaving = list(old.workers.values()) if old is not None else []
        self._settled_by = time.monotonic() + _SETTLE
        if old is not None:
            self._crew.retire_generation(old, "reload")

    # ### When is a reload done?
    # When whoever connects from now on meets the new code. The new workers accept, but an old one accepts too until it
    # has read that it shall not; so its row is watched until it says so. One that runs a request cannot say it, and
    # cannot accept either.

    def check(self, alarm: Alarm, status: str) -> None:
        """Whether the old workers have stopped accepting."""
        if self._settled_by == FOREVER:
            return
        accepts = [worker for worker in self._leaving if worker.row.state == row_cells.ACCEPTING and not _held(worker)]
        if not accepts or alarm.due(self._settled_by):
            self._settled_by = FOREVER
            self._leaving = []
            self._done(self._settling, 0, status)
        else:
            alarm.due(alarm.now + _LOOK)

    def discard(self, status: str) -> SpyglassError | None:
        """The new generation is of no use. Returns what broke where there is no old one to go on with."""
        roster = self._crew.roster
        successor, roster.successor = roster.successor, None
        if successor is None and self._trouble is None:  # it served, and its Template died in the same turn
            self.at = 0.0 if roster.current is not None and roster.current.lost else self.at
            return None
        trouble, self._trouble = self._trouble, None
        summary, trace = trouble.summary if trouble is not None else "", ""
        if successor is not None:
            summary, trace = successor.trouble
            self._crew.discard(successor)
        self._restore()
        text = f"{summary}\n{trace.rstrip()}" if trace else summary
        self._log.event("reload_failed", _ERROR, text)
        self._done(self._number, _EXIT_FAILED, status, text)
        current = roster.current
        if current is None or (current.lost and not current.workers):
            return SpyglassError(summary)
        if current.lost and self.at == FOREVER:
            # Its Template is gone, so it cannot replace its workers: it needs a successor, after a pause.
            self._failures += 1
            self.at = time.monotonic() + respawn.pause(self._failures)
        return None

    def _done(self, number: int, result: int, status: str, text: str = "") -> None:
        self._settle(number, result, text, status)
        if not result:
            current = self._crew.roster.current
            self._log.event("reloaded", _NOTICE, generation=current.number if current is not None else 0)

    def _settle(self, number: int, result: int, text: str, status: str) -> None:
        """Reload `number` is done, and so is every one before it; a later one may have been quicker."""
        header = self._board.header
        if number <= header[scoreboard.H_RELOAD_DONE]:
            return
        self._note(notice.RELOAD_ERROR, text if result else "")
        self._advise()
        header[scoreboard.H_RELOAD_RESULT] = result
        header[scoreboard.H_RELOAD_DONE] = number
        if number > self._asked_at:
            self._notifier.reloaded(status)

    def _advise(self) -> None:
        """Say what a restart would bring, when it is something new."""
        changed = ", ".join(footing.changed(self._footing))
        advice, before = (
            f"restart for what has changed and no reload brings: {changed}" if changed else "",
            self._advice,
        )
        if advice != before:
            self._advice = advice
            self._note(notice.RESTART_NEEDED, advice)
            self._log.event("restart_needed", _WARNING, advice or "no more: all is as it was")

    def _note(self, name: str, text: str) -> None:
        if text:
            notice.put(self._board.path, name, f"{text}\n")
        else:
            notice.drop(self._board.path, name)


def _held(worker: WorkerHandle) -> bool:
    """Whether app code runs in the loop that accepts."""
    return worker.kind == "wsgi" and worker.row.busy_since_ns > 0
