"""The scoreboard: a shared file in which each worker counts and everybody may look. Knows no process and no policy."""

from __future__ import annotations

import os
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap

from spyglass_systemd.protocols.row import CELL, FREE, PID, ROW_CELLS, Row
from spyglass_systemd.words.snapshot import Snapshot

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
HEADER_CELLS = 64

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
    H_ENTERED,
    H_RELOADS,
) = range(23)


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
