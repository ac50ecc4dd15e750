"""Watches the time: when to fall asleep, what the answers prove, when to try again. Does nothing; it names an event."""

from __future__ import annotations

import os
import time

from spyglass_systemd.policy import quiesce
from spyglass_systemd.policy.idle import IdlePolicy
from spyglass_systemd.processes.alarm import FOREVER
from spyglass_systemd.protocols import strangers
from spyglass_systemd.protocols.activation import waited_for
from spyglass_systemd.words.states import Event, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.processes.failure import Failure
    from spyglass_systemd.processes.succession import Succession
    from spyglass_systemd.processes.watch import Watch
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.pressure import Pressure
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings
    from spyglass_systemd.words.snapshot import Snapshot

_LOOK_AGAIN = 1.0  # seconds between two looks at an app that is only kept awake by something open
_HASTE = 10.0  # how many times sooner, while memory is short
_PROOF_LOOK = 0.05  # seconds between two looks at a quiesce that is not answered yet
_BREATH = 0.25  # seconds for workers that accept again to have somebody accepted
_PROOF_LIMIT = 10.0  # seconds in which a worker with nothing open answers a quiesce; else it hangs


class Vigil:
    """`began` is when the process did, `drain_over` when a drain must end, in monotonic seconds."""

    def __init__(
        self,
        settings: Settings,
        listeners: tuple[Listener, ...],
        board: Scoreboard,
        *,
        crew: Crew,
        failure: Failure,
        succession: Succession,
        began: float,
        log: Log,
    ) -> None:
        self._log = log
        self._watch: Watch | None = None
        self._listeners = listeners
        self._board = board
        self._crew = crew
        self._failure = failure
        self._succession = succession
        self._began = began
        self._asked = 0.0
        self._decided_ns = 0  # the newest activity when it was decided to ask
        self._armed = began
        self._rest_until = 0.0
        self._state: State | None = None
        self.drain_over = FOREVER
        self.kept_by: tuple[tuple[int, str], ...] = ()
        self.pressure: Pressure | None = None
        self.adopt(settings)
        self._loaded_ns -= int((time.monotonic() - began) * 1e9)  # the first Template was quicker than this object

    def adopt(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self._settings = settings
        self._policy = self._calm = IdlePolicy(settings.idle, settings.doze, settings.min_awake)
        if settings.pressure and self.pressure is None:
            from spyglass_systemd.protocols.pressure import Pressure  # noqa: PLC0415  # where it is asked for

            self.pressure = Pressure.from_environ(os.environ)
        self._loaded_ns = time.time_ns()
        if self._watch is not None and not self._watch.covers(settings):
            self._watch = None

    def entered(self, state: State | None = None) -> None:
        """Another state, or generation: the idle clock is armed, so that an app which nobody ever asks sleeps too.

        But not where a quiesce was called off and there is a screen. Who stirred may have been a probe, which is not to
        buy the app another `idle`: what he was, the rows say. So the clock runs on, after a breath for the workers.
        """
        now, before, self._state = time.monotonic(), self._state, state
        if self._settings.screen and State.QUIESCING in (state, before):
            limits = (limit for limit in (self._policy.idle, self._policy.doze) if limit is not None)
            self._rest_until = now + min((_BREATH, *limits))
        else:
            self._armed = now

    def event(self, state: State, alarm: Alarm) -> Event | None:
        """What time brings in this state."""
        if self._settings.reload and state in (State.AWAKE, State.DOZING) and self._outdated(alarm):
            return Event.RELOAD
        look = {
            State.WATCHING: self._watching,
            State.AWAKE: self._awake,
            State.DOZING: self._dozing,
            State.QUIESCING: self._proof,
            State.FAILED: self._failed,
            State.DRAINING: self._draining,
        }.get(state)
        return look(alarm) if look is not None else None

    def _over(self, since: float, limit: float | None, alarm: Alarm) -> bool:
        """Whether `limit` seconds are over since `since`, the process is old enough to end, and nobody waits."""
        if limit is None:
            return False
        return alarm.due(max(since + limit, self._began + self._settings.min_awake)) and not self.pending()

    def _watching(self, alarm: Alarm) -> Event | None:
        idle = not self._hosting and self._over(self._armed, self._settings.watch, alarm)
        return Event.WENT_IDLE if idle and not self._kept_awake(alarm) else None

    def _failed(self, alarm: Alarm) -> Event | None:
        importing = self._crew.roster.current is not None
        quiet = not importing and not self._hosting and not any(True for _ in self._crew.roster.workers())
        idle = quiet and self._over(self._failure.quiet_since(), self._settings.idle, alarm)
        if idle and not self._kept_awake(alarm):
            return Event.WENT_IDLE
        return Event.RETRY if alarm.due(self._failure.retry_at) or self._outdated(alarm) else None

    def _outdated(self, alarm: Alarm) -> bool:
        """Whether a file of the app has changed since it was loaded."""
        if self._watch is None:
            from spyglass_systemd.processes.watch import Watch  # noqa: PLC0415  # for the broken, and for developers

            self._watch = Watch(self._settings, self._loaded_ns, self._log)
        return self._watch.changed(alarm)

    def _draining(self, alarm: Alarm) -> Event | None:
        if not self._hosting and not any(True for _ in self._crew.roster.workers()):
            return Event.DRAINED
        return Event.DRAIN_OVER if alarm.due(self.drain_over) else None

    def _awake(self, alarm: Alarm) -> Event | None:
        """Whether the app may doze, or sleep. Not while a process imports, boots or leaves, nor while all are dead."""
        if self._crew.roster.successor is None and alarm.due(self._succession.at):
            return Event.RELOAD
        roster = self._crew.roster
        if not alarm.due(self._rest_until):
            return None
        if self._hosting or roster.unsettled or roster.current is None or not roster.current.accepting:
            return None
        self._hurry(alarm)
        seen = self._board.snapshot()
        left = self._policy.dozes_in(seen, self._armed, alarm.now)
        if left is None:
            self._look_again(self._policy.doze, seen, alarm)
        elif alarm.due(alarm.now + left):
            self._decided_ns = seen.last_activity_ns
            return Event.WENT_DOZY
        return self._sleepy(seen, alarm)

    def _hurry(self, alarm: Alarm) -> None:
        """While memory is short what is idle shall go sooner."""
        pressure = self.pressure
        if pressure is None or not self._settings.pressure:
            return
        self._policy = self._calm.hastened(_HASTE) if pressure.is_high(alarm.now) else self._calm
        if pressure.look_at:
            alarm.due(pressure.look_at)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a Template must close."""
        return (self.pressure.fd,) if self.pressure is not None and self.pressure.fd >= 0 else ()

    def _dozing(self, alarm: Alarm) -> Event | None:
        if self._hosting:
            return None
        self._hurry(alarm)
        return self._sleepy(self._board.snapshot(), alarm)

    def _sleepy(self, seen: Snapshot, alarm: Alarm) -> Event | None:
        """Whether the app may sleep."""
        self._decided_ns = seen.last_activity_ns
        left = self._policy.sleeps_in(seen, self._armed, self._began, alarm.now)
        if left is None or not alarm.due(alarm.now + left):
            self.kept_by = ()
        elif not self._kept_awake(alarm):
            return Event.WENT_IDLE
        if left is None:
            self._look_again(self._policy.idle, seen, alarm)
        return None

    def _look_again(self, limit: float | None, seen: Snapshot, alarm: Alarm) -> None:
        """Something is open, and its end is no message: look again when it can matter, and then now and then."""
        if limit is not None:
            again = max(self._armed, seen.last_activity_ns / 1e9) + limit
            alarm.due(max(again, alarm.now + min(_LOOK_AGAIN, max(limit / 4, 0.02))))

    def begin(self, aim: str) -> None:
        """Ask the workers."""
        self._asked = time.monotonic()
        self._crew.quiesce(aim)

    def _proof(self, alarm: Alarm) -> Event | None:
        """What the answers to the quiesce come to, None while some are out."""
        proof = self._crew.proof
        if proof is None:
            return Event.STIRRED
        seen = self._board.snapshot()
        if seen.last_activity_ns > self._decided_ns:  # somebody was served before the counts of the quiesce were taken
            return Event.STIRRED
        if proof.verdict == quiesce.WAITING:
            if alarm.due(self._asked + _PROOF_LIMIT):
                self._crew.end_silent()
                return Event.STIRRED
            alarm.due(alarm.now + _PROOF_LOOK)
            # A worker that runs a request cannot read our question; but its row says that somebody came.
            return Event.STIRRED if seen.occupied else None
        if proof.verdict == quiesce.MOVED:
            return Event.STIRRED
        # ### May a connection be lost when we fall asleep?
        # No. Between "nobody is busy" and the last worker's exit a client may still connect. Either a worker has
        # accepted it: then that worker was not quiet, or its counts differ from those of the decision, and we are not
        # here. Or none has, and none will, for all have stopped: then it lies in the backlog of a listener that the
        # Lookout still holds. If it came before this poll, we see it and resume. If it comes after, it is there when we
        # are gone, and the Lookout starts us again. The worst case is a needless wake.
        if self.pending():
            return Event.CONNECTION
        if self._board.snapshot().leases:
            return Event.STIRRED
        if proof.aim == quiesce.DOZE:
            return Event.DOZE_PROVEN
        return Event.STIRRED if self._kept_awake(alarm) else Event.SLEEP_PROVEN

    def pending(self) -> tuple[Listener, ...]:
        """The listeners by which somebody came who waits: in a backlog, or in the lobby for the app."""
        lobby = self._crew.lobby
        return (*(lobby.waiting if lobby is not None else ()), *waited_for(self._listeners))

    @property
    def _hosting(self) -> bool:
        """Whether the Master itself has accepted somebody, and sees him off."""
        lobby = self._crew.lobby
        return self._failure.talking or (lobby is not None and lobby.open > 0)

    def _kept_awake(self, alarm: Alarm) -> bool:
        """Whether a process that the app started is still at work; systemd would kill it without a word."""
        if self._settings.ignore_subprocesses:
            return False
        self.kept_by = strangers.find(self._crew.roster.pids, os.environ, self._settings.lookout_pid)
        if self.kept_by:
            alarm.due(alarm.now + _LOOK_AGAIN)
        return bool(self.kept_by)
