"""The crew: starts, replaces, asks and buries Templates and workers. Knows no state of the app; it posts events."""

from __future__ import annotations

import os
import select
import time

from spyglass_systemd.backends.base import FINAL, LAST_CALL, PAUSE
from spyglass_systemd.policy import respawn
from spyglass_systemd.policy.quiesce import Quiesce as Proof
from spyglass_systemd.processes import template
from spyglass_systemd.processes.roster import ACCEPTING, BOOTING, LEAVING, RETIRING, Generation, Roster, WorkerHandle
from spyglass_systemd.protocols import offspring, scoreboard, signals
from spyglass_systemd.words import reports
from spyglass_systemd.words.states import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.protocols.control import Channel
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

    _T = TypeVar("_T")

_TOO_SLOW = {
    BOOTING: "did not accept (import_timeout)",
    RETIRING: "was not done (drain)",
    LEAVING: "did not end (drain)",
}
_LEASE_LOOK = 0.2  # seconds between two looks at a worker that is quiet but holds a lease
_LEAVE = 5.0  # seconds for the atexit functions of a Template
_STATUS_WAIT = 0.25  # seconds for a Template to tell the exit status of a worker that we know is dead
_BOOT_FAILURES = 3  # workers that die before they accept, one after another, and the app counts as broken


class Crew:
    """All processes below the Master, and what is said to them and by them."""

    def __init__(
        self,
        listeners: tuple[Listener, ...],
        board: Scoreboard,
        settings: Settings,
        log: Log,
        post: Callable[[Event], None],
    ) -> None:
        self.roster = Roster()
        self.settings = settings
        self.want = settings.workers
        self.proof: Proof | None = None
        self._listeners = listeners
        self._board = board
        self._log = log
        self._post = post
        self._generations = 0
        self._workers = 0
        self._quiesces = 0
        self._failures = 0  # workers that died young, in a row
        self._respawn_at = 0.0
        self._greeted = False

    # ### Templates

    def begin(self, foreign: tuple[int, ...]) -> Generation:
        """Fork a Template and ask it for its first worker. Raises OSError as fork(2)."""
        self._generations += 1
        generation = template.start(
            self._generations,
            self._listeners,
            self._board,
            self.settings,
            (*foreign, *self.roster.descriptors),
        )
        return self.adopt(generation)

    def adopt(self, generation: Generation) -> Generation:
        """Take a Template into the books and ask it for its first worker."""
        self._generations = generation.number
        self.roster.generations[generation.number] = generation
        self._board.header[scoreboard.H_GENERATION] = generation.number
        self._greeted = False
        if not generation.workers:
            self._hire(generation)
        else:
            self._workers = max(generation.workers)
        return generation

    def discard(self, generation: Generation) -> None:
        """Throw away a generation that does not serve: at once, whatever it does."""
        for worker in generation.workers.values():
            self._kill(worker, worker.reason or "its generation was discarded")
        if not generation.lost:
            offspring.send_signal(generation.pidfd, signals.KILL)

    def retire_generation(self, generation: Generation, reason: str) -> None:
        """A successor serves: let all workers finish, and the Template go."""
        for worker in list(generation.workers.values()):
            self.retire(worker, reason)
        self.release(generation)

    @staticmethod
    def release(generation: Generation) -> None:
        """A Template that is not needed any more may leave; its workers do not need it."""
        if not generation.released:
            generation.released, generation.born = True, time.monotonic()  # from here on its age is that of its release
            generation.channel.send(reports.Stop())

    def sources(self) -> dict[int, tuple[int, Callable[[], None]]]:
        """What to poll for which events, and what to call."""
        found: dict[int, tuple[int, Callable[[], None]]] = {}
        for generation in self.roster.generations.values():
            if generation.pidfd >= 0:
                found[generation.pidfd] = (select.POLLIN, _bind(self.bury_template, generation))
            self._listen_to(found, generation.channel, _bind(self.hear_template, generation))
        for worker in self.roster.workers():
            if worker.pidfd >= 0 and worker.died is None:
                found[worker.pidfd] = (select.POLLIN, _bind(self.notice_death, worker))
            self._listen_to(found, worker.channel, _bind(self.hear_worker, worker))
        return found

    @staticmethod
    def _listen_to(
        found: dict[int, tuple[int, Callable[[], None]]], channel: Channel, call: Callable[[], None]
    ) -> None:
        if not channel.closed:
            found[channel.fileno()] = (select.POLLIN | (select.POLLOUT if channel.pending else 0), call)

    def hear_template(self, generation: Generation) -> None:
        """Read what a Template reports."""
        generation.channel.flush()
        for report, fds in generation.channel.receive():
            if isinstance(report, reports.Loaded):
                generation.load(report.import_us, tuple(report.kinds.split()))
                self._board.header[scoreboard.H_IMPORT_US] = report.import_us
            elif isinstance(report, reports.Broken):
                generation.trouble = (report.summary, report.trace)
                self._break(generation)
            elif isinstance(report, reports.Forked):
                self._forked(generation, report, fds)
            elif isinstance(report, reports.NotForked):
                self._not_forked(generation, report)
            elif isinstance(report, reports.Reaped):
                worker = generation.workers.get(report.worker)
                if worker is not None:
                    worker.status = report.status
                    self._bury(worker)

    def bury_template(self, generation: Generation) -> None:
        """A Template is dead: reap it, and see what that means for its workers."""
        self.hear_template(generation)  # its last words first
        status = offspring.reap(generation.pid)
        os.close(generation.pidfd)
        generation.pidfd, generation.lost = -1, True
        if not generation.trouble[0] and not generation.released:
            if generation.loaded:
                self._log.event("template_died", 4, actor=generation.label, how=offspring.describe(status))
            what = "the Template died" if generation.loaded else "the app ended the process that imported it"
            generation.trouble = (f"{what}: {offspring.describe(status)}", "")
            if generation is self.roster.current and generation.loaded:
                self._post(Event.TEMPLATE_LOST)
            else:
                self._break(generation)
        for worker in list(generation.workers.values()):
            if worker.pidfd < 0 or worker.died:  # never forked; or dead, and nobody can tell any more how it died
                self._bury(worker)
        self._forget(generation)

    def _break(self, generation: Generation) -> None:
        """Say once that a generation is of no use, if anybody counts on it."""
        if not generation.broken and generation in (self.roster.current, self.roster.successor):
            generation.broken = True
            self._post(Event.SUCCESSOR_BROKEN if generation is self.roster.successor else Event.BROKEN)

    def _forget(self, generation: Generation) -> None:
        """Out of the books, once neither the Template nor a worker is left."""
        if generation.lost and not generation.workers and generation.number in self.roster.generations:
            del self.roster.generations[generation.number]
            generation.channel.close()

    # ### Workers

    def _hire(self, generation: Generation, kind: str = "") -> None:
        row = self._board.free_row()
        if row is None:
            self._log.event("worker_refused", 4, reason="the scoreboard is full")
            self._respawn_at = time.monotonic() + respawn.delay(1)
            return
        self._workers += 1
        template.hire(generation, self._workers, row, kind)

    def _forked(self, generation: Generation, report: reports.Forked, fds: tuple[int, ...]) -> None:
        worker = generation.workers.get(report.worker)
        if worker is None:  # discarded meanwhile
            for pidfd in fds:
                offspring.send_signal(pidfd, signals.KILL)
                os.close(pidfd)
            return
        worker.pid = report.pid
        self._board.header[scoreboard.H_FORK_US] = report.fork_us
        if not fds:  # MSG_CTRUNC, recv(2): we have no descriptor left, so it must go; only its Template can say when
            worker.reason = "the Master is out of descriptors (LimitNOFILE=)"
            worker.channel.close()
            return
        worker.pidfd = fds[0]
        if worker.doomed:
            offspring.send_signal(worker.pidfd, signals.KILL)

    def _not_forked(self, generation: Generation, report: reports.NotForked) -> None:
        self._log.event("fork_failed", 3, actor=generation.label, worker=report.worker, reason=report.reason)
        worker = generation.workers.get(report.worker)
        if worker is not None:
            worker.reason = f"fork failed: {report.reason}"
            self._bury(worker)

    def hear_worker(self, worker: WorkerHandle) -> None:
        """Read what a worker reports."""
        worker.channel.flush()
        for report, fds in worker.channel.receive():
            for fd in fds:  # it has none to give
                os.close(fd)
            if isinstance(report, reports.Accepting):
                self._accepting(worker, report)
            elif isinstance(report, reports.Quiesced):
                self._quiesced(worker, report)
            elif isinstance(report, reports.Stirred) and self.proof is not None:
                if report.number == self.proof.number:
                    self._post(Event.STIRRED)
            elif isinstance(report, reports.Retiring):
                worker.wants_successor, worker.reason = True, report.reason
            elif isinstance(report, reports.Broken):
                worker.trouble, worker.reason = (report.summary, report.trace), worker.reason or report.summary
            else:
                self._tell(worker, report)

    def _tell(self, worker: WorkerHandle, report: reports.Report) -> None:
        """What a worker has to say to people."""
        if isinstance(report, reports.Said):
            self._log.event(report.event, report.level, report.text, actor=worker.label)
        elif isinstance(report, reports.Greeted) and not self._greeted:
            self._greeted = True
            self._log.event("greeted", 6, actor=worker.label, peer=report.peer, listener=report.listener)

    def _generation(self, worker: WorkerHandle) -> Generation:
        return self.roster.generations[worker.generation]

    def _accepting(self, worker: WorkerHandle, report: reports.Accepting) -> None:
        if worker.state == BOOTING:
            worker.state = ACCEPTING
        self._board.header[scoreboard.H_BOOT_US] = report.boot_us
        generation = self._generation(worker)
        if generation.trouble[0]:
            return  # given up in this very turn
        if generation is self.roster.successor:
            if generation.serves(self.want):
                self._post(Event.SUCCESSOR_READY)
        elif generation is self.roster.current and generation.serves():
            self._post(Event.READY)

    def _quiesced(self, worker: WorkerHandle, report: reports.Quiesced) -> None:
        if worker.state == RETIRING:
            worker.quiet = True  # dismissed when it holds no lease any more
        elif self.proof is not None:
            self.proof.acknowledge(worker.number, report.number, report.accepted, report.answered)

    def retire(self, worker: WorkerHandle, reason: str, final: int = FINAL) -> None:
        """No way back for this worker: it stops accepting, finishes, reports, and is dismissed."""
        if worker.state in (BOOTING, ACCEPTING):
            self._quiesces += 1
            worker.state, worker.reason = RETIRING, worker.reason or reason
            worker.born = time.monotonic()  # from here on its age is that of its retirement
            worker.channel.send(reports.Quiesce(self._quiesces, final))

    def dismiss(self, worker: WorkerHandle) -> None:
        """A worker that is quiet may leave."""
        worker.state, worker.born = LEAVING, time.monotonic()
        worker.channel.send(reports.Stop())

    def dismiss_all(self, reason: str) -> None:
        """All workers may leave: they are quiet."""
        for worker in self.roster.workers():
            if worker.state != LEAVING:
                worker.reason = reason
                self.dismiss(worker)

    def drain(self, final: int) -> None:
        """Let everything that is accepted be answered; what still imports is of no use to anybody."""
        for generation in list(self.roster.generations.values()):
            self.hear_template(generation)  # its worker may be serving, and we have not read of it yet
            if not generation.loaded and not generation.lost:
                generation.released = True  # the Template only: a worker that it has forked by then has a visitor
                offspring.send_signal(generation.pidfd, signals.KILL)
            elif final == LAST_CALL:
                self.release(generation)  # it holds the listeners too
        for worker in self.roster.workers():
            self.retire(worker, "stop", final)

    def _kill(self, worker: WorkerHandle, reason: str) -> None:
        worker.reason, worker.doomed = reason, True
        if worker.pidfd >= 0:
            offspring.send_signal(worker.pidfd, signals.KILL)

    def kill_all(self, reason: str) -> None:
        """Everything below the Master, at once."""
        for worker in self.roster.workers():
            self._kill(worker, reason)
        for generation in self.roster.generations.values():
            if not generation.lost:
                offspring.send_signal(generation.pidfd, signals.KILL)

    def notice_death(self, worker: WorkerHandle) -> None:
        """A worker's pidfd is readable. How it died only its Template can tell; wait a moment for that."""
        worker.died = worker.died or time.monotonic()
        generation = self.roster.generations.get(worker.generation)
        if generation is not None and generation.lost:  # none: its Template told in this very turn, and is dead too
            self._bury(worker)

    def _bury(self, worker: WorkerHandle) -> None:
        generation = self._generation(worker)
        if generation.workers.pop(worker.number, None) is None:
            return
        self.hear_worker(worker)
        self._board.clear(worker.row)
        worker.channel.close()
        if worker.pidfd >= 0:
            os.close(worker.pidfd)
        how = offspring.describe(worker.status)
        if worker.state in (RETIRING, LEAVING) and worker.status in (0, None):
            everyday = worker.reason in ("asleep", "dozing", "doze", "stop")
            self._log.event("worker_retired", 7 if everyday else 6, actor=worker.label, reason=worker.reason)
        elif worker.pid:
            self._log.event("worker_died", 4, actor=worker.label, how=how, reason=worker.reason)
        if worker.state in (BOOTING, ACCEPTING):
            self._replace(generation, worker, how)
        self._forget(generation)

    def _replace(self, generation: Generation, worker: WorkerHandle, how: str) -> None:
        """The first one that dies is replaced at once; those that go on dying are waited for."""
        now = time.monotonic()
        self._failures = respawn.in_a_row(self._failures, now - worker.born)
        self._respawn_at = now + self.pause(self._failures)
        if self.proof is not None:
            self._post(Event.STIRRED)
        alike = [other for other in generation.accepting if other.kind == worker.kind]
        if worker.state != BOOTING or alike or generation.lost or generation.trouble[0]:
            return
        if worker.trouble[0] or self._failures >= _BOOT_FAILURES:
            died = f"{self._failures} workers in a row died before they could accept: {how}"
            generation.trouble = worker.trouble if worker.trouble[0] else (died, "")
            self._break(generation)

    # ### Quiesce

    def quiesce(self, aim: str) -> None:
        """Ask every worker of the current generation to stop accepting, for now."""
        current = self.roster.current
        asked = current.accepting if current is not None else []
        self._quiesces += 1
        self.proof = Proof(self._quiesces, aim, {w.number: (w.row.accepted, w.row.done) for w in asked})
        for worker in asked:
            worker.channel.send(reports.Quiesce(self._quiesces, PAUSE))

    def resume(self) -> None:
        """The quiesce is void: all that were asked accept again."""
        proof, self.proof = self.proof, None
        for worker in self.roster.workers():
            if proof is not None and worker.state == ACCEPTING:
                worker.channel.send(reports.Resume(proof.number))

    def end_silent(self) -> None:
        """Kill the workers that have not answered a quiesce though they have nothing open: they hang."""
        for number in self.proof.silent if self.proof is not None else ():
            worker = self.roster.worker(number)
            if worker is not None and not worker.row.open:
                self._kill(worker, "did not answer a quiesce")

    # ### Deadlines

    @staticmethod
    def pause(failures: int) -> float:
        """Seconds to wait after so many failures in a row: none after the first."""
        return respawn.delay(failures - 1)

    def check(self, alarm: Alarm, *, may_fork: bool, first_only: bool) -> None:
        """What time brings: stuck processes, missing and surplus workers. `first_only`: one worker will do for now."""
        due = alarm.due
        for generation in list(self.roster.generations.values()):
            if _importing(generation) and due(generation.born + self.settings.import_timeout):
                self.hear_template(generation)  # it may have said so while we were kept from listening
            if _importing(generation) and due(generation.born + self.settings.import_timeout):
                generation.trouble = (
                    f"the import did not end within import_timeout={self.settings.import_timeout:g}s",
                    "",
                )
                offspring.send_signal(generation.pidfd, signals.KILL)
                self._break(generation)
            elif generation.released and not generation.lost and due(generation.born + _LEAVE):
                offspring.send_signal(generation.pidfd, signals.KILL)  # its atexit functions do not end
        for worker in list(self.roster.workers()):
            self._check_worker(worker, alarm)
        if not may_fork:
            return
        for serving in (self.roster.current, self.roster.successor):
            if serving is not None and serving.loaded and not serving.lost and not serving.trouble[0]:
                want = 1 if first_only and serving is self.roster.current else self.want
                for kind in serving.kinds:
                    self._balance(serving, kind, want, due)

    def _check_worker(self, worker: WorkerHandle, alarm: Alarm) -> None:
        if worker.died is not None:
            if alarm.due(worker.died + _STATUS_WAIT):
                self._bury(worker)
            return
        limit = self.settings.import_timeout if worker.state == BOOTING else self.settings.drain
        if worker.state == RETIRING and worker.quiet:
            if not worker.row.leases:
                self.dismiss(worker)
            else:
                alarm.due(alarm.now + _LEASE_LOOK)
        if worker.state == BOOTING and worker.pid and alarm.due(worker.born + limit):
            self.hear_worker(worker)  # as above
        if worker.state != ACCEPTING and worker.pid and alarm.due(worker.born + limit):
            self._kill(worker, f"{_TOO_SLOW[worker.state]} within {limit:g}s")
        self._check_request(worker, alarm)

    def _check_request(self, worker: WorkerHandle, alarm: Alarm) -> None:
        """App code that yields nothing for `request_timeout` will not: the worker is ended."""
        limit, busy = self.settings.request_timeout, worker.row.busy_since_ns
        if limit is None or not worker.pid:
            return
        if not busy:
            alarm.due(alarm.now + limit / 2)
        elif alarm.due(busy / 1e9 + limit):
            self._kill(worker, f"app code ran over request_timeout={limit:g}s without a byte")

    def _balance(self, generation: Generation, kind: str, want: int, due: Callable[[float], bool]) -> None:
        staying = generation.staying(kind)
        if len(staying) < want and due(self._respawn_at):
            for _ in range(want - len(staying)):
                self._hire(generation, kind)
        accepting = [worker for worker in staying if worker.state == ACCEPTING]
        for worker in list(generation.workers.values()):
            waits = worker.kind == kind and worker.wants_successor and worker.state == ACCEPTING
            if waits and len(accepting) >= want:
                self.retire(worker, worker.reason)
        for worker in accepting[want:]:
            self.retire(worker, "fewer workers wanted")


def _importing(generation: Generation) -> bool:
    return not generation.loaded and not generation.lost and not generation.trouble[0]


def _bind(call: Callable[[_T], None], value: _T) -> Callable[[], None]:
    return lambda: call(value)
