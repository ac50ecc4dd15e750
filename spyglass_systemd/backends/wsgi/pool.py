"""Runs the app in a few threads, for `threads` > 1; its sibling is inline. Knows no epoll."""

from __future__ import annotations

import os
import threading
import time
from _contextvars import copy_context
from _queue import SimpleQueue
from time import monotonic_ns

from spyglass_systemd.backends.wsgi.outlet import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections import deque

    from spyglass_systemd.backends.wsgi.connection import Connection
    from spyglass_systemd.backends.wsgi.exchange import Exchange
    from spyglass_systemd.backends.wsgi.service import Service
else:
    from _collections import deque  # its package is 3 ms at a wake

# ### Which thread may do what?
# The loop's thread reads, parses, counts, watches, closes. A thread of the pool runs the app for one exchange from its
# beginning to its end, and gives its bytes to the connection's outlet, which sends them from there: the answer is on
# its way before the loop hears of it. The two meet in the outlet, which has a lock, and in the queues of the pool. A
# socket whose exchange is with the pool is never closed: a closed descriptor's number is soon another client's, and a
# thread that is just about to send would send to him.
#
# An app's iterable is not suspended here: it stays on its thread from the first byte to the last, as a cursor of sqlite
# must. What a slow client does not take goes to a file, and only where that has grown to `_FULL` does the thread wait.

_FULL = 1 << 30  # bytes of one response that wait for one client before his thread waits too
_PATIENCE = 0.1


class Pool:
    """`threads` threads. What is submitted beyond them waits, and is not in the app yet."""

    def __init__(self, service: Service, threads: int) -> None:
        self._row = service.gate.row
        self._threads = threads
        self._jobs: SimpleQueue[tuple[Connection, Exchange]] = SimpleQueue()
        self._waiting: deque[tuple[Connection, Exchange]] = deque()  # the loop's
        self._running: set[Exchange] = set()  # in the app now; with _lock
        self._lock = threading.Lock()
        self._done: deque[tuple[Connection, Exchange]] = deque()
        self._stuck: deque[Connection] = deque()
        self._awake = False
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        service.progress = self._progress
        for number in range(1, threads + 1):
            threading.Thread(target=self._work, name=f"wsgi-{number}", daemon=True).start()

    def fileno(self) -> int:
        """Readable when there is something to collect."""
        return self._fd

    # ### The loop's side

    def outlet(self, sock: _socket.socket) -> SharedOutlet:
        """The sending side of a new connection."""
        return SharedOutlet(sock, self)

    def run(self, connection: Connection, exchange: Exchange) -> None:
        """As soon as a thread is free."""
        connection.running = True
        if isinstance(connection.outlet, SharedOutlet):
            connection.outlet.connection = connection
        if len(self._running) < self._threads:
            self._start(connection, exchange)
        else:
            self._waiting.append((connection, exchange))

    def abandon(self, exchange: Exchange) -> None:
        """Nobody wants the rest of it. A thread has seen to that already."""

    def collect(self) -> list[Connection]:
        """Connections whose exchange is over, and those whose outlet has to be watched."""
        os.eventfd_read(self._fd)
        self._awake = False  # before looking: what comes after this rings again
        news = []
        while self._done:
            connection, exchange = self._done.popleft()
            connection.running = False
            with self._lock:
                self._running.discard(exchange)
                self._note()
            if self._waiting:
                self._start(*self._waiting.popleft())
            news.append(connection)
        while self._stuck:
            connection = self._stuck.popleft()
            if connection.running:
                news.append(connection)
        return news

    def _start(self, connection: Connection, exchange: Exchange) -> None:
        with self._lock:
            exchange.since_ns = monotonic_ns()
            self._running.add(exchange)
            self._note()
        self._jobs.put((connection, exchange))

    def _note(self) -> None:
        """Tell the Master, who replaces a worker whose app runs too long, since when the oldest call runs."""
        self._row.busy(min((e.since_ns for e in self._running if e.since_ns), default=0))

    # ### The threads' side

    def _work(self) -> None:
        while True:
            self._answer(*self._jobs.get())

    def _answer(self, connection: Connection, exchange: Exchange) -> None:
        copy_context().run(self._call, exchange)
        self._done.append((connection, exchange))
        self._ring()

    def _call(self, exchange: Exchange) -> None:
        exchange.call()
        if not exchange.done:  # the client went away
            exchange.close()

    def _ring(self) -> None:
        if not self._awake:
            self._awake = True
            os.eventfd_write(self._fd, 1)

    def stuck(self, connection: Connection) -> None:
        """Its client does not take what the app yields: the loop has to send it."""
        self._stuck.append(connection)
        self._ring()

    def pause(self, exchange: Exchange, *, waits: bool) -> None:
        """The thread waits for its client: that is no time in the app."""
        with self._lock:
            exchange.since_ns = 0 if waits else monotonic_ns()
            self._note()

    def _progress(self, exchange: Exchange) -> bool:
        self.pause(exchange, waits=False)
        return False


class SharedOutlet(Outlet):
    """An outlet between the loop's thread and one of the pool. It is `full` only when the client is gone."""

    __slots__ = ("_lock", "_pool", "connection")

    def __init__(self, sock: _socket.socket, pool: Pool) -> None:
        super().__init__(sock)
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
