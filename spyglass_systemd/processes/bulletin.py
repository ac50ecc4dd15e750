"""What the Master tells the world: its service manager, its log, the header of the scoreboard. Decides nothing."""

from __future__ import annotations

import os
import time

from spyglass_systemd.protocols import offspring, scoreboard
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.states import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.processes.failure import Failure
    from spyglass_systemd.processes.vigil import Vigil
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.notify import Notifier
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener

_EXTEND = 15.0  # seconds between two extensions of the service manager's patience, each of twice that
_AGAIN = 1.0  # seconds between two tries to say what the service manager must know
_ERROR, _WARNING, _INFO = 3, 4, 6  # syslog(3)
_SLOW = (State.WAKING, State.DRAINING)


class Bulletin:
    """`began` is when the process began, `woke` when the present wake did, in monotonic seconds."""

    def __init__(
        self,
        board: Scoreboard,
        log: Log,
        notifier: Notifier,
        *,
        crew: Crew,
        vigil: Vigil,
        failure: Failure,
        began: float,
    ) -> None:
        self._board = board
        self._log = log
        self._notifier = notifier
        self._crew = crew
        self._vigil = vigil
        self._failure = failure
        self._began = self._woke = began
        self._state = State.WATCHING
        self._reason = ""
        self._watchdog_at = self._extend_at = 0.0

    def entered(self, state: State) -> None:
        """The app is in another state."""
        self._state = state
        self._board.header[scoreboard.H_STATE] = list(State).index(state)
        self._board.header[scoreboard.H_ENTERED] = time.monotonic_ns()
        self._extend_at = 0.0

    def check(self, alarm: Alarm) -> None:
        """What is due at this time."""
        interval = self._notifier.watchdog_interval
        if interval is not None and alarm.due(self._watchdog_at):
            # It proves this loop and nothing else. A child that hangs is ours to replace, and a service manager that
            # killed the Master for it would kill the healthy ones too.
            self._notifier.watchdog()
            self._watchdog_at = alarm.now + interval
            alarm.due(self._watchdog_at)
        slow = self._state in _SLOW or self._notifier.reloads
        if slow and alarm.due(self._extend_at):
            self._notifier.extend(2 * _EXTEND)
            self._extend_at = alarm.now + _EXTEND
            alarm.due(self._extend_at)
        self._board.header[scoreboard.H_JOURNAL_DROPPED] = self._log.dropped
        self._notifier.status(self.status())
        if self._notifier.owes:
            alarm.due(alarm.now + _AGAIN)

    def status(self) -> str:
        """What `systemctl status` shows."""
        state = f"{self._state.value}, {self._reason}" if self._reason else self._state.value
        if self._state is State.FAILED:
            state = f"failed: {self._failure.summary} (attempt {self._failure.attempts}, answering 503)"
        if self._vigil.kept_by:
            names = ", ".join(f"{command} (pid {pid})" for pid, command in self._vigil.kept_by[:3])
            return f"{state}, kept awake by {names}"
        if self._state is State.FAILED:
            return state
        leases = [name for worker in self._crew.roster.workers() for name in worker.row.lease_names]
        if leases:
            return f"{state}, kept awake by lease {', '.join(one_line(name, 56) for name in leases[:3])}"
        workers = sum(1 for _ in self._crew.roster.workers())
        lost = f", {self._log.dropped} log entries lost" if self._log.dropped else ""
        return f"{state}, {workers} workers{lost}" if workers else f"{state}{lost}"

    def available(self) -> None:
        """Somebody answers for the listeners."""
        self._notifier.ready(self.status())

    def watching(self, listeners: int) -> None:
        """Nobody is there but the Master."""
        self._log.event("watching", _INFO, listeners=listeners)

    def woke(self, woken_by: tuple[Listener, ...], *, at: float | None = None) -> None:
        """A connection on `woken_by` has called for the app; at `at`, or now."""
        self._woke = time.monotonic() if at is None else at
        self._board.header[scoreboard.H_WOKE] = int(self._woke * 1e9)
        self._log.event("woke", _INFO, listener=",".join(listener.label for listener in woken_by))

    def ready(self) -> None:
        """A worker of each kind accepts."""
        header = self._board.header
        header[scoreboard.H_READY] = time.monotonic_ns()
        self.available()
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

    def slept(self) -> None:
        """All is quiet, and proven so; STOPPING=1 goes out while we are still whole."""
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

    def gave_up(self) -> None:
        """The app does not start, and nobody asks for it any more."""
        self._notifier.stopping(f"failed: {self._failure.summary} (gave up, the next connection tries again)")
        self._log.event("gave_up", _ERROR, self._failure.summary, refused=self._failure.refused)

    def draining(self, reason: str) -> None:
        """No way back."""
        self._reason = reason
        self._notifier.stopping(self.status())
        self._log.event("draining", _INFO, reason=reason)

    def drained(self) -> None:
        """All that was accepted is answered."""
        seen = self._board.snapshot()
        self._log.event("drained", _INFO, requests=seen.requests, connections=seen.accepted)

    def killed(self) -> None:
        """What was open is cut."""
        seen = self._board.snapshot()
        self._log.event("killed", _WARNING, open=seen.open, in_flight=seen.in_flight)


def _ms(us: float) -> str:
    return f"{us / 1000:.1f}"
