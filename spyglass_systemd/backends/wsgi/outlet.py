"""The sending side of a connection: what the kernel does not take at once waits here. Knows nothing of HTTP."""

from __future__ import annotations

import _socket
import os
import sys

from spyglass_systemd.backends.wsgi.spool import nameless_file, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque

    from spyglass_systemd.backends.budget import Budget
else:
    from _collections import deque  # its package is 3 ms at a wake

MEMORY = 256 * 1024  # bytes that wait in memory before `full`; what comes then, or beyond the budget, waits in a file
_TURN = 2 * 1024 * 1024  # bytes that one connection sends before others have their turn
_MOST = 512 * 1024  # bytes given to the kernel in one call
_NOSIGNAL = _socket.MSG_NOSIGNAL
_SIOCOUTQ = 0x5411  # <linux/sockios.h>


class Stretch:
    """A part of an open file that waits to be sent; the descriptor is ours."""

    __slots__ = ("count", "fd", "offset", "spooled")

    def __init__(self, fd: int, offset: int, count: int, *, spooled: bool) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count
        self.spooled = spooled  # it is our own overflow, which more may be appended to


class Outlet:
    """Sends in order, never blocks, never raises for a client that is gone.

    `empty`: everything is with the kernel. `full`: whoever makes the bytes should wait until it is empty. `gone`: the
    client will read no more; what is put then is dropped. `short`: a file ended before its time. `waiting`: bytes.
    """

    __slots__ = ("_budget", "_memory", "_queued", "_sent", "_sock", "empty", "full", "gone", "short", "waiting")

    def __init__(self, sock: _socket.socket, budget: Budget) -> None:
        self._sock = sock
        self._budget = budget
        self._queued: deque[memoryview | Stretch] | None = None  # made when it is needed: most answers never wait
        self._memory = 0
        self._sent = 0
        self.waiting = 0
        self.empty = True
        self.full = False
        self.gone = False
        self.short = False

    def put(self, data: bytes) -> None:
        """Send, or keep. Raises OSError where the file that keeps it cannot grow."""
        if self.empty:
            try:
                sent = self._sock.send(data, _NOSIGNAL)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.lose()
                return
            self._sent += sent
            if sent == len(data):
                return
            self._keep(memoryview(data)[sent:])
        elif not self.gone:
            self._keep(memoryview(data))

    def say(self, data: bytes) -> None:
        """As put, of words of our own: where they can be neither sent nor kept the client is given up."""
        try:
            self.put(data)
        except OSError:  # ENOSPC; EMFILE, for the file that would keep them
            self.lose()

    def put_file(self, fd: int, offset: int, count: int) -> None:
        """Send `count` bytes of a file from `offset` on; the descriptor is ours from now on."""
        if self.gone or not count:
            os.close(fd)
            return
        self.empty = False
        self.waiting += count
        self._queue().append(Stretch(fd, offset, count, spooled=False))
        self.flush()

    def flush(self) -> None:
        """Give the kernel what it takes, up to one turn's worth."""
        queued = self._queue()
        turn = _TURN
        try:
            while queued and turn > 0:
                item = queued[0]
                if isinstance(item, Stretch):
                    sent = os.sendfile(self._sock.fileno(), item.fd, item.offset, min(item.count, _MOST))
                    item.offset += sent
                    item.count -= sent
                    self.short = self.short or not sent
                    if not item.count or not sent:
                        queued.popleft()
                        os.close(item.fd)
                else:
                    sent = self._sock.send(item[:_MOST], _NOSIGNAL)
                    self._memory -= sent
                    self._budget.give(sent)
                    if sent == len(item):
                        queued.popleft()
                    else:
                        queued[0] = item[sent:]
                turn -= sent
                self._sent += sent
                self.waiting -= sent
        except BlockingIOError:
            return
        except OSError:
            self.lose()
            return
        if not queued:
            self.waiting = 0
            self.empty = True
            self.full = False

    def lose(self) -> None:
        """The client is gone, or is given up: drop what waits, and what will be put."""
        self.gone, self.full, self.empty = True, True, False
        for item in self._queued or ():
            if isinstance(item, Stretch):
                os.close(item.fd)
        self._queued = None
        self._budget.give(self._memory)
        self._memory = self.waiting = 0

    def taken(self) -> int:
        """How many bytes the client's side has taken: what lies in our kernel it has not."""
        try:
            import fcntl  # noqa: PLC0415  # for a client who is slow
        except (ImportError, OSError):  # there is no descriptor left to load it by; then what our kernel has counts
            return self._sent
        queued = fcntl.ioctl(self._sock.fileno(), _SIOCOUTQ, bytes(4))
        return self._sent - int.from_bytes(queued, sys.byteorder)

    def _queue(self) -> deque[memoryview | Stretch]:
        if self._queued is None:
            self._queued = deque()
        return self._queued

    def _keep(self, data: memoryview) -> None:
        self.empty = False
        self.waiting += len(data)
        queued = self._queue()
        if self._memory < MEMORY and self._budget.take(len(data)):
            queued.append(data)
            self._memory += len(data)
            self.full = self._memory >= MEMORY
            return
        self.full = True
        last = queued[-1] if queued else None
        if not isinstance(last, Stretch) or not last.spooled:
            last = Stretch(nameless_file(), 0, 0, spooled=True)
            queued.append(last)
        write_all(last.fd, data)
        last.count += len(data)
