"""An app's scoreboard, read by a tool: an immutable copy, or a reason why there is none. Disturbs nobody."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from spyglass_systemd.protocols import row as cells
from spyglass_systemd.protocols import scoreboard as header
from spyglass_systemd.protocols.row import CELL, LEASE_CELLS, LEASE_FIRST, LEASE_SLOTS, ROW_CELLS, ROW_STATES
from spyglass_systemd.protocols.scoreboard import HEADER_CELLS
from spyglass_systemd.tools.foreign import ForeignError, read
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.snapshot import Snapshot
from spyglass_systemd.words.states import State

NAME = "scoreboard"
_LIMIT = 16 * 1024 * 1024  # bytes; 256 workers need 100 KiB
_LEASE_LIMIT = 64  # bytes of a lease's name, escaped

# ### What may be believed?
# That it is what an app says of itself. The file is its own, and it can write any number into it; so a number is used
# for nothing but to be shown, a name is escaped, and what cannot be (a state that is none, a count below zero) is a
# reason not to show the rest. Which process is the Master, and what it has of memory, is for systemd to say.


@dataclass(frozen=True, slots=True)
class Worker:
    """One taken row. Times are CLOCK_MONOTONIC nanoseconds, 0 where there was none."""

    pid: int
    number: int
    generation: int
    state: str
    accepted: int
    open: int
    requests: int
    in_flight: int
    answered: int
    last_activity_ns: int
    busy_since_ns: int
    leases: int
    lease_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A scoreboard at some moment. Times are CLOCK_MONOTONIC nanoseconds, phases microseconds."""

    pid: int
    state: State
    generation: int
    began_ns: int
    entered_ns: int
    woke_ns: int
    ready_ns: int
    phases_us: dict[str, int]
    reloads: int
    reload_done: int
    reload_result: int
    failures: int
    workers: tuple[Worker, ...]
    seen: Snapshot


def look(directory: str) -> Board | None:
    """The scoreboard in an app's runtime `directory`; None where the app sleeps. Raises ForeignError."""
    try:
        data = read(directory, NAME, _LIMIT)
    except FileNotFoundError:
        return None
    return parse(data)


def parse(data: bytes) -> Board:
    """What a scoreboard's bytes say. Raises ForeignError where they are none, or say what cannot be."""
    if len(data) < HEADER_CELLS * CELL or len(data) % CELL:
        raise ForeignError(f"the scoreboard is cut: it has {len(data)} bytes")
    found = struct.unpack(f"={len(data) // CELL}q", data)
    head = found[:HEADER_CELLS]
    if head[header.H_MAGIC] != header.MAGIC:
        raise ForeignError("the scoreboard is none: it does not begin like one")
    if head[header.H_VERSION] != header.VERSION:
        raise ForeignError(
            "the scoreboard is one of another version of spyglass-systemd", hint="the app has ours when it wakes anew"
        )
    if head[header.H_ROWS] * ROW_CELLS != len(found) - HEADER_CELLS:
        raise ForeignError(f"the scoreboard is cut: it has no {head[header.H_ROWS]} rows")
    states = list(State)
    if not 0 <= head[header.H_STATE] < len(states):
        raise ForeignError(f"the scoreboard's state is {head[header.H_STATE]}, and there is none of that number")
    if any(cell < 0 for cell in head[header.H_ROWS :]):
        raise ForeignError("the scoreboard has counted below zero")
    rows = [found[start : start + ROW_CELLS] for start in range(HEADER_CELLS, len(found), ROW_CELLS)]
    workers = tuple(_worker(row) for row in rows if row[cells.STATE] != cells.FREE)
    return Board(
        pid=head[header.H_PID],
        state=states[head[header.H_STATE]],
        generation=head[header.H_GENERATION],
        began_ns=head[header.H_BEGAN],
        entered_ns=head[header.H_ENTERED],
        woke_ns=head[header.H_WOKE],
        ready_ns=head[header.H_READY],
        phases_us={
            "python": head[header.H_PYTHON_US],
            "load": head[header.H_IMPORT_US],
            "fork": head[header.H_FORK_US],
            "boot": head[header.H_BOOT_US],
        },
        reloads=head[header.H_RELOADS],
        reload_done=head[header.H_RELOAD_DONE],
        reload_result=head[header.H_RELOAD_RESULT],
        failures=head[header.H_FAILURES],
        workers=workers,
        seen=Snapshot(
            accepted=head[header.H_PAST_ACCEPTED] + sum(worker.accepted for worker in workers),
            answered=head[header.H_PAST_ANSWERED] + sum(worker.answered for worker in workers),
            requests=head[header.H_PAST_REQUESTS] + sum(worker.requests for worker in workers),
            open=sum(worker.open for worker in workers),
            in_flight=sum(worker.in_flight for worker in workers),
            leases=sum(worker.leases for worker in workers),
            last_activity_ns=max(head[header.H_PAST_ACTIVITY], *(worker.last_activity_ns for worker in workers), 0),
            busy_since_ns=min((worker.busy_since_ns for worker in workers if worker.busy_since_ns), default=0),
        ),
    )


def _worker(row: tuple[int, ...]) -> Worker:
    if not 0 <= row[cells.STATE] < len(ROW_STATES) or any(cell < 0 for cell in row[: cells.LEASES + 1]):
        raise ForeignError("the scoreboard has a row that no worker writes")
    return Worker(
        pid=row[cells.PID],
        number=row[cells.WORKER],
        generation=row[cells.GENERATION],
        state=ROW_STATES[row[cells.STATE]],
        accepted=row[cells.ACCEPTED],
        open=row[cells.OPEN],
        requests=row[cells.REQUESTS],
        in_flight=row[cells.IN_FLIGHT],
        answered=row[cells.ANSWERED],
        last_activity_ns=row[cells.LAST_ACTIVITY],
        busy_since_ns=row[cells.BUSY_SINCE],
        leases=row[cells.LEASES],
        lease_names=tuple(_leases(row)),
    )


def _leases(row: tuple[int, ...]) -> list[str]:
    found = []
    for start in range(LEASE_FIRST, LEASE_FIRST + LEASE_SLOTS * LEASE_CELLS, LEASE_CELLS):
        if row[start]:
            text = b"".join(cell.to_bytes(CELL, "little", signed=True) for cell in row[start + 1 : start + LEASE_CELLS])
            found.append(one_line(text.rstrip(b"\0").decode("utf-8", "replace"), _LEASE_LIMIT))
    return found
