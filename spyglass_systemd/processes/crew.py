"""The crew: Templates and workers, started, watched and ended. Knows no state of the app; it posts events."""

from __future__ import annotations

import os
import time

from spyglass_systemd.backends.base import LAST_CALL, PAUSE
from spyglass_systemd.policy.quiesce import Quiesce as Proof
from spyglass_systemd.processes import patience, template
from spyglass_systemd.processes.roster import ACCEPTING, LEAVING, Generation
from spyglass_systemd.processes.workforce import Workforce
from spyglass_systemd.protocols import offspring, scoreboard, signals
from spyglass_systemd.words import reports
from spyglass_systemd.words.states import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings


class Crew(Workforce):
    """All processes below the Master."""

    def __init__(
        self,
        listeners: tuple[Listener, ...],
        board: Scoreboard,
        settings: Settings,
        log: Log,
        post: Callable[[Event], None],
    ) -> None:
        super().__init__(listeners, board, settings, log, post)
        self._patience = patience.Patience(self, log)

    # ### Templates

    def begin(self, foreign: tuple[int, ...]) -> Generation:
        """Fork a Template and ask it for its first worker. Raises OSError as fork(2)."""
        self._generations += 1
        generation = template.start(
            self._generations,
            self._listeners,
            self._board,
            self.settings,
            (*foreign, *self.roster.descriptors, *(self.lobby.descriptors if self.lobby is not None else ())),
        )
        return self.adopt(generation)

    def adopt(self, generation: Generation) -> Generation:
        """Take a Template into the books and ask it for its first worker."""
        self._generations = generation.number
        self.roster.generations[generation.number] = generation
        self._board.header[scoreboard.H_GENERATION] = generation.number
        self._greeted = False
        self.forget_failures()
        if not generation.workers:
            self._hire(generation)
        else:
            self._workers = max(generation.workers)
        return generation

    def discard(self, generation: Generation) -> None:
        """Throw away a generation that is of no use. A worker of it retires: it may have accepted somebody already."""
        for worker in generation.workers.values():
            self.retire(worker, "its generation was discarded")
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

    def hear_template(self, generation: Generation) -> None:
        """Read what a Template reports."""
        generation.channel.flush()
        for report, fds in generation.channel.receive():
            if isinstance(report, reports.Loaded):
                generation.load(report.import_us, tuple(report.kinds.split()))
                self._board.header[scoreboard.H_IMPORT_US] = report.import_us
                self._tell_of_threads(generation, report.threads.splitlines())
            elif isinstance(report, reports.Said):
                self._log.event(report.event, report.level, report.text, actor=generation.label)
            elif isinstance(report, reports.Broken):
                generation.trouble = (report.summary, report.trace)
                self.break_off(generation)
            elif isinstance(report, reports.Forked):
                self._forked(generation, report, fds)
            elif isinstance(report, reports.NotForked):
                self._not_forked(generation, report)
            elif isinstance(report, reports.Reaped):
                worker = generation.workers.get(report.worker)
                if worker is not None:
                    worker.status = report.status
                    self.bury(worker)

    def _tell_of_threads(self, generation: Generation, names: list[str]) -> None:
        """A fork takes no thread along: what they were started for does not happen in any worker."""
        if names:
            told = f"the import started threads that no worker has: {', '.join(names)}"
            advice = "start them at the first request, in each worker, or set preload = false"
            self._log.event("threads_left_behind", 4, f"{told}; {advice}", actor=generation.label)

    def bury_template(self, generation: Generation) -> None:
        """A Template is dead: reap it, and see what that means for its workers."""
        self.hear_template(generation)  # its last words first
        for worker in list(generation.workers.values()):
            self.hear_worker(worker)  # one that accepts serves on, and the app is awake before it has lost its Template
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
                self.break_off(generation)
        for worker in list(generation.workers.values()):
            if worker.died:  # nobody can tell any more how
                self.bury(worker)
            elif worker.pidfd < 0:
                self.find(worker)
        self._forget(generation)

    # ### All of them

    def dismiss_all(self, reason: str) -> None:
        """All workers may leave: they are quiet."""
        for worker in self.roster.workers():
            if worker.state != LEAVING:
                worker.reason = reason
                self.dismiss(worker)

    def drain(self, final: int) -> None:
        """Let everything that is accepted be answered. What still imports is of use to those in the backlog alone."""
        for generation in list(self.roster.generations.values()):
            self.hear_template(generation)  # its worker may be serving, and we have not read of it yet
            if generation.importing and (final != LAST_CALL or generation is not self.roster.current):
                generation.released = True  # the Template only: a worker that it has forked by then has a visitor
                offspring.send_signal(generation.pidfd, signals.KILL)
            elif final == LAST_CALL:
                self.release(generation)  # it holds the listeners too; the worker that it was asked for comes before
        for worker in self.roster.workers():
            self.retire(worker, "stop", final)

    def kill_all(self, reason: str) -> None:
        """Everything below the Master, at once."""
        for worker in self.roster.workers():
            self.kill(worker, reason)
        for generation in self.roster.generations.values():
            if not generation.lost:
                offspring.send_signal(generation.pidfd, signals.KILL)

    def resize(self, by: int) -> None:
        """So many workers of each kind more, or fewer."""
        self.aim_at(max(1, self.want + by))
        self._log.event("resized", 6, workers=self.want)
        if self.roster.successor is not None and self.roster.successor.serves(self.want):
            self._post(Event.SUCCESSOR_READY)  # it was waited for more of them

    def aim_at(self, workers: int) -> None:
        """So many workers of each kind, if the scoreboard has rows for two generations of them."""
        self.want = min(workers, len(self._board.rows) // 4)
        if self.want < workers:
            reason = f"the scoreboard of this run has room for {self.want}; restart for more"
            self._log.event("worker_refused", 4, reason=reason)

    def forget_failures(self) -> None:
        """Who has died before says nothing of those who are started now: nobody waits for them."""
        self._failures, self._respawn_at = 0, 0.0

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
                self.kill(worker, "did not answer a quiesce")

    # ### Deadlines

    def check(self, alarm: Alarm, *, may_fork: bool, first_only: bool) -> None:
        """What time brings: stuck processes, missing and surplus workers. `first_only`: one worker will do for now."""
        self._patience.check(alarm)
        if not may_fork:
            return
        for serving in (self.roster.current, self.roster.successor):
            if serving is not None and serving.loaded and not serving.lost and not serving.trouble[0]:
                want = 1 if first_only and serving is self.roster.current else self.want
                for kind in serving.kinds:
                    self._balance(serving, kind, want, alarm.due)

    def _balance(self, generation: Generation, kind: str, want: int, due: Callable[[float], bool]) -> None:
        staying = generation.staying(kind)
        if len(staying) < want and due(self._respawn_at):
            for _ in range(want - len(staying)):
                if not self._hire(generation, kind):
                    break
            due(time.monotonic() + patience.FORK)  # it is looked at by then
        accepting = [worker for worker in staying if worker.state == ACCEPTING]
        for worker in list(generation.workers.values()):
            waits = worker.kind == kind and worker.wants_successor and worker.state == ACCEPTING
            if waits and len(accepting) >= want:
                self.retire(worker, worker.reason)
        for worker in accepting[want:]:
            self.retire(worker, "fewer workers wanted")
