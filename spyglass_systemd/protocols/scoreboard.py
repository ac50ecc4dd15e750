"""The scoreboard: a shared file in which each worker counts and everybody may look. Knows no process and no policy."""

from __future__ import annotations

import os
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap

# ### Why no locks?
# Because every cell has one writer. A row belongs to one worker, whose loop thread stores into it; the header belongs
# to the Master. A cell is eight aligned bytes, so a reader sees the old value or the new one and nothing between. What
# a reader cannot have is two cells of the same moment, and nobody needs that: the scoreboard is advice. It tells the
# Master when it is worth asking; the answer that counts comes from the quiesce, by messages.
#
# ### Why a file, and why is it made this way?
# A tool can look without asking anybody: looking never wakes an app, never disturbs a worker. It is made anew by each
# Master under another name and renamed into place, so a reader has the old board or the whole new one. The blocks are
# allocated first: a store into a hole of a full tmpfs is not an error code, it is SIGBUS. And the file never shrinks,
# because a reader behind the new end would get the same. Without a directory to put it in, it is anonymous memory.

MAGIC = 0x53_50_59_47_4C_41_53_53  # "SPYGLASS"
VERSION = 1
CELL = 8
HEADER_CELLS = 64
ROW_CELLS = 48

# The header's cells, written by the Master. Times are CLOCK_MONOTONIC nanoseconds, 0 where there was none.
(
    H_MAGIC,
    H_VERSION,
    H_ROWS,
    H_PID,
    H_STATE,
    H_GENERATION,
    H_BEGAN,
    H_WOKE,
    H_READY,
    H_PYTHON_US,
    H_IMPORT_US,
    H_FORK_US,
    H_BOOT_US,
    H_RELOAD_DONE,
    H_RELOAD_RESULT,
    H_FAILURES,
    H_PAST_ACCEPTED,
    H_PAST_REQUESTS,
    H_PAST_ANSWERED,
    H_JOURNAL_DROPPED,
    H_PAST_ACTIVITY,
) = range(21)

# A row's cells, written by its worker; the Master clears a dead worker's.
(
    PID,
    STATE,
    GENERATION,
    WORKER,
    ACCEPTED,
    OPEN,
    REQUESTS,
    IN_FLIGHT,
    ANSWERED,
    LAST_ACTIVITY,
    BUSY_SINCE,
    LEASES,
) = range(12)

# Behind them, the names of the first leases that the worker holds: since when (0: a free slot), and 56 bytes of text.
LEASE_FIRST, LEASE_CELLS, LEASE_SLOTS = 16, 8, 4
_LEASE_TEXT = (LEASE_CELLS - 1) * CELL

FREE, BOOTING, ACCEPTING, QUIESCING, QUIET = range(5)
ROW_STATES = ("free", "booting", "accepting", "quiescing", "quiet")


class Row:
    """One worker's cells, in the hands of their one writer. An update is a store, never a system call."""

    __slots__ = ("_cells", "index")

    def __init__(self, cells: memoryview, index: int) -> None:
        self._cells = cells
        self.index = index

    def claim(self, pid: int, worker: int, generation: int, now_ns: int) -> None:
        """The row is worker `worker`'s from here on."""
        cells = self._cells
        cells[STATE], cells[GENERATION], cells[WORKER], cells[LAST_ACTIVITY] = BOOTING, generation, worker, now_ns
        cells[PID] = pid

    def enter(self, state: int) -> None:
        """FREE, BOOTING, ACCEPTING, QUIESCING or QUIET."""
        self._cells[STATE] = state

    def opened(self, now_ns: int) -> None:
        """A connection was accepted."""
        cells = self._cells
        cells[ACCEPTED] += 1
        cells[OPEN] += 1
        cells[LAST_ACTIVITY] = now_ns

    def closed(self) -> None:
        """A connection is closed. Not an activity: an idle connection that goes must not keep the app awake."""
        self._cells[OPEN] -= 1

    def began(self, now_ns: int) -> None:
        """A request has arrived whole enough to be given to the app."""
        cells = self._cells
        cells[REQUESTS] += 1
        cells[IN_FLIGHT] += 1
        cells[LAST_ACTIVITY] = now_ns

    def answered(self, now_ns: int) -> None:
        """A request's response has left for the kernel, or can never leave because its client is gone."""
        cells = self._cells
        cells[ANSWERED] += 1
        cells[IN_FLIGHT] -= 1
        cells[LAST_ACTIVITY] = now_ns

    def busy(self, since_ns: int) -> None:
        """App code has run since `since_ns` without yielding a byte; 0: it does not run."""
        self._cells[BUSY_SINCE] = since_ns

    def lease(self, name: str, now_ns: int) -> int:
        """The app asks to be kept awake. Returns the slot with the name, -1 when all slots are taken."""
        cells = self._cells
        cells[LEASES] += 1
        for slot in range(LEASE_SLOTS):
            start = LEASE_FIRST + slot * LEASE_CELLS
            if not cells[start]:
                text = name.encode("utf-8", "replace")[:_LEASE_TEXT].ljust(_LEASE_TEXT, b"\0")
                for i in range(LEASE_CELLS - 1):
                    cells[start + 1 + i] = int.from_bytes(text[i * CELL : (i + 1) * CELL], "little", signed=True)
                cells[start] = now_ns
                return slot
        return -1

    def release(self, slot: int, now_ns: int) -> None:
        """The lease in `slot` is over. That is an activity: `idle` runs from here."""
        cells = self._cells
        if slot >= 0:
            cells[LEASE_FIRST + slot * LEASE_CELLS] = 0
        cells[LAST_ACTIVITY] = max(cells[LAST_ACTIVITY], now_ns)
        cells[LEASES] -= 1

    @property
    def leases(self) -> int:
        """How many leases the worker holds."""
        return self._cells[LEASES]

    @property
    def lease_names(self) -> tuple[str, ...]:
        """What they are called, as far as there were slots."""
        cells, found = self._cells, []
        for start in range(LEASE_FIRST, LEASE_FIRST + LEASE_SLOTS * LEASE_CELLS, LEASE_CELLS):
            if cells[start]:
                text = b"".join(cells[start + i].to_bytes(CELL, "little", signed=True) for i in range(1, LEASE_CELLS))
                found.append(text.rstrip(b"\0").decode("utf-8", "replace"))
        return tuple(found)

    @property
    def occupied(self) -> bool:
        """Whether a connection is open or a request is not done: one may outlast the other."""
        return self._cells[OPEN] > 0 or self._cells[IN_FLIGHT] > 0

    @property
    def pid(self) -> int:
        return self._cells[PID]

    @property
    def worker(self) -> int:
        return self._cells[WORKER]

    @property
    def accepted(self) -> int:
        return self._cells[ACCEPTED]

    @property
    def open(self) -> int:
        return self._cells[OPEN]

    @property
    def requests(self) -> int:
        return self._cells[REQUESTS]

    @property
    def in_flight(self) -> int:
        return self._cells[IN_FLIGHT]

    @property
    def done(self) -> int:
        """Requests answered."""
        return self._cells[ANSWERED]

    @property
    def last_activity_ns(self) -> int:
        return self._cells[LAST_ACTIVITY]

    @property
    def busy_since_ns(self) -> int:
        return self._cells[BUSY_SINCE]

    @property
    def state(self) -> int:
        return self._cells[STATE]

    def __repr__(self) -> str:
        state = self.state
        name = ROW_STATES[state] if 0 <= state < len(ROW_STATES) else str(state)
        return (
            f"<Row {self.index} {name} pid={self.pid} accepted={self.accepted} open={self.open} "
            f"requests={self.requests} in_flight={self.in_flight}>"
        )


class Snapshot:
    """An immutable copy of what matters for a decision, summed over all rows and over the workers that are gone."""

    __slots__ = ("accepted", "answered", "busy_since_ns", "in_flight", "last_activity_ns", "leases", "open", "requests")

    def __init__(
        self,
        *,
        accepted: int = 0,
        answered: int = 0,
        requests: int = 0,
        open: int = 0,  # noqa: A002  # the field's name
        in_flight: int = 0,
        last_activity_ns: int = 0,
        busy_since_ns: int = 0,
        leases: int = 0,
    ) -> None:
        self.accepted = accepted
        self.answered = answered
        self.requests = requests
        self.open = open
        self.in_flight = in_flight
        self.last_activity_ns = last_activity_ns
        self.busy_since_ns = busy_since_ns
        self.leases = leases

    @property
    def occupied(self) -> bool:
        """Whether anything is open, under way, or asks to be kept awake."""
        return self.open > 0 or self.in_flight > 0 or self.leases > 0

    def __repr__(self) -> str:
        return f"<Snapshot {' '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)}>"


class Scoreboard:
    """The board as the Master sees it: a header and `rows` rows."""

    __slots__ = ("_memory", "_view", "header", "path", "rows")

    def __init__(self, memory: mmap, rows: int, path: str) -> None:
        self._memory = memory
        self._view = memoryview(memory).cast("B").cast("q")
        self.header = self._view[:HEADER_CELLS]
        self.rows = tuple(
            Row(self._view[HEADER_CELLS + i * ROW_CELLS : HEADER_CELLS + (i + 1) * ROW_CELLS], i) for i in range(rows)
        )
        self.path = path

    @classmethod
    def create(cls, directory: str, rows: int, pid: int) -> Scoreboard:
        """A new board of `rows` rows at `directory`/scoreboard, mode 0644 whatever the umask; "" for anonymous memory.

        Raises OSError: ENOSPC where the tmpfs is full, before any store could be a SIGBUS.
        """
        size = (HEADER_CELLS + rows * ROW_CELLS) * CELL
        path = ""
        if directory:
            path = f"{directory}/scoreboard"
            new = f"{directory}/.scoreboard.{pid}"
            fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                os.posix_fallocate(fd, 0, size)
                os.fchmod(fd, 0o644)
                memory = mmap(fd, size, MAP_SHARED, PROT_READ | PROT_WRITE)
                board = cls(memory, rows, path)
                board._fill_header(pid)
                os.rename(new, path)
            except OSError:
                os.unlink(new)
                raise
            finally:
                os.close(fd)
            return board
        board = cls(mmap(-1, size, MAP_SHARED, PROT_READ | PROT_WRITE), rows, path)
        board._fill_header(pid)
        return board

    def _fill_header(self, pid: int) -> None:
        self.header[H_VERSION], self.header[H_ROWS], self.header[H_PID] = VERSION, len(self.rows), pid
        self.header[H_MAGIC] = MAGIC

    def free_row(self) -> Row | None:
        """A row that nobody has, or None when the board is full."""
        return next((row for row in self.rows if row.state == FREE), None)

    def clear(self, row: Row) -> None:
        """Free a dead worker's row; what it had counted stays in the header's sums."""
        header = self.header
        header[H_PAST_ACCEPTED] += row.accepted
        header[H_PAST_REQUESTS] += row.requests
        header[H_PAST_ANSWERED] += row.done
        header[H_PAST_ACTIVITY] = max(header[H_PAST_ACTIVITY], row.last_activity_ns)
        start = HEADER_CELLS + row.index * ROW_CELLS
        self._view[start + PID] = 0
        for cell in range(1, ROW_CELLS):
            self._view[start + cell] = 0

    def snapshot(self) -> Snapshot:
        """What all workers have counted until now."""
        taken = [row for row in self.rows if row.state != FREE]
        header = self.header
        return Snapshot(
            accepted=header[H_PAST_ACCEPTED] + sum(row.accepted for row in taken),
            answered=header[H_PAST_ANSWERED] + sum(row.done for row in taken),
            requests=header[H_PAST_REQUESTS] + sum(row.requests for row in taken),
            open=sum(row.open for row in taken),
            in_flight=sum(row.in_flight for row in taken),
            leases=sum(row.leases for row in taken),
            last_activity_ns=max(header[H_PAST_ACTIVITY], *(row.last_activity_ns for row in taken), 0),
            busy_since_ns=min((row.busy_since_ns for row in taken if row.busy_since_ns), default=0),
        )
