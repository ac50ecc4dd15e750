"""The fuse: answers for a broken app, so that its port does not die with it.

Knows no app, and of HTTP just enough to say 503 in words that its client understands.
"""

from __future__ import annotations

import _socket
import select
import time
from math import ceil

from spyglass_systemd.backends import proxy
from spyglass_systemd.policy import unavailable
from spyglass_systemd.protocols import knock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.protocols.knock import Head
    from spyglass_systemd.words.listener import Listener

# ### Why not simply exit?
# Because systemd closes a listener for good when its service fails too often: the port is dead, what waits in the
# backlog is reset, and a person has to come. So the Master stays and answers, and leaves only when nobody asks.
#
# ### Why not answer and close?
# Because a close with unread bytes is a reset, and a reset overtakes the answer: a client that uploads never sees the
# 503. So the answer is followed by the end of our direction only, and what still comes is read and thrown away until
# the client is done, within bounds.
#
# ### Why is a PROXY header skipped where none is configured?
# Because a fuse is there when the configuration cannot be read, too, and then nobody knows whether one has to come. It
# does no harm: nothing here depends on who asks.

_PART = 8192  # bytes read at once while it is not clear what a caller wants
_LINGER = 10.0  # seconds for a client to take its answer and go
_DISCARD = 256 << 20  # bytes thrown away for one client
_DISCARD_PART, _DISCARD_TURNS = 65536, 16  # of them at once, and how often in one turn: others wait, too
_HELD = 512  # connections at once; the others wait in the backlog
_SHORT = 1.0  # seconds without accepting when the process is short of descriptors


class _Caller:
    """One connection: it is listened to until it has said what it wants, then answered, then seen off."""

    __slots__ = ("answered", "came", "deadline", "discarded", "pending", "sock")

    def __init__(self, sock: _socket.socket, deadline: float) -> None:
        self.sock = sock
        self.deadline = deadline
        self.came = b""
        self.pending = b""
        self.answered = False
        self.discarded = 0


class Fuse:
    """Takes connections from `listeners` and answers them, but those from one whose descriptor is in `raw`.

    Those are closed at once: there is nothing that they would understand. `patience` is how many seconds a client has
    for its head. `introduced`: each must begin with a PROXY header, as it must while the app works.
    """

    def __init__(
        self,
        listeners: tuple[Listener, ...],
        patience: float,
        raw: frozenset[int] = frozenset(),
        *,
        introduced: bool = False,
    ) -> None:
        self._introduced = introduced
        self._listeners = {listener.fd: listener for listener in listeners}
        self._raw = raw
        self._patience = patience
        self._callers: dict[int, _Caller] = {}
        self._short_until = 0.0
        self.retry_at = 0.0  # when the app is tried again, in monotonic seconds
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
                    if fd in self._raw:
                        self._drop(accepted)
                    else:
                        self._turn_of(accepted)
            except (BlockingIOError, ConnectionAbortedError):
                pass
            except OSError:  # EMFILE, ENFILE, ENOMEM: he stays in the backlog until there is room again
                self._short_until = time.monotonic() + _SHORT
            finally:
                listener.detach()

    def adopt(self, sock: _socket.socket) -> None:
        """Answer for a connection that somebody else of us has accepted, and read nothing of."""
        fd = sock.fileno()
        self._callers[fd] = _Caller(sock, time.monotonic() + self._patience)
        self._turn_of(fd)

    def _turn_of(self, fd: int) -> None:
        caller = self._callers[fd]
        try:
            self._turn(caller)
        except BlockingIOError:
            pass
        except OSError:  # reset by the client: he is gone
            self._drop(fd)

    def _turn(self, caller: _Caller) -> None:
        while not caller.answered:
            data = caller.sock.recv(_PART)
            caller.came += data
            try:
                head = self._head(caller.came, whole=len(caller.came) < knock.LIMIT and bool(data))
            except ValueError:
                head, data = None, b""
            if head is not None:
                self._answer(caller, head)
            elif not data:
                self._drop(caller.sock.fileno())
                return
        if caller.pending:
            caller.pending = caller.pending[caller.sock.send(caller.pending) :]
            if caller.pending:
                return
            caller.sock.shutdown(_socket.SHUT_WR)
        for _ in range(_DISCARD_TURNS):
            data = caller.sock.recv(_DISCARD_PART)
            caller.discarded += len(data)
            if not data or caller.discarded > _DISCARD:
                self._drop(caller.sock.fileno())
                return

    def _head(self, came: bytes, *, whole: bool) -> Head | None:
        """What a caller asks for, behind a PROXY header where there is one. As knock.parse."""
        try:
            header = proxy.parse(came) if came else None
        except ValueError:
            if self._introduced:
                raise
            return knock.parse(came, whole=whole)
        return knock.parse(came[header.size :], whole=whole) if header is not None else None

    def _answer(self, caller: _Caller, head: Head) -> None:
        now = time.monotonic()
        retry_after = max(1, ceil(self.retry_at - now))
        caller.pending = unavailable.answer(head.method, head.field("accept"), retry_after)
        caller.answered = True
        caller.deadline = now + _LINGER
        self.refused += 1

    def expire(self, now: float) -> None:
        """The time of some is over: who has not said all by now is answered for what he has said, the others go."""
        for fd in [fd for fd, caller in self._callers.items() if caller.deadline <= now]:
            caller = self._callers[fd]
            head = None if caller.answered else self._head(caller.came, whole=False)
            if head is None:
                self._drop(fd)
            else:
                self._answer(caller, head)
                self._turn_of(fd)

    def deadline(self) -> float | None:
        """When the next one's time is over, in monotonic seconds."""
        return min((caller.deadline for caller in self._callers.values()), default=None)

    def _drop(self, fd: int) -> None:
        self._callers.pop(fd).sock.close()

    def close(self) -> None:
        """Drop all connections."""
        for fd in list(self._callers):
            self._drop(fd)
