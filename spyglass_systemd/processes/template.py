"""The Template: imports the app once and forks the workers. It serves nothing, accepts nothing, decides nothing."""

from __future__ import annotations

import gc
import os
import select
import sys
import time

from spyglass_systemd.backends import registry
from spyglass_systemd.processes import worker
from spyglass_systemd.processes.roster import Generation, WorkerHandle
from spyglass_systemd.protocols import apps, control, inherited, notify, offspring
from spyglass_systemd.protocols.control import Channel
from spyglass_systemd.protocols.row import BOOTING
from spyglass_systemd.protocols.witness import Witness
from spyglass_systemd.words.errors import AppError, SpyglassError
from spyglass_systemd.words.reports import Broken, Fork, Forked, Loaded, NotForked, Reaped, Said, Stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.protocols.row import Row
    from spyglass_systemd.protocols.scoreboard import Scoreboard
    from spyglass_systemd.words.listener import Lead, Listener
    from spyglass_systemd.words.options import Settings

_WARNING = 4  # syslog(3)
_SHARED = (
    "the import left open what all workers share, and disturb each other with: {}; "
    "open it at its first use, in each worker, or set preload = false"
)

# ### Why a process between the Master and its workers?
# Because loaded code cannot be unloaded. Whoever imports the app is what the app made of it, until it exits: its
# modules, its threads, its signal handlers, its open files. If the Master did it, the Master could not answer 503 while
# the app is broken, could not load new code beside the old, could not drop the app and stay. So a process is forked
# that is worth nothing: it imports the app, and everything that can go wrong there goes wrong in it.
#
# What it costs: one fork of a small process, less than a millisecond. What it gives besides: the workers are forked
# from a process that has the app in memory, so they share its pages and are there in milliseconds.
#
# ### What does it own after the fork?
# The list is here and nowhere else. **Closed, by name**: what the Master lists (its ends of all channels, its pidfds,
# its signal pipe). Never by range: libsystemd keeps a descriptor of its own for the journal, a range would close it,
# the next accepted connection would get its number, and the next log entry would be sent to a client. **Reset**:
# signals (offspring.fork), LISTEN_* (already gone), NOTIFY_SOCKET and WATCHDOG_*, which both libraries read at every
# call and which would let the app speak for us. **Kept**: the listeners, the scoreboard, its end of one channel,
# the witness.
#
# ### Who sees a worker die?
# Only a parent can wait for a process, and the parent is the Template. But the Master must know, also when the Template
# is dead. So the Template opens the worker's pidfd while it cannot have reaped it yet, and passes it on: its readiness
# is the death, for the Master as for the Template. What only the Template can tell is the exit status.


def start(
    number: int,
    listeners: tuple[Listener, ...],
    board: Scoreboard,
    settings: Settings,
    foreign: tuple[int, ...],
) -> Generation:
    """Fork a Template that imports the app, from a Master that never does. Raises OSError as fork(2)."""
    ours, theirs = control.pair()
    witness = Witness.create(len(board.rows))
    try:
        pid, pidfd = offspring.fork(
            lambda: run(theirs, (ours.fileno(), *foreign), listeners, board, settings, witness=witness),
            join=False,  # a thread that the app started at import serves nobody here, and may run for ever
        )
    except OSError:
        ours.close()
        witness.close()
        raise
    finally:
        theirs.close()
    return Generation(number, pid, pidfd, ours, time.monotonic(), witness)


def hire(generation: Generation, number: int, row: Row, kind: str = "") -> WorkerHandle:
    """Ask a Template for worker `number` for the apps of one kind, "" for the first that there is.

    One that still imports the app reads this when it is done: the request for the first worker is sent before the app
    is there, and costs no round trip.
    """
    ours, theirs = control.pair()
    row.enter(BOOTING)  # taken; the worker claims it
    handle = WorkerHandle(number, generation.number, ours, row, time.monotonic(), kind)
    generation.workers[number] = handle
    generation.channel.send(Fork(number, row.index, generation.number, kind), (theirs.detach(),))
    return handle


def run(
    channel: Channel,
    foreign: tuple[int, ...],
    listeners: tuple[Listener, ...],
    board: Scoreboard,
    settings: Settings,
    *,
    witness: Witness,
) -> None:
    """The body of a Template's process. `foreign` are the Master's descriptors. Returns when told to, or orphaned."""
    for fd in foreign:
        os.close(fd)
    notify.forget(os.environ)
    witness.swear()
    known = inherited.descriptors()
    began = time.monotonic_ns()
    # The collector would look at every new module's objects again and again while none of them can be garbage; then
    # they are put out of its sight, or the first collection in a worker would write to every shared page.
    gc.disable()
    try:
        apps.enter(settings)
        leads = apps.leads(settings, listeners)
        kinds = apps.fill(leads) if settings.preload else (worker.UNKNOWN,)
        for kind in kinds:
            registry.backend(kind)
    except AppError as error:
        channel.send(Broken(error.summary, error.trace))
        return
    except SpyglassError as error:  # the configuration has changed, and does not fit the listeners any more
        channel.send(Broken(error.summary, ""))
        return
    gc.freeze()
    threads = "\n".join(apps.threads())
    spoken = " ".join(lead.kind if settings.preload else worker.UNKNOWN for lead in leads)
    channel.send(Loaded((time.monotonic_ns() - began) // 1000, spoken, threads))
    _Nursery(channel, leads, kinds, board, settings, witness=witness, known=known).run()


class _Nursery:
    """Forks on request, in the order of the requests; reports deaths."""

    def __init__(
        self,
        channel: Channel,
        leads: tuple[Lead, ...],
        kinds: tuple[str, ...],
        board: Scoreboard,
        settings: Settings,
        *,
        witness: Witness,
        known: frozenset[int],
    ) -> None:
        self._known = known
        self._looked = not settings.preload
        self._channel = channel
        self._witness = witness
        self._leads = leads
        self._kinds = kinds
        self._board = board
        self._settings = settings
        self._wanted: list[tuple[Fork, Channel]] = []
        self._children: dict[int, tuple[int, int]] = {}  # pidfd: (worker, pid)
        self._poll = select.poll()

    def run(self) -> None:
        self._poll.register(self._channel.fileno(), select.POLLIN)
        while not self._channel.closed:
            stopped = self._hear()
            while self._wanted and not self._channel.closed:  # an orphan forks nobody
                self._fork(*self._wanted.pop(0))
            if stopped:  # whoever was asked for before may be awaited by somebody in the backlog
                return
            if self._children and not self._looked:  # nobody waits for this
                self._looked = True
                self._look()
            events = select.POLLIN | (select.POLLOUT if self._channel.pending else 0)
            self._poll.modify(self._channel.fileno(), events)
            for fd, _ in self._poll.poll():
                if fd in self._children:
                    self._reap(fd)
            self._channel.flush()

    def _hear(self) -> bool:
        """What the Master wants; whether that was the last of it."""
        stopped = False
        for report, fds in self._channel.receive():
            if isinstance(report, Stop):
                stopped = True
            elif isinstance(report, Fork) and fds:
                self._wanted.append((report, Channel(fds[0])))
            elif isinstance(report, Fork):  # it did not fit into our table of descriptors: MSG_CTRUNC in recv(2)
                self._channel.send(NotForked(report.worker, "the app has no descriptor left"))
        return stopped

    def _look(self) -> None:
        """Say what the import left open that the workers had better not share."""
        found = inherited.shared(self._known)
        if found:
            self._channel.send(Said("shared", _WARNING, _SHARED.format(", ".join(found))))

    def _fork(self, request: Fork, line: Channel) -> None:
        born_ns = time.monotonic_ns()
        _flush()
        try:
            pid, pidfd = offspring.fork(lambda: self._become_worker(request, line, born_ns))
        except OSError as error:
            line.close()
            self._channel.send(NotForked(request.worker, error.strerror or "unknown"))
            return
        line.close()
        offspring.renounce()
        self._children[pidfd] = (request.worker, pid)
        self._poll.register(pidfd, select.POLLIN)
        took_us = (time.monotonic_ns() - born_ns) // 1000
        self._channel.send(Forked(request.worker, pid, took_us), (os.dup(pidfd),))  # in the place of the line

    def _become_worker(self, request: Fork, line: Channel, born_ns: int) -> None:
        self._channel.close()
        for _, other in self._wanted:
            other.close()
        for pidfd in self._children:
            os.close(pidfd)
        row = self._board.rows[request.row]
        row.claim(os.getpid(), request.worker, request.generation)
        sys.stdin = None  # a worker has no person to ask
        self._witness.forget(row.index)
        kind, place = request.kind or self._kinds[0], self._witness.place(row.index)
        worker.run(line, row, self._leads, kind, self._settings, born_ns=born_ns, place=place)

    def _reap(self, pidfd: int) -> None:
        number, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        status = offspring.reap(pid)
        if status is not None:
            self._channel.send(Reaped(number, pid, status))


def _flush() -> None:
    """What the app has printed and nobody has written yet would be written by every child again."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # none, a full disk or a closed pipe, closed by the app
            continue
