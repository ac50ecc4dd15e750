"""The Master: holds the app's life together. It knows listeners, policy and children; it never imports the app."""

from __future__ import annotations

import os
import time

from spyglass_systemd.backends.base import FINAL, LAST_CALL
from spyglass_systemd.policy import quiesce
from spyglass_systemd.processes.alarm import FOREVER
from spyglass_systemd.processes.bulletin import Bulletin
from spyglass_systemd.processes.crew import Crew
from spyglass_systemd.processes.failure import Failure
from spyglass_systemd.processes.loop import Loop
from spyglass_systemd.processes.succession import Succession
from spyglass_systemd.processes.summons import Summons
from spyglass_systemd.processes.vigil import Vigil
from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.states import Event, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.lobby import Lobby
    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.notify import Notifier
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_EXIT_FAILED = 69  # EX_UNAVAILABLE
_NOTICE, _INFO = 5, 6  # syslog(3)

# ### What the Master does not know
# The app. It forks a Template that imports it, and so it can answer for an app that is broken, load new code beside the
# old, let the app go and stay, and prove to the service manager that it lives while the app does what it likes. It
# accepts no connection either, but for the fuse, when there is no app that could.
#
# ### What is below
# The verbs, in the order of an app's life. When each is due is the table's to say (words/states), and that something is
# due the loop's (processes/loop).


class Master(Loop):
    """One app's Master on the given listeners. `run()` returns the exit code.

    `signal_fd` is that of signals.watch(summons.WATCHED). `reread` gives the settings anew (for a reload, a retry);
    `began` is when the process began, in monotonic seconds; `first` is the Template that was forked before this object
    could be made, for a connection on `woken_by`; `lobby` has whom we have accepted; `trouble` is in the configuration.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: tuple[Listener, ...],
        board: Scoreboard,
        log: Log,
        notifier: Notifier,
        *,
        signal_fd: int,
        reread: Callable[[], Settings],
        began: float,
        first: Generation | None = None,
        woken_by: tuple[Listener, ...] = (),
        lobby: Lobby | None = None,
        trouble: SpyglassError | None = None,
    ) -> None:
        super().__init__(listeners, log)
        self._settings = settings
        self._board = board
        self._reread = reread
        self._began = began
        self._first = first
        self._woken_by = woken_by
        post = self._queue.append
        self._crew = Crew(listeners, board, settings, log, post)
        self._failure = Failure(board.path, log, trouble)
        self._succession = Succession(
            self._crew, board, log, notifier, begin=self._begin, restore=self._restore, post=post
        )
        self._vigil = Vigil(
            settings,
            listeners,
            board,
            crew=self._crew,
            failure=self._failure,
            succession=self._succession,
            began=began,
            log=log,
        )
        self._bulletin = Bulletin(
            board, log, notifier, crew=self._crew, vigil=self._vigil, failure=self._failure, began=began
        )
        resize, reload = self._crew.resize, self._succession.ask
        self._summons = Summons(signal_fd, settings.lookout_pid, post, resize=resize, reload=reload)
        self._exit_code = 0
        if trouble is None:
            self._receive(settings, lobby)

    def run(self) -> int:
        """From the first turn to the last; returns the exit code: 0, or 69 for an app that does not start."""
        if self._failure.trouble is not None:
            self._enter(State.WAKING)
            self._queue.append(Event.BROKEN)
        elif self._first is not None:
            self._enter(State.WAKING)
            self._bulletin.woke(self._woken_by, at=self._began)
            self._crew.roster.current = self._crew.adopt(self._first)
        else:
            self._enter(State.WATCHING)
            self._watch()
            self._bulletin.available()
        self._turn_until_asleep()
        self._depart()
        return self._exit_code

    # ### Waking

    def _begin(self) -> Generation | SpyglassError:
        """Fork a Template with the settings as they are now, or say why that cannot be."""
        self._succession.count()
        self._before = self._settings, self._crew.want
        try:
            self._adopt(self._reread())
            return self._crew.begin((*self._summons.descriptors, *self._failure.descriptors, *self._vigil.descriptors))
        except SpyglassError as error:
            return error
        except OSError as error:
            return SpyglassError(f"fork failed: {error.strerror}", hint="see TasksMax= and MemoryMax=")

    def _wake(self) -> None:
        self._failure.retry_at = FOREVER
        if self._crew.roster.current is not None:  # an attempt is under way: once more when it has failed
            self._succession.soon()
            return
        if not self._failure.summary:
            self._bulletin.woke(self._vigil.pending())
        begun = self._begin()
        if isinstance(begun, SpyglassError):
            self._failure.trouble = begun
            self._queue.append(Event.BROKEN)
        else:
            self._crew.roster.current = begun

    def _serve(self) -> None:
        self._bulletin.ready()
        self._failure.mended()
        self._failure.learn(self._listeners, self._crew.roster.current)
        self._succession.attempted(self._bulletin.status())

    def _rouse(self) -> None:
        self._crew.forget_failures()
        self._bulletin.woke(self._vigil.pending())

    # ### Falling asleep

    def _quiesce(self) -> None:
        self._vigil.begin(quiesce.SLEEP)

    def _quiesce_to_doze(self) -> None:
        self._vigil.begin(quiesce.DOZE)

    def _resume(self) -> None:
        self._crew.resume()
        self._log.event("resumed", _INFO)

    def _resume_and_reload(self) -> None:
        self._resume()
        self._reload()

    def _doze(self) -> None:
        self._crew.proof = None
        self._crew.dismiss_all("doze")
        self._log.event("dozed", _INFO)

    def _sleep(self) -> None:
        self._bulletin.slept()

    # ### A broken app

    def _blow(self) -> None:
        self._failure.open(self._listeners, self._settings)
        self._defer()
        self._bulletin.available()  # somebody answers for the listeners: we do

    def _defer(self) -> None:
        roster = self._crew.roster
        self._failure.note(roster.current, at_once=self._succession.take())
        self._board.header[scoreboard.H_FAILURES] = self._failure.attempts
        self._succession.attempted(self._bulletin.status(), self._failure.text)
        for generation in (roster.current, roster.successor):
            if generation is not None:
                self._crew.discard(generation)
        roster.current = roster.successor = None

    def _refuse(self) -> None:
        if self._failure.fuse is not None:
            self._failure.fuse.accept()

    def _recover(self) -> None:
        self._log.event("recovered", _NOTICE, attempts=self._failure.attempts, refused=self._failure.refused)
        self._serve()

    def _give_up(self) -> None:
        self._exit_code = _EXIT_FAILED
        self._bulletin.gave_up()

    # ### A new generation beside the old

    def _reload(self) -> None:
        self._succession.start()

    def _postpone(self) -> None:
        self._succession.soon()

    def _confirm(self) -> None:
        self._succession.confirm(self._bulletin.status(), self._renew(self._reread))

    def _succeed(self) -> None:
        self._succession.succeed()
        self._failure.learn(self._listeners, self._crew.roster.current)
        self._vigil.entered()

    def _discard(self) -> None:
        trouble = self._succession.discard(self._bulletin.status())
        if trouble is not None:
            self._failure.trouble = trouble
            self._queue.append(Event.BROKEN)

    def _watch(self) -> None:
        self._crew.roster.current = None
        self._bulletin.watching(len(self._listeners))

    # ### Stopping

    def _drain(self) -> None:
        self._crew.proof = None
        abandoned = self._summons.abandoned
        self._vigil.drain_over = time.monotonic() + self._settings.drain
        self._bulletin.draining("the Lookout is gone" if abandoned else "told to stop")
        self._crew.drain(LAST_CALL if abandoned else FINAL)
        if abandoned:
            for listener in self._listeners:
                os.close(listener.fd)
            self._listeners = ()

    def _leave(self) -> None:
        self._bulletin.drained()

    def _kill(self) -> None:
        self._bulletin.killed()
        self._crew.kill_all("stopped at once")
