"""One worker's row of the scoreboard: its cells, and the hand of its one writer. Makes no system call."""

from __future__ import annotations

CELL = 8
ROW_CELLS = 48

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

    def claim(self, pid: int, worker: int, generation: int) -> None:
        """The row is worker `worker`'s from here on. Its birth is no activity: nobody has asked for anything."""
        cells = self._cells
        cells[STATE], cells[GENERATION], cells[WORKER] = BOOTING, generation, worker
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

    def began(self, now_ns: int, count: int = 1) -> None:
        """A request, or `count` of them, has arrived whole enough to be given to the app."""
        cells = self._cells
        cells[REQUESTS] += count
        cells[IN_FLIGHT] += count
        cells[LAST_ACTIVITY] = now_ns

    def answered(self, now_ns: int, count: int = 1) -> None:
        """A request's response has left for the kernel, or can never leave because its client is gone."""
        cells = self._cells
        cells[ANSWERED] += count
        cells[IN_FLIGHT] -= count
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
