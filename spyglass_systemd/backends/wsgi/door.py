"""One listener of a worker: accepts without blocking, ready for whatever accept(2) may say. Knows no HTTP."""

from __future__ import annotations

import _socket
import errno

from spyglass_systemd.words.listener import AF_UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.wsgi.framing import Rules
    from spyglass_systemd.words.listener import Lead

# accept(2): errors of a connection that is already gone, or of the network it came from; the next one may be better.
_OF_THE_CLIENT = frozenset(
    (
        errno.EAGAIN,
        errno.ECONNABORTED,
        errno.EPERM,
        errno.EPROTO,
        errno.ETIMEDOUT,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
    )
)
_OF_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Exhausted(Exception):  # noqa: N818  # a condition, not a failure
    """There is no descriptor or no memory for another connection."""


class Door:
    """`app` is who all requests that come in here are for; `rules` and `environ` are what they have in common."""

    __slots__ = ("_nodelay", "_sock", "app", "environ", "listener", "rules")

    def __init__(self, lead: Lead, rules: Rules, environ: dict[str, Any]) -> None:
        listener = self.listener = lead.listener
        self.app = lead.app
        self.rules = rules
        self.environ = environ
        self._sock = _socket.socket(listener.family, _socket.SOCK_STREAM, 0, listener.fd)
        # The flag is in the open file description, which we share with siblings, the Master and systemd: whoever set it
        # last is right, so nobody relies on a blocking accept.
        self._sock.setblocking(False)
        # Accepted sockets inherit the option from the listener (NoDelay= of the .socket unit).
        self._nodelay = listener.family != AF_UNIX and not self._sock.getsockopt(
            _socket.IPPROTO_TCP, _socket.TCP_NODELAY
        )

    def accept(self) -> tuple[_socket.socket, Any] | None:
        """A connection and its peer's address, or None when there is none. Raises Exhausted."""
        try:
            fd, address = self._sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001  # socket.socket does so too
        except OSError as error:
            if error.errno in _OF_THE_CLIENT:
                return None
            if error.errno in _OF_OURS:
                raise Exhausted(error.strerror) from error
            raise
        sock = self._made(fd)
        return None if sock is None else (sock, address)

    def admit(self, fd: int) -> tuple[_socket.socket, Any] | None:
        """The same for a connection that was accepted elsewhere."""
        sock = self._made(fd)
        if sock is None:
            return None
        try:
            return sock, sock.getpeername()
        except OSError:  # ENOTCONN: it is gone already
            sock.close()
            return None

    def _made(self, fd: int) -> _socket.socket | None:
        sock = _socket.socket(self.listener.family, _socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        if self._nodelay:
            try:
                sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            except OSError:  # EINVAL: it is gone already
                sock.close()
                return None
        return sock

    def release(self) -> None:
        """Let go of the descriptor, which is not ours to close."""
        if self._sock.fileno() >= 0:
            self._sock.detach()
