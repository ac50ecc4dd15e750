"""The socket of a connection: what epoll watches of it, and how it is seen off. Knows no request."""

from __future__ import annotations

import _socket
from math import inf
from time import monotonic

from spyglass_systemd.backends.wsgi.farewell import Farewell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.backends.wsgi.framing import Framing
    from spyglass_systemd.backends.wsgi.loop import Loop
    from spyglass_systemd.backends.wsgi.outlet import Outlet

FRESH, IDLE, REQUEST, ANSWER, FAREWELL, CLOSED = range(6)
# FRESH: nothing has come yet. IDLE: between two requests. REQUEST: one is coming in. ANSWER: the app runs, or its
# response goes out. FAREWELL: we have said our last word.

IN, OUT, LOST = 0x001, 0x004, 0x018  # <sys/epoll.h>: EPOLLIN, EPOLLOUT, EPOLLERR | EPOLLHUP
_RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, for 0 seconds


class Wire:
    """One accepted socket, its `framing` and its `outlet`; `deadline` is when `expire` is due."""

    __slots__ = ("_farewell", "_loop", "mask", "deadline", "fd", "framing", "outlet", "sock", "state")

    def __init__(self, loop: Loop, sock: _socket.socket, framing: Framing, outlet: Outlet) -> None:
        self._loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.framing = framing
        self.outlet = outlet
        self.state = FRESH
        self.deadline = inf
        self.mask = -1  # what epoll watches; -1: it does not know us
        self._farewell: Farewell | None = None

    def _goodbye(self, *, at_once: bool = False) -> None:
        self.state = FAREWELL
        self._farewell = Farewell(self.sock, monotonic(), at_once=at_once)
        self._linger()

    def _linger(self) -> None:
        farewell, now = self._farewell, monotonic()
        if farewell is None or farewell.over(now):
            self._close()
        else:
            self._loop.arm(self, farewell.until - now)
            self._watch(IN)

    def _break_off(self) -> None:
        """End it so that the client sees that something is missing."""
        self.sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
        self._close()

    def _close(self) -> None:
        self.state = CLOSED
        self.framing.close()
        self.outlet.lose()
        self._watch(-1)  # close(2) is not enough for epoll where a child of the app has a copy of the descriptor
        self._loop.forget(self)
        self.sock.close()

    def _watch(self, mask: int) -> None:
        if mask != self.mask:
            self._loop.watch(self.fd, self.mask, mask)
            self.mask = mask
