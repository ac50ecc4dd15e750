"""The Master's books: generations, their Templates, their workers. Makes no system call and holds no policy."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.protocols.control import Channel
    from spyglass_systemd.protocols.row import Row
    from spyglass_systemd.protocols.witness import Witness

BOOTING, ACCEPTING, RETIRING, LEAVING = "booting", "accepting", "retiring", "leaving"


class WorkerHandle:
    """What the Master knows of one worker. `pid` and `pidfd` are 0 and -1 until its Template has forked it."""

    __slots__ = (
        "asked",
        "born",
        "channel",
        "died",
        "doomed",
        "generation",
        "kind",
        "number",
        "pid",
        "pidfd",
        "quiet",
        "reason",
        "row",
        "state",
        "status",
        "trouble",
        "wants_successor",
    )

    def __init__(self, number: int, generation: int, channel: Channel, row: Row, born: float, kind: str) -> None:  # noqa: PLR0917  # what it is born with
        self.number = number
        self.generation = generation
        self.channel = channel
        self.row = row
        self.born = born
        self.kind = kind  # of the apps that it serves; "" until the first kind is known
        self.pid = 0
        self.pidfd = -1
        self.state = BOOTING
        self.status: int | None = None  # as waitpid(2), when its Template has told
        self.died: float | None = None  # when its pidfd became readable
        self.reason = ""  # why it retires, or why we killed it
        self.doomed = False  # to be killed; where its pid is not known yet, as soon as it is
        self.trouble: tuple[str, str] = ("", "")  # summary and traceback of why it cannot start the app
        self.wants_successor = False
        self.asked = 0  # number of its last quiesce
        self.quiet = False  # it has answered that

    @property
    def label(self) -> str:
        """The name in the log: `worker=3 gen=2 pid=917`. Its row knows the pid before its Template has told it."""
        return f"worker={self.number} gen={self.generation} pid={self.pid or self.row.pid}"

    def __repr__(self) -> str:
        return f"<WorkerHandle {self.label} {self.state}>"


class Generation:
    """One Template and the workers that it forked."""

    __slots__ = (
        "born",
        "broken",
        "channel",
        "import_us",
        "kinds",
        "lost",
        "number",
        "pid",
        "pidfd",
        "released",
        "spoken",
        "trouble",
        "witness",
        "workers",
    )

    def __init__(  # noqa: PLR0917  # what it is born with
        self, number: int, pid: int, pidfd: int, channel: Channel, born: float, witness: Witness
    ) -> None:
        self.number = number
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.born = born
        self.witness = witness  # what its processes are at
        self.import_us = -1  # -1 while it imports
        self.kinds: tuple[str, ...] = ()
        self.spoken: tuple[str, ...] = ()  # the kind of each listener's app, in their order
        self.broken = False  # the Master has been told
        self.released = False  # told to go
        self.lost = False  # its Template died; its workers may serve on
        self.trouble: tuple[str, str] = ("", "")  # summary and traceback of what broke
        self.workers: dict[int, WorkerHandle] = {}

    @property
    def label(self) -> str:
        """The name in the log: `gen=2 pid=917`."""
        return f"gen={self.number} pid={self.pid}"

    @property
    def loaded(self) -> bool:
        return self.import_us >= 0

    @property
    def importing(self) -> bool:
        return not self.loaded and not self.lost and not self.trouble[0]

    def load(self, import_us: int, spoken: tuple[str, ...]) -> None:
        """The apps are loaded; the worker that was asked for before serves the first of their kinds."""
        self.import_us, self.spoken, self.kinds = import_us, spoken, tuple(dict.fromkeys(spoken))
        if not spoken:
            return
        for worker in self.workers.values():
            worker.kind = worker.kind or spoken[0]

    @property
    def accepting(self) -> list[WorkerHandle]:
        return [worker for worker in self.workers.values() if worker.state == ACCEPTING]

    def staying(self, kind: str) -> list[WorkerHandle]:
        """The workers that count towards the number wanted: neither leaving nor about to be replaced."""
        there = [w for w in self.workers.values() if w.kind == kind and w.state in (BOOTING, ACCEPTING)]
        return [worker for worker in there if not worker.wants_successor]

    def serves(self, want: int = 1) -> bool:
        """Whether `want` workers of each kind accept."""
        kinds = [worker.kind for worker in self.accepting]
        return bool(self.kinds) and all(kinds.count(kind) >= want for kind in self.kinds)

    def __repr__(self) -> str:
        return f"<Generation {self.label} workers={list(self.workers)}>"


class Roster:
    """All generations, oldest first: the one that serves, the one that may follow it, those that are leaving."""

    __slots__ = ("current", "generations", "successor")

    def __init__(self) -> None:
        self.generations: dict[int, Generation] = {}
        self.current: Generation | None = None
        self.successor: Generation | None = None

    def workers(self) -> Iterator[WorkerHandle]:
        """Every worker of every generation."""
        for generation in self.generations.values():
            yield from generation.workers.values()

    def worker(self, number: int) -> WorkerHandle | None:
        return next((worker for worker in self.workers() if worker.number == number), None)

    @property
    def pids(self) -> frozenset[int]:
        """Every process of ours but the Master."""
        templates = {g.pid for g in self.generations.values() if not g.lost}
        return frozenset(templates | {worker.pid for worker in self.workers() if worker.pid})

    @property
    def unsettled(self) -> bool:
        """Whether a process imports, boots, retires or leaves: then nothing is quiet and no quiesce may begin."""
        return (
            self.successor is not None
            or any(not g.loaded and not g.lost for g in self.generations.values())
            or any(worker.state != ACCEPTING for worker in self.workers())
        )

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Every descriptor of the Master that a new Template closes first of all, by name."""
        fds = [fd for g in self.generations.values() for fd in (g.channel.fileno(), g.pidfd, g.witness.fd)]
        fds += [fd for worker in self.workers() for fd in (worker.channel.fileno(), worker.pidfd)]
        return tuple(fd for fd in fds if fd >= 0)
