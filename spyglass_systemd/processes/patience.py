"""How long each process below the Master may take, and what becomes of one that takes longer. Forks nobody."""

from __future__ import annotations

from spyglass_systemd.processes.roster import ACCEPTING, BOOTING, LEAVING, RETIRING
from spyglass_systemd.protocols import offspring, signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.processes.roster import Generation, WorkerHandle
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.witness import Witness

_TOO_SLOW = {
    BOOTING: "did not accept (import_timeout)",
    RETIRING: "was not done (drain)",
    LEAVING: "did not end (drain)",
}
_LEASE_LOOK = 0.2  # seconds between two looks at a worker that is quiet but holds a lease
_LEAVE = 5.0  # seconds for the atexit functions of a Template
FORK = 10.0  # seconds for a Template that has the app to fork a worker
_STATUS_WAIT = 0.25  # seconds for a Template to tell the exit status of a worker that we know is dead
_LAST_WORDS = 0.1  # seconds for a process that is about to be ended to write down where it is
_KEPT = 1.0  # seconds by which we may look late before it counts
_WARNING = 4  # syslog(3)

# ### What if it was us who were stopped?
# A machine that was suspended, a Ctrl-Z, a debugger: when all go on, every deadline is over, and those who would have
# met theirs would be killed for our absence. So when we look later than we meant to, everybody gets as long as we were
# late once more.


class Patience:
    """Deadlines of imports, boots, requests, drains and ends."""

    def __init__(self, crew: Crew, log: Log) -> None:
        self._crew = crew
        self._log = log
        self._asked: object = None  # who is writing down its stacks
        self._asked_until = 0.0
        self._lenient_until = 0.0
        self._stopped: dict[int, float] = {}  # workers, by number, that were seen stopped, and when first

    def check(self, alarm: Alarm) -> None:
        """End who is stuck."""
        if alarm.late > _KEPT:
            self._lenient_until = alarm.now + alarm.late
        for generation in list(self._crew.roster.generations.values()):
            self._check_template(generation, alarm)
        for worker in list(self._crew.roster.workers()):
            self._check_worker(worker, alarm)

    def _over(self, since: float, limit: float, alarm: Alarm) -> bool:
        return alarm.due(max(since + limit, self._lenient_until))

    def _stacks(self, whom: WorkerHandle | Generation, witness: Witness, alarm: Alarm) -> str | None:
        """Where the threads of a process are that is about to be ended; None while it is writing that down."""
        if self._asked is not whom:
            if not alarm.due(self._asked_until):  # somebody else is writing
                return None
            self._asked, self._asked_until = whom, alarm.now + _LAST_WORDS
            witness.ask(whom.pidfd)
        if not alarm.due(self._asked_until):
            return None
        self._asked = None
        return witness.stacks()

    # ### Templates

    def _check_template(self, generation: Generation, alarm: Alarm) -> None:
        limit = self._crew.settings.import_timeout
        if generation.released:
            leave = self._crew.settings.drain if generation.importing else _LEAVE
            if not generation.lost and self._over(generation.born, leave, alarm):
                offspring.send_signal(generation.pidfd, signals.KILL)  # its atexit functions do not end
        elif generation.importing and self._over(generation.born, limit, alarm):
            self._crew.hear_template(generation)  # it may have said so while we were kept from listening
            stacks = self._stacks(generation, generation.witness, alarm) if generation.importing else None
            if stacks is not None:
                generation.trouble = (f"the import did not end within import_timeout={limit:g}s", stacks)
                offspring.send_signal(generation.pidfd, signals.KILL)
                self._crew.break_off(generation)
        elif generation.loaded and not generation.lost:
            self._check_forks(generation, alarm)

    def _check_forks(self, generation: Generation, alarm: Alarm) -> None:
        """A Template that has the app and forks nobody is stuck, or stopped; who waits for a worker would wait on."""
        unborn = [worker.born for worker in generation.workers.values() if not worker.pid]
        if not unborn or not self._over(max(min(unborn), generation.born + generation.import_us / 1e6), FORK, alarm):
            return
        self._crew.hear_template(generation)
        if any(not worker.pid for worker in generation.workers.values()):
            stacks = self._stacks(generation, generation.witness, alarm)
            if stacks is not None:
                self._tell(generation, f"forked no worker for {FORK:g}s", "", stacks)
                offspring.send_signal(generation.pidfd, signals.KILL)

    def _tell(self, whom: WorkerHandle | Generation, why: str, request: str, stacks: str) -> None:
        self._log.event("stuck", _WARNING, f"{why}\n{stacks}".rstrip(), actor=whom.label, request=request)

    # ### Workers

    def _check_worker(self, worker: WorkerHandle, alarm: Alarm) -> None:
        if worker.died is not None:
            if alarm.due(worker.died + _STATUS_WAIT):
                self._crew.bury(worker)
            return
        if worker.state == RETIRING and worker.quiet:
            if not worker.row.leases:
                self._crew.dismiss(worker)
            else:
                alarm.due(alarm.now + _LEASE_LOOK)
        if not worker.pid:
            return
        settings = self._crew.settings
        limit = settings.import_timeout if worker.state == BOOTING else settings.drain
        if worker.state == BOOTING and self._over(worker.born, limit, alarm):
            self._crew.hear_worker(worker)  # as above
        if worker.state == BOOTING and self._over(worker.born, limit, alarm):
            self._end_stuck(worker, f"{_TOO_SLOW[BOOTING]} within {limit:g}s", "", alarm)
        elif worker.state not in (BOOTING, ACCEPTING) and self._over(worker.born, limit, alarm):
            self._crew.kill(worker, f"{_TOO_SLOW[worker.state]} within {limit:g}s")
        self._check_request(worker, alarm)

    def _check_request(self, worker: WorkerHandle, alarm: Alarm) -> None:
        """App code that yields nothing for `request_timeout` will not, nor will one that is stopped: it is ended."""
        limit, busy = self._crew.settings.request_timeout, worker.row.busy_since_ns
        witness = self._crew.generation_of(worker).witness
        if limit is None:
            return
        if busy and self._over(busy / 1e9, limit, alarm):
            why = f"app code ran over request_timeout={limit:g}s without a byte"
            self._end_stuck(worker, why, witness.noted(worker.row.index), alarm)
        elif not busy:
            alarm.due(alarm.now + limit / 2)
            awaited = worker.row.open or (self._crew.lobby is not None and self._crew.lobby.awaits(worker.number))
            if not awaited or not _is_stopped(worker.pid):
                self._stopped.pop(worker.number, None)
            elif self._over(self._stopped.setdefault(worker.number, alarm.now), limit, alarm):
                self._crew.kill(worker, f"was stopped over request_timeout={limit:g}s, with connections open")

    def _end_stuck(self, worker: WorkerHandle, why: str, request: str, alarm: Alarm) -> None:
        witness = self._crew.generation_of(worker).witness
        stacks = None if worker.doomed else self._stacks(worker, witness, alarm)
        if stacks is not None:
            self._tell(worker, why, request, stacks)
            self._crew.kill(worker, why)


def _is_stopped(pid: int) -> bool:
    """By a signal; one that a debugger holds is somebody's business (proc_pid_stat(5))."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] == b"T"
    except OSError:
        return False
