"""The fuse: answers for a broken app, so that its port does not die with it.

Knows no app, and of HTTP just enough to say 503.
"""

from __future__ import annotations

import _socket
import select
import time

from spyglass_systemd.backends import proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.words.listener import Listener

# ### Why not simply exit?
# Because systemd closes a listener for good when its service fails too often: the port is dead, what waits in the
# backlog is reset, and a person has to come. So the Master stays and answers, and leaves only when nobody asks.
#
# ### Why not answer and close?
# Because a close with unread bytes is a reset, and a reset overtakes the answer: a client that uploads never sees the
# 503. So the answer is followed by the end of our direction only, and what still comes is read and thrown away until
# the client is done, within bounds.

_HEAD = 8192  # bytes of a head that we look at
_LINGER = 10.0  # seconds for a client to take its answer and go
_DISCARD = 256 << 20  # bytes thrown away for one client
_HELD = 512  # connections at once; the others wait in the backlog
_SHORT = 1.0  # seconds without accepting when the process is short of descriptors
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
_BODY = b"The application is not available right now. Please try again in a moment.\n"


class _Caller:
    """One connection: it is listened to until it has said what it is, then answered, then seen off."""

    __slots__ = ("answered", "deadline", "discarded", "head", "introduced", "pending", "sock")

    def __init__(self, sock: _socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.head = b""
        self.introduced = False
        self.pending = b""
        self.answered = False
        self.discarded = 0


class Fuse:
    """Takes connections from `listeners` and answers them. `kind` is that of the app; `raw` knows no 503.

    `introduced`: each begins with a PROXY header, and whoever is named there is answered all the same.
    """

    def __init__(
        self, listeners: tuple[Listener, ...], kind: str, patience: float, *, introduced: bool = False
    ) -> None:
        self._introduced = introduced
        self._listeners = {listener.fd: listener for listener in listeners}
        self._raw = kind == "raw"
        self._patience = patience  # seconds for a client to say something
        self._callers: dict[int, _Caller] = {}
        self._short_until = 0.0
        self.retry_after = 1
        self.refused = 0
        self.last_activity = 0.0

    @property
    def open(self) -> int:
        return len(self._callers)

    def accepts(self, alarm: Alarm) -> bool:
        """Whether to poll the listeners: not while it holds as many as it may, or is short of descriptors."""
        return len(self._callers) < _HELD and alarm.due(self._short_until)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a Template must close."""
        return tuple(self._callers)

    def sources(self) -> dict[int, tuple[int, Callable[[], None]]]:
        """What to poll for which events, and what to call."""
        found: dict[int, tuple[int, Callable[[], None]]] = {}
        for fd, caller in self._callers.items():
            found[fd] = (select.POLLOUT if caller.pending else select.POLLIN, self._turner(fd))
        return found

    def _turner(self, fd: int) -> Callable[[], None]:
        return lambda: self._turn_of(fd)

    def accept(self) -> None:
        """Take every connection that waits, up to the bound."""
        for fd in self._listeners:
            listener = _socket.socket(fileno=fd)
            try:
                while len(self._callers) < _HELD:
                    accepted, _ = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001  # `socket` is 7 ms
                    sock = _socket.socket(fileno=accepted)
                    sock.setblocking(False)
                    now = time.monotonic()
                    self.last_activity = now
                    self._callers[accepted] = _Caller(sock, now + self._patience)
                    self._turn_of(accepted)
            except (BlockingIOError, ConnectionAbortedError):
                pass
            except OSError:  # EMFILE, ENFILE, ENOMEM: he stays in the backlog until there is room again
                self._short_until = time.monotonic() + _SHORT
            finally:
                listener.detach()

    def _turn_of(self, fd: int) -> None:
        caller = self._callers[fd]
        try:
            self._turn(caller)
        except BlockingIOError:
            pass
        except OSError:  # reset by the client: he is gone
            self._drop(fd)

    def _turn(self, caller: _Caller) -> None:
        fd = caller.sock.fileno()
        if self._raw:  # there is nothing that it would understand
            self._drop(fd)
            return
        while not caller.answered:
            data = caller.sock.recv(_HEAD)
            caller.head += data
            verdict = self._looks_like_http(caller)
            if verdict is False or not data:
                self._drop(fd)
                return
            if verdict:
                self._answer(caller)
        if caller.pending:
            caller.pending = caller.pending[caller.sock.send(caller.pending) :]
            if caller.pending:
                return
            caller.sock.shutdown(_socket.SHUT_WR)
        while data := caller.sock.recv(65536):
            caller.discarded += len(data)
            if caller.discarded > _DISCARD:
                break
        self._drop(fd)

    def _looks_like_http(self, caller: _Caller) -> bool | None:
        if self._introduced and not caller.introduced:
            try:
                header = proxy.parse(caller.head)
            except ValueError:
                return False
            if header is None:
                return None
            caller.introduced, caller.head = True, caller.head[header.size :]
        return _looks_like_http(caller.head) if caller.head else None

    def _answer(self, caller: _Caller) -> None:
        head = (
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nCache-Control: no-store\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        ) % (self.retry_after, len(_BODY))
        caller.pending = head if caller.head.startswith(b"HEAD ") else head + _BODY
        caller.answered = True
        caller.deadline = time.monotonic() + _LINGER
        self.refused += 1

    def expire(self, now: float) -> None:
        """Close the connections whose time is over."""
        for fd in [fd for fd, caller in self._callers.items() if caller.deadline <= now]:
            self._drop(fd)

    def deadline(self) -> float | None:
        """When the next one's time is over, in monotonic seconds."""
        return min((caller.deadline for caller in self._callers.values()), default=None)

    def _drop(self, fd: int) -> None:
        self._callers.pop(fd).sock.close()

    def close(self) -> None:
        """Drop all connections."""
        for fd in list(self._callers):
            self._drop(fd)


def _looks_like_http(head: bytes) -> bool | None:
    """Whether these bytes begin a request line (RFC 9112 section 3); None: too few to say."""
    method, space, rest = head.partition(b" ")
    if not 0 < len(method) <= 24 or any(byte not in _METHOD for byte in method):  # the longest method has 17
        return False
    if not space or b"\n" not in rest:
        return None if len(head) < _HEAD else False
    line = rest.partition(b"\n")[0].rstrip(b"\r")
    return b" HTTP/1." in line
