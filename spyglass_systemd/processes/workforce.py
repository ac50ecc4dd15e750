"""The workers of all generations: hired, asked, replaced, buried. Knows no state of the app; it posts events."""

from __future__ import annotations

import os
import time

from spyglass_systemd.backends.base import FINAL
from spyglass_systemd.policy import respawn
from spyglass_systemd.processes import template
from spyglass_systemd.processes.roster import ACCEPTING, BOOTING, LEAVING, RETIRING, Generation, Roster, WorkerHandle
from spyglass_systemd.protocols import offspring, scoreboard, signals
from spyglass_systemd.words import reports
from spyglass_systemd.words.states import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.policy.quiesce import Quiesce as Proof
    from spyglass_systemd.processes.lobby import Lobby
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_BOOT_FAILURES = 3  # workers that die before they accept, one after another, and the app counts as broken


class Workforce:
    """All workers, and what is said to them and by them. `want` is how many of each kind there shall be."""

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
        self.lobby: Lobby | None = None  # where the Master itself accepts
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

    # ### Coming

    def _hire(self, generation: Generation, kind: str = "") -> bool:
        row, reason = self._board.free_row(), "the scoreboard is full"
        try:
            if row is not None:
                template.hire(generation, self._workers + 1, row, kind)
                self._workers += 1
                return True
        except OSError as error:  # EMFILE, ENFILE: somebody may close something
            reason = f"{error.strerror}"
        self._log.event("worker_refused", 4, reason=reason)
        self._respawn_at = time.monotonic() + respawn.delay(1)
        return False

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

    def find(self, worker: WorkerHandle) -> None:
        """Its Template died and could not say any more that it was forked; nobody else ever had its end of the channel.

        So while that is open it lives, its row says which process it is, and it serves on.
        """
        pid = worker.row.pid
        try:
            if pid and not worker.channel.closed:
                worker.pid, worker.pidfd = pid, os.pidfd_open(pid)
                self.hear_worker(worker)  # if it lives now, then that was its own number
        except OSError:  # gone, or no descriptor left: then its channel tells of its end
            pass
        if worker.channel.closed:
            self.bury(worker)
        elif worker.doomed and worker.pidfd >= 0:
            offspring.send_signal(worker.pidfd, signals.KILL)

    def _not_forked(self, generation: Generation, report: reports.NotForked) -> None:
        self._log.event("fork_failed", 3, actor=generation.label, worker=report.worker, reason=report.reason)
        worker = generation.workers.get(report.worker)
        if worker is not None:
            worker.reason = f"fork failed: {report.reason}"
            self.bury(worker)

    def _accepting(self, worker: WorkerHandle, report: reports.Accepting) -> None:
        if worker.state == BOOTING:
            worker.state = ACCEPTING
        self._board.header[scoreboard.H_BOOT_US] = report.boot_us
        generation = self.generation_of(worker)
        if generation.trouble[0]:
            return  # given up in this very turn
        if generation is self.roster.successor:
            if generation.serves(self.want):
                self._post(Event.SUCCESSOR_READY)
        elif generation is self.roster.current and generation.serves():
            self._post(Event.READY)

    # ### What they say

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
            elif isinstance(report, (reports.Welcomed, reports.Declined)) and self.lobby is not None:
                self.lobby.heard(worker.number, report)
            elif isinstance(report, reports.Stirred) and self.proof and report.number == self.proof.number:
                self._post(Event.STIRRED)
            elif isinstance(report, reports.Retiring):
                worker.wants_successor, worker.reason = True, report.reason
            elif isinstance(report, reports.Broken):
                worker.trouble, worker.reason = (report.summary, report.trace), worker.reason or report.summary
            else:
                self._tell(worker, report)
        generation = self.roster.generations.get(worker.generation)  # none: all of it was buried in this very turn
        if worker.pidfd < 0 and generation is not None and generation.lost and worker.number in generation.workers:
            self.find(worker)

    def _tell(self, worker: WorkerHandle, report: reports.Report) -> None:
        """What a worker has to say to people."""
        if isinstance(report, reports.Said):
            self._log.event(report.event, report.level, report.text, actor=worker.label)
        elif isinstance(report, reports.Greeted) and not self._greeted:
            self._greeted = True
            self._log.event("greeted", 6, actor=worker.label, peer=report.peer, listener=report.listener)

    def generation_of(self, worker: WorkerHandle) -> Generation:
        return self.roster.generations[worker.generation]

    def _quiesced(self, worker: WorkerHandle, report: reports.Quiesced) -> None:
        if worker.state == RETIRING:
            # An answer to an older quiesce says nothing: it was told to resume since, and may have accepted somebody.
            worker.quiet = worker.quiet or report.number == worker.asked  # dismissed when it holds no lease any more
        elif self.proof is not None:
            self.proof.acknowledge(worker.number, report.number, report.accepted, report.answered)

    # ### Going

    def retire(self, worker: WorkerHandle, reason: str, final: int = FINAL) -> None:
        """No way back for this worker: it stops accepting, finishes, reports, and is dismissed."""
        if worker.state in (BOOTING, ACCEPTING):
            self._quiesces += 1
            worker.state, worker.reason = RETIRING, worker.reason or reason
            worker.born = time.monotonic()  # from here on its age is that of its retirement
            worker.asked = self._quiesces
            worker.channel.send(reports.Quiesce(self._quiesces, final))

    def dismiss(self, worker: WorkerHandle) -> None:
        """A worker that is quiet may leave."""
        worker.state, worker.born = LEAVING, time.monotonic()
        worker.channel.send(reports.Stop())

    def kill(self, worker: WorkerHandle, reason: str) -> None:
        worker.reason, worker.doomed = reason, True
        if worker.pidfd >= 0:
            offspring.send_signal(worker.pidfd, signals.KILL)

    def notice_death(self, worker: WorkerHandle) -> None:
        """A worker's pidfd is readable. How it died only its Template can tell; wait a moment for that."""
        worker.died = worker.died or time.monotonic()
        generation = self.roster.generations.get(worker.generation)
        if generation is not None and generation.lost:  # none: its Template told in this very turn, and is dead too
            self.bury(worker)
            if generation is self.roster.current and not generation.workers:
                self._post(Event.TEMPLATE_LOST)  # nobody is left who serves: the next one must come now

    def bury(self, worker: WorkerHandle) -> None:
        generation = self.generation_of(worker)
        if generation.workers.pop(worker.number, None) is None:
            return
        self.hear_worker(worker)
        if self.lobby is not None:
            self.lobby.bereaved(worker.number)
        self._board.clear(worker.row)
        worker.channel.close()
        if worker.pidfd >= 0:
            os.close(worker.pidfd)
        how = offspring.describe(worker.status)
        left = worker.state in (RETIRING, LEAVING) and worker.status in (0, None) and not worker.doomed
        if worker.pid and left:  # else it was asked for and never forked: it is nobody
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
        pause = respawn.pause(self._failures)
        if worker.state == ACCEPTING:
            # The app works: it was a request that killed this one. Whoever comes next has another, and must not wait
            # for half a minute because somebody before him asked again and again for what kills.
            pause = min(pause, respawn.pause(2))
            for other in self.roster.workers():
                if other.state == ACCEPTING and other.kind == worker.kind:
                    other.channel.send(reports.Look())
        self._respawn_at = now + pause
        if self.proof is not None:
            self._post(Event.STIRRED)
        if worker.state != BOOTING or generation.lost or generation.trouble[0]:
            return
        if any(other.kind == worker.kind for other in generation.accepting):
            # No more will come, as at a wake; it may be the old ones who have what the others lack.
            if generation is self.roster.successor and generation.serves() and self._failures >= _BOOT_FAILURES:
                self._post(Event.SUCCESSOR_READY)
        elif worker.trouble[0] or self._failures >= _BOOT_FAILURES:
            died = f"{self._failures} workers in a row died before they could accept: {how}"
            generation.trouble = worker.trouble if worker.trouble[0] else (died, "")
            self.break_off(generation)

    def break_off(self, generation: Generation) -> None:
        """Say once that a generation is of no use, if anybody counts on it."""
        if not generation.broken and generation in (self.roster.current, self.roster.successor):
            generation.broken = True
            self._post(Event.SUCCESSOR_BROKEN if generation is self.roster.successor else Event.BROKEN)

    def _forget(self, generation: Generation) -> None:
        """Out of the books, once neither the Template nor a worker is left."""
        if generation.lost and not generation.workers and generation.number in self.roster.generations:
            del self.roster.generations[generation.number]
            generation.channel.close()
            generation.witness.close()
