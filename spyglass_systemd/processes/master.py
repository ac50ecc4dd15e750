"""The Master: holds the app's life together. It knows listeners, policy and children; it never imports the app."""

from __future__ import annotations

import os
import select
import time

from spyglass_systemd.backends.base import FINAL, LAST_CALL
from spyglass_systemd.policy import quiesce
from spyglass_systemd.processes.alarm import FOREVER, Alarm
from spyglass_systemd.processes.crew import Crew
from spyglass_systemd.processes.failure import Failure
from spyglass_systemd.processes.summons import Summons
from spyglass_systemd.processes.vigil import Vigil
from spyglass_systemd.protocols import offspring, scoreboard
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.states import TRANSITIONS, Event, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.notify import Notifier
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings
else:
    from _collections import deque  # the builtin under `collections`, which is 2 ms

_EXIT_FAILED = 69  # EX_UNAVAILABLE
_EXTEND = 15.0  # seconds between two extensions of the service manager's patience, each of twice that
_ERROR, _WARNING, _NOTICE, _INFO, _DEBUG = 3, 4, 5, 6, 7  # syslog(3)

# ### What the Master does not know
# The app. It forks a Template that imports it, and so it can answer for an app that is broken, load new code beside the
# old, let the app go and stay, and prove to the service manager that it lives while the app does what it likes. It
# accepts no connection either, but for the fuse, when there is no app that could.
#
# ### One loop, one queue, one table
# A turn of the loop is: look at the deadlines; wait until something can be read or the next deadline is reached; let
# each source say what it has to say. Whatever is decided on the way is an Event in the queue, and only `_step` takes
# events out: it looks into the table (words/states), enters the next state and performs one verb. The verbs are the
# methods below, in the order of an app's life, and none of them asks in which state we are.


class Master:
    """One app's Master on the given listeners. `run()` returns the exit code.

    `signal_fd` is that of `signals.watch`; `reread` gives the settings anew (for a reload, a retry); `began` is when
    the process began, in monotonic seconds; `first` is the Template that was forked before this object could be made,
    for a connection on `woken_by`; `trouble` is what is wrong with the configuration, if something is.
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
        trouble: SpyglassError | None = None,
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._board = board
        self._log = log
        self._notifier = notifier
        self._reread = reread
        self._began = self._woke = began
        self._first = first
        self._woken_by = woken_by
        self._trouble = trouble
        self._queue: deque[Event] = deque()
        self._alarm = Alarm()
        self._crew = Crew(listeners, board, settings, log, self._queue.append)
        self._vigil = Vigil(settings, listeners, board, self._crew, began)
        self._failure = Failure(log)
        self._summons = Summons(signal_fd, settings.lookout_pid, self._queue.append, self._resize)
        self._state = State.WATCHING
        self._exit_code = 0
        self._reload_at = FOREVER  # when a reload that was asked for, or that is needed, is to begin
        self._reload_failures = 0
        self._drain_over = FOREVER
        self._watchdog_at = self._extend_at = 0.0

    def run(self) -> int:
        """From the first turn to the last; returns the exit code: 0, or 69 for an app that does not start."""
        if self._trouble is not None:
            self._enter(State.WAKING)
            self._queue.append(Event.BROKEN)
        elif self._first is not None:
            self._enter(State.WAKING)
            self._log_wake(self._woken_by)
            self._crew.roster.current = self._crew.adopt(self._first)
        else:
            self._enter(State.WATCHING)
            self._watch()
            self._notifier.ready(self._status())
        self._step()
        while not self._asleep:
            self._check()
            if not self._queue:  # else the deadlines are those of a state that is about to be left
                self._wait()
            self._step()
        self._depart()
        return self._exit_code

    @property
    def _asleep(self) -> bool:
        return self._state is State.ASLEEP

    def _step(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            state, do = TRANSITIONS[self._state, event]
            self._log.event("step", _DEBUG, state=self._state.value, event=event.name, to=state.value, do=do.name)
            if state is not self._state:
                self._enter(state)
            getattr(self, f"_{do.name.lower()}")()

    def _enter(self, state: State) -> None:
        """Each entry arms the idle clock, so that an app which nobody ever asks falls asleep as well."""
        self._state = state
        self._vigil.armed = time.monotonic()
        self._board.header[scoreboard.H_STATE] = list(State).index(state)
        self._extend_at = 0.0

    def _nothing(self) -> None:
        pass

    # ### Sources

    def _wait(self) -> None:
        """Until a source is ready or the next deadline is reached; then let every ready source speak.

        The poll set is made anew each turn: there are few descriptors, and what is derived cannot be stale.
        """
        sources: dict[int, tuple[int, Callable[[], None]]] = self._crew.sources()
        for fd, call in self._summons.sources().items():
            sources[fd] = (select.POLLIN, call)
        if self._listening:
            for listener in self._listeners:
                sources[listener.fd] = (select.POLLIN, self._connection)
        if self._failure.fuse is not None:
            sources |= self._failure.fuse.sources()
        poll = select.poll()
        for fd, (events, _) in sources.items():
            poll.register(fd, events)
        for fd, _ in poll.poll(self._alarm.timeout_ms):
            sources[fd][1]()

    @property
    def _listening(self) -> bool:
        """Whether it is for the Master to look at the listeners: where no worker does."""
        if self._state is State.FAILED:
            return self._failure.fuse is not None and self._failure.fuse.accepts(self._alarm)
        return self._state in (State.WATCHING, State.DOZING, State.QUIESCING)

    def _connection(self) -> None:
        if Event.CONNECTION not in self._queue:  # one event, however many listeners are readable
            self._queue.append(Event.CONNECTION)

    def _resize(self, by: int) -> None:
        self._crew.want = max(1, min(self._crew.want + by, len(self._board.rows) // 4))
        self._log.event("resized", _INFO, workers=self._crew.want)

    # ### Deadlines

    def _check(self) -> None:
        alarm = self._alarm
        alarm.reset()
        self._crew.check(
            alarm,
            # Nothing is forked during a quiesce: a worker that boots is not asked, and would accept unseen.
            may_fork=self._state in (State.WAKING, State.AWAKE, State.FAILED),
            first_only=self._state is not State.AWAKE,
        )
        self._failure.check(alarm)
        self._check_notifications(alarm)
        if not self._queue:
            event = self._next_event(alarm)
            if event is not None:
                self._queue.append(event)
        self._board.header[scoreboard.H_JOURNAL_DROPPED] = self._log.dropped
        self._notifier.status(self._status())

    def _next_event(self, alarm: Alarm) -> Event | None:
        """What the time brings in this state."""
        if self._state is State.WATCHING:
            return Event.WENT_IDLE if self._vigil.over(self._vigil.armed, self._settings.watch, alarm) else None
        if self._state is State.AWAKE:
            if self._crew.roster.successor is None and alarm.due(self._reload_at):
                return Event.RELOAD
            return self._vigil.awake(alarm)
        if self._state is State.DOZING:
            return self._vigil.dozing(alarm)
        if self._state is State.QUIESCING:
            return self._vigil.proof(alarm)
        if self._state is State.FAILED:
            return self._next_in_failure(alarm)
        if self._state is State.DRAINING:
            if not self._failure.talking and not any(True for _ in self._crew.roster.workers()):
                return Event.DRAINED
            return Event.DRAIN_OVER if alarm.due(self._drain_over) else None
        return None

    def _next_in_failure(self, alarm: Alarm) -> Event | None:
        importing = self._crew.roster.current is not None
        idle = not importing and not self._failure.talking
        if idle and self._vigil.over(self._failure.quiet_since(), self._settings.idle, alarm):
            return Event.WENT_IDLE
        return Event.RETRY if alarm.due(self._failure.retry_at) else None

    def _check_notifications(self, alarm: Alarm) -> None:
        interval = self._notifier.watchdog_interval
        if interval is not None and alarm.due(self._watchdog_at):
            # It proves this loop and nothing else. A child that hangs is ours to replace, and a service manager that
            # killed the Master for it would kill the healthy ones too.
            self._notifier.watchdog()
            self._watchdog_at = alarm.now + interval
            alarm.due(self._watchdog_at)
        slow = self._state in (State.WAKING, State.DRAINING) or self._crew.roster.successor is not None
        if slow and alarm.due(self._extend_at):
            self._notifier.extend(2 * _EXTEND)
            self._extend_at = alarm.now + _EXTEND
            alarm.due(self._extend_at)

    def _status(self) -> str:
        """What `systemctl status` shows."""
        if self._state is State.FAILED:
            return f"failed: {self._failure.summary} (attempt {self._failure.attempts}, answering 503)"
        if self._vigil.kept_by:
            names = ", ".join(f"{command} (pid {pid})" for pid, command in self._vigil.kept_by[:3])
            return f"{self._state.value}, kept awake by {names}"
        workers = sum(1 for _ in self._crew.roster.workers())
        lost = f", {self._log.dropped} log entries lost" if self._log.dropped else ""
        return f"{self._state.value}, {workers} workers{lost}" if workers else f"{self._state.value}{lost}"

    # ### Waking

    def _begin(self) -> Generation | None:
        """Fork a Template with the settings as they are now; None where that cannot be, and `_trouble` says why."""
        try:
            self._settings = self._crew.settings = self._reread()
            self._crew.want = self._settings.workers
            self._vigil.adopt(self._settings)
            fuse = self._failure.fuse.descriptors if self._failure.fuse is not None else ()
            return self._crew.begin((*self._summons.descriptors, *fuse))
        except SpyglassError as error:
            self._trouble = error
        except OSError as error:
            self._trouble = SpyglassError(f"fork failed: {error.strerror}", hint="see TasksMax= and MemoryMax=")
        return None

    def _wake(self) -> None:
        self._failure.retry_at = FOREVER
        if self._crew.roster.current is not None:  # an attempt is under way: once more when it has failed
            self._reload_at = 0.0
            return
        if not self._failure.summary:
            self._woke = time.monotonic()
            self._log_wake(self._vigil.pending())
        self._crew.roster.current = self._begin()
        if self._crew.roster.current is None:
            self._queue.append(Event.BROKEN)

    def _log_wake(self, woken_by: tuple[Listener, ...]) -> None:
        self._board.header[scoreboard.H_WOKE] = int(self._woke * 1e9)
        self._log.event("woke", _INFO, listener=",".join(listener.label for listener in woken_by))

    def _serve(self) -> None:
        header = self._board.header
        header[scoreboard.H_READY] = time.monotonic_ns()
        self._failure.mended()
        self._notifier.ready(self._status())
        current = self._crew.roster.current
        for worker in current.accepting[:1] if current is not None else ():
            self._log.event(
                "ready",
                _INFO,
                worker=worker.number,
                ms=_ms((time.monotonic() - self._woke) * 1e6 + header[scoreboard.H_PYTHON_US]),
                python=_ms(header[scoreboard.H_PYTHON_US]),
                load=_ms(header[scoreboard.H_IMPORT_US]),
                boot=_ms(header[scoreboard.H_BOOT_US]),
            )
        # From here on the app serves, and what a later state needs is loaded while nobody waits for it: a package that
        # is upgraded under a running Master must not give it half of the new version.
        from spyglass_systemd.processes import fuse  # noqa: F401, PLC0415

    def _rouse(self) -> None:
        self._woke = time.monotonic()
        self._log_wake(self._vigil.pending())

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
        self._notifier.stopping("asleep")
        seen = self._board.snapshot()
        self._log.event(
            "slept",
            _INFO,
            after=f"{time.monotonic() - self._began:.1f}s",
            requests=seen.requests,
            connections=seen.accepted,
            freed=f"{offspring.proportional_kib([os.getpid(), *self._crew.roster.pids]) / 1024:.1f}MiB",
        )

    # ### A broken app

    def _blow(self) -> None:
        self._failure.open(self._listeners, self._settings)
        self._defer()
        self._notifier.ready(self._status())  # somebody answers for the listeners: we do

    def _defer(self) -> None:
        roster = self._crew.roster
        trouble, self._trouble = self._trouble, None
        summary, trace = "the app does not start", ""
        if trouble is not None:
            summary = trouble.summary
        elif roster.current is not None and roster.current.trouble[0]:
            summary, trace = roster.current.trouble
        self._failure.note(summary, trace, at_once=self._reload_at <= time.monotonic())
        self._reload_at = FOREVER
        self._board.header[scoreboard.H_FAILURES] = self._failure.attempts
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
        self._notifier.stopping(self._status())
        self._log.event("gave_up", _ERROR, self._failure.summary, refused=self._failure.refused)

    # ### A new generation beside the old

    def _reload(self) -> None:
        roster = self._crew.roster
        if roster.successor is not None:
            self._reload_at = 0.0  # once more when this one is done: it may have read the old code
            return
        self._reload_at = FOREVER
        self._notifier.reloading(time.monotonic_ns() // 1000)
        roster.successor = self._begin()
        if roster.successor is None:
            self._queue.append(Event.SUCCESSOR_BROKEN)

    def _postpone(self) -> None:
        self._reload_at = 0.0

    def _confirm(self) -> None:
        self._notifier.reloading(time.monotonic_ns() // 1000)
        self._reloaded(0)

    def _succeed(self) -> None:
        roster = self._crew.roster
        if roster.successor is None:
            return  # said by two workers in one turn
        old, roster.current, roster.successor = roster.current, roster.successor, None
        if old is not None:
            self._crew.retire_generation(old, "reload")
        self._vigil.armed = time.monotonic()
        self._reload_failures = 0
        self._reloaded(0)

    def _discard(self) -> None:
        roster = self._crew.roster
        successor, roster.successor = roster.successor, None
        trouble, self._trouble = self._trouble, None
        summary, trace = str(trouble or ""), ""
        if successor is not None:
            summary, trace = successor.trouble
            self._crew.discard(successor)
        self._log.event("reload_failed", _ERROR, f"{summary}\n{trace.rstrip()}" if trace else summary)
        self._reloaded(_EXIT_FAILED)
        # The old generation never stopped. But one whose Template is gone cannot replace its workers: it needs a
        # successor, so another is tried after a pause; and when nobody is left who serves, the app is broken.
        current = roster.current
        if current is None or (current.lost and not current.workers):
            self._trouble = SpyglassError(summary)
            self._queue.append(Event.BROKEN)
        elif current.lost and self._reload_at == FOREVER:
            self._reload_failures += 1
            self._reload_at = time.monotonic() + self._crew.pause(self._reload_failures)

    def _reloaded(self, result: int) -> None:
        header = self._board.header
        header[scoreboard.H_RELOAD_RESULT] = result
        header[scoreboard.H_RELOAD_DONE] += 1
        self._notifier.ready(self._status())
        if not result:
            current = self._crew.roster.current
            self._log.event("reloaded", _NOTICE, generation=current.number if current is not None else 0)

    def _watch(self) -> None:
        self._crew.roster.current = None
        self._log.event("watching", _INFO, listeners=len(self._listeners))

    # ### Stopping

    def _drain(self) -> None:
        self._drain_over = time.monotonic() + self._settings.drain
        self._crew.proof = None
        abandoned = self._summons.abandoned
        self._notifier.stopping("the Lookout is gone: draining" if abandoned else "draining")
        self._log.event("draining", _INFO, reason="the Lookout is gone" if abandoned else "told to stop")
        self._crew.drain(LAST_CALL if abandoned else FINAL)
        if abandoned:
            for listener in self._listeners:
                os.close(listener.fd)
            self._listeners = ()

    def _leave(self) -> None:
        seen = self._board.snapshot()
        self._log.event("drained", _INFO, requests=seen.requests, connections=seen.accepted)

    def _kill(self) -> None:
        seen = self._board.snapshot()
        self._log.event("killed", _WARNING, open=seen.open, in_flight=seen.in_flight)
        self._crew.kill_all("stopped at once")

    def _depart(self) -> None:
        """Let all below us end in order, within bounds: what is left when we exit is killed without a word."""
        roster = self._crew.roster
        self._crew.dismiss_all(self._state.value)
        for generation in roster.generations.values():
            self._crew.release(generation)
        over = time.monotonic() + self._settings.drain
        for deadline, last in ((over, False), (over + 1.0, True)):
            while roster.generations:
                self._alarm.reset()
                if self._alarm.due(deadline):
                    break
                self._crew.check(self._alarm, may_fork=False, first_only=True)
                if roster.generations:  # else there is nobody left to wait for
                    self._wait()
            if not last:
                self._crew.kill_all("did not end")
        if self._failure.fuse is not None:
            self._failure.fuse.close()


def _ms(us: float) -> str:
    return f"{us / 1000:.1f}"
