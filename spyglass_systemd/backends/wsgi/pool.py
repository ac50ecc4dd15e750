"""Runs the app in a few threads, for `threads` > 1; its sibling is inline. Knows no epoll."""

from __future__ import annotations

import os
import threading
from _contextvars import copy_context
from _queue import SimpleQueue
from math import inf
from time import monotonic_ns

from spyglass_systemd.backends.wsgi.shared import SharedOutlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections import deque

    from spyglass_systemd.backends.wsgi.connection import Connection
    from spyglass_systemd.backends.wsgi.exchange import Exchange
    from spyglass_systemd.backends.wsgi.service import Service

    Job = tuple[Connection, Exchange]
else:
    from _collections import deque  # its package is 3 ms at a wake

# ### Which thread may do what?
# The loop's thread reads, parses, counts, watches, closes. A thread of the pool runs the app for one exchange from its
# beginning to its end, and gives its bytes to the connection's outlet, which sends them from there: the answer is on
# its way before the loop hears of it. The two meet in the outlet, which has a lock, and in the queues of the pool. A
# socket whose exchange is with the pool is never closed: a closed descriptor's number is soon another client's, and a
# thread that is just about to send would send to him.
#
# ### When does a second thread run?
# When the first one waits. Two threads that both want to run Python cannot: they take the interpreter from each other
# at every system call, over two processors, and that costs more than most requests (docs/explanation/threads.md has the
# figures). So requests that came together are answered one after another by one thread, while the loop sleeps. A call
# that is not over after `_QUICK_NS` waits for something, a database most often: then the next thread may begin. A call
# that waits keeps nobody from running, and a call that computes has been alone as long as it was quick.

_QUICK_NS = 1_000_000
_NEWS_NS = 2_000_000  # how long the loop sleeps while one thread answers a row of quick ones


class Pool:
    """`threads` threads. What is submitted waits in the pool until `start` gives it to one."""

    def __init__(self, service: Service, threads: int) -> None:
        self._row = service.gate.row
        self.budget = service.budget
        self._note_line = service.gate.note
        self._threads = threads
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()  # from here on with _lock
        self._running: dict[Exchange, int] = {}  # in the app now, since when
        self._done: deque[Job] = deque()
        self._stuck: deque[Connection] = deque()
        self._rung_ns = 0
        self._awake = False
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        service.progress = service.wrote = self._progress
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
        """As soon as a thread may."""
        connection.running = True
        if isinstance(connection.outlet, SharedOutlet):
            connection.outlet.connection = connection
        with self._lock:
            self._waiting.append((connection, exchange))

    def abandon(self, exchange: Exchange) -> None:
        """Nobody wants the rest of it. A thread has seen to that already."""

    def start(self) -> float:
        """Have a thread begin with what waits, if one may; returns in how many seconds it is worth asking again."""
        with self._lock:
            if not self._waiting or len(self._running) == self._threads:
                return inf
            left = self._quick_for()
            if left:
                return left / 1e9
            self._jobs.put(self._next())
            return _QUICK_NS / 1e9 if self._waiting else inf

    def collect(self) -> list[Connection]:
        """Connections whose exchange is over, and those whose outlet has to be watched."""
        os.eventfd_read(self._fd)
        self._awake = False  # before looking: what comes after this rings again
        news = []
        while self._done:
            connection, _ = self._done.popleft()
            connection.running = False
            news.append(connection)
        while self._stuck:
            connection = self._stuck.popleft()
            if connection.running:
                news.append(connection)
        return news

    def _quick_for(self) -> int:
        """Nanoseconds for which the youngest call may still be a quick one."""
        return max(0, max(self._running.values(), default=0) + _QUICK_NS - monotonic_ns())

    def _next(self) -> Job:
        job = self._waiting.popleft()
        exchange = job[1]
        exchange.since_ns = self._running[exchange] = monotonic_ns()
        self._note()
        return job

    def _note(self) -> None:
        """Tell the Master, who replaces a worker whose app runs too long, which call is the oldest, and how old."""
        oldest = min((e for e in self._running if e.since_ns), key=_since, default=None)
        if oldest is None:
            self._row.busy(0)
            return
        self._note_line(oldest.request.line)
        self._row.busy(oldest.since_ns)

    # ### The threads' side

    def _work(self) -> None:
        while True:
            job: Job | None = self._jobs.get()
            while job is not None:
                copy_context().run(self._call, job[1])
                job = self._hand_over(job)

    def _call(self, exchange: Exchange) -> None:
        exchange.call()
        if not exchange.done:  # the client went away
            exchange.close()

    def _hand_over(self, job: Job) -> Job | None:
        """One is done; the next one for this thread, if no other is just at work."""
        after = None
        with self._lock:
            del self._running[job[1]]
            self._done.append(job)
            if self._waiting and not self._quick_for():
                after = self._next()
            else:
                self._note()
        now = monotonic_ns()
        if after is None or now - self._rung_ns > _NEWS_NS:
            self._rung_ns = now
            self._ring()
        return after

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


def _since(exchange: Exchange) -> int:
    return exchange.since_ns
