"""Leases: how an app says that it is at work though nobody is connected. Decides nothing about sleep."""

from __future__ import annotations

import _thread
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from spyglass_systemd.protocols.row import Row

# ### Who holds a lease?
# A worker, on its row of the scoreboard, under a lock, because any thread of the app may ask for one. It lives as long
# as its process at most: whatever ends a worker, the Master clears its row. A process that the app forks is not the
# worker, and outside of spyglass there is no row: there a lease is an object that does nothing, so the same code runs
# under any server.

_row: Row | None = None
_owner = 0
_lock = _thread.allocate_lock()


def attach(row: Row) -> None:
    """From here on the leases of this process are on `row`."""
    global _row, _owner, _lock
    _row, _owner = row, os.getpid()
    _lock = _thread.allocate_lock()  # a thread that did not come along in the fork may have held it


class Lease:
    """Keeps the app awake from its making until `release()`, or for a `with` or `async with` block.

    `name` says what for, for `spyglass status`: 56 bytes of it are shown. Releasing twice is no error.
    """

    __slots__ = ("_row", "_slot", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._slot = -1
        self._row = _row if _owner == os.getpid() else None
        if self._row is not None:
            with _lock:
                self._slot = self._row.lease(name, time.monotonic_ns())

    def release(self) -> None:
        """The work is done; `idle` runs from now."""
        with _lock:
            row, self._row = self._row, None
            if row is not None and _owner == os.getpid():
                row.release(self._slot, time.monotonic_ns())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Lease {self.name!r}{'' if self._row is not None else ' not held'}>"
