"""The sending side of a connection whose exchange runs in a thread of the pool. Knows nothing of HTTP."""

from __future__ import annotations

import threading
import time

from spyglass_systemd.backends.wsgi.outlet import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from spyglass_systemd.backends.wsgi.connection import Connection
    from spyglass_systemd.backends.wsgi.pool import Pool

# An app's iterable is not suspended in the pool: it stays on its thread from the first byte to the last, as a cursor of
# sqlite must. What a slow client does not take goes to a file, and only where that has grown to `_FULL` does the thread
# wait.

_FULL = 1 << 30  # bytes of one response that wait for one client before his thread waits too
_PATIENCE = 0.1


class SharedOutlet(Outlet):
    """An outlet between the loop's thread and one of the pool. It is `full` only when the client is gone."""

    __slots__ = ("_lock", "_pool", "connection")

    def __init__(self, sock: _socket.socket, pool: Pool) -> None:
        super().__init__(sock, pool.budget)
        self._lock = threading.RLock()
        self._pool = pool
        self.connection: Connection | None = None  # whose it is, once the pool has it

    def put(self, data: bytes) -> None:
        """As Outlet.put. Blocks where far too much waits."""
        with self._lock:
            before = self.empty
            super().put(data)
            self.full = self.gone
        if not self.empty:
            self._linger(before=before)

    def put_file(self, fd: int, offset: int, count: int) -> None:
        """As Outlet.put_file."""
        with self._lock:
            before = self.empty
            super().put_file(fd, offset, count)
        if not self.empty:
            self._linger(before=before)

    def _linger(self, *, before: bool) -> None:
        connection = self.connection
        if connection is None or not connection.running:
            return  # the loop itself refuses a request
        if before:
            self._pool.stuck(connection)
        exchange = connection.exchange
        if self.waiting > _FULL and exchange is not None:
            self._pool.pause(exchange, waits=True)
            while self.waiting > _FULL and not self.gone:
                time.sleep(_PATIENCE)
            self._pool.pause(exchange, waits=False)

    def flush(self) -> None:
        """As Outlet.flush."""
        with self._lock:
            super().flush()
            self.full = self.gone

    def lose(self) -> None:
        """As Outlet.lose."""
        with self._lock:
            super().lose()
            if self.connection is not None and not self.connection.running:
                self.connection = None  # a cycle
