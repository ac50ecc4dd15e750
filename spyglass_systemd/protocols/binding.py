"""Making listeners: what systemd does for a .socket unit, done for the Lookout. Never accepts; knows no process."""

from __future__ import annotations

import _socket
import errno
import os
import stat

from spyglass_systemd.words.addresses import AF_UNSPEC
from spyglass_systemd.words.errors import ActivationError
from spyglass_systemd.words.listener import AF_INET6, AF_UNIX, Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from spyglass_systemd.words.addresses import Address

BACKLOG = 4096  # connections that may wait while the app is loaded; the kernel caps it by net.core.somaxconn
_STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC


class OwnListener(Listener):
    """A listener of our own making; `close` takes back what `bind` has put into the world."""

    __slots__ = ("_file",)

    def __init__(self, fd: int, name: str, family: int, address: object) -> None:
        super().__init__(fd, name, family, address)
        self._file = _identity(address) if family == AF_UNIX and isinstance(address, str) else None

    def close(self) -> None:
        """Stop listening; the path of a Unix socket goes too, unless somebody else's socket is there by now."""
        if self._file and self._file == _identity(self.address):
            os.unlink(str(self.address))
        os.close(self.fd)


def bind_all(addresses: Iterable[Address]) -> tuple[OwnListener, ...]:
    """A listener for each of `addresses`, in their order; all of them or none. Raises ActivationError."""
    listeners: list[OwnListener] = []
    try:
        for address in addresses:
            listeners.append(bind(address))  # noqa: PERF401  # those made before the one that fails are closed
    except ActivationError:
        for listener in listeners:
            listener.close()
        raise
    return tuple(listeners)


def bind(address: Address) -> OwnListener:
    """Bind and listen: nonblocking, close-on-exec, with the longest backlog there is. Raises ActivationError.

    A host name is bound to the first of its addresses.
    """
    try:
        if isinstance(address.sockaddr, str):
            _remove_stale(address.sockaddr)
        sock, family = _bound(address)
        try:
            sock.listen(BACKLOG)  # EADDRINUSE may come as late as here
            name = sock.getsockname()
            return OwnListener(sock.detach(), address.name, family, name)
        finally:
            sock.close()
    except OSError as error:
        raise _explain(address, error) from error


def check(address: Address) -> None:
    """Raises the ActivationError that `bind` would raise now, but for a missing directory. Leaves nothing behind."""
    try:
        if isinstance(address.sockaddr, str):
            _is_stale(address.sockaddr)
        else:
            _bound(address)[0].close()
    except OSError as error:
        raise _explain(address, error) from error


def _bound(address: Address) -> tuple[_socket.socket, int]:
    """A socket with that address, and its family."""
    family, sockaddr = address.family, address.sockaddr
    if isinstance(sockaddr, tuple) and family == AF_UNSPEC:
        family, sockaddr = _resolve(*sockaddr)
    sock = _socket.socket(family, _STREAM)
    try:
        if family != AF_UNIX:
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)  # TIME_WAIT of the last run is no reason
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)  # inherited by what is accepted: tcp(7)
        if family == AF_INET6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)  # so that 0.0.0.0 fits beside ::
        sock.bind(sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock, family


def _resolve(host: str, port: int) -> tuple[int, Any]:
    # Bytes, because a str goes through the codec `idna`, and that is half a megabyte of a process that must be small.
    try:
        name = host.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        raise _socket.gaierror(_socket.EAI_NONAME, "this is no host name") from None
    found = _socket.getaddrinfo(name, port, AF_UNSPEC, _socket.SOCK_STREAM, _socket.IPPROTO_TCP, _socket.AI_PASSIVE)
    family, _, _, _, sockaddr = found[0]
    return family, sockaddr


# ### Is somebody listening there?
# A Unix socket's file outlives its socket, and bind(2) refuses a path that exists. Whether it is a leftover is asked by
# connect(2) with a socket of the wrong type: ECONNREFUSED when no socket stands behind the file, EPROTOTYPE when one
# does. The right type would be answered as well, and by that wake the app of the Lookout that lives there.


def _remove_stale(path: str) -> None:
    if _is_stale(path):
        os.unlink(path)


def _is_stale(path: str) -> bool:
    """Whether a socket's file is there and nobody behind it; OSError where it is a live one, or no socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "no socket")
    except FileNotFoundError:
        return False
    probe = _socket.socket(AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        probe.connect(path)
    except ConnectionRefusedError:
        return True
    except OSError as error:
        if error.errno != errno.EPROTOTYPE:
            raise
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, "somebody listens there")


def _identity(path: object) -> tuple[int, int] | None:
    try:
        found = os.lstat(str(path))
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _explain(address: Address, error: OSError) -> ActivationError:
    number = error.errno or 0
    reason, hint = _REASONS.get(number, (error.strerror or str(error), ""))
    if number == errno.EADDRINUSE:
        where = f"-ltnp 'sport = :{address.sockaddr[1]}'" if isinstance(address.sockaddr, tuple) else "-lxp"
        hint = f"`ss {where}` shows who listens there; stop that, or take another address"
    elif number in (errno.EACCES, errno.EPERM) and address.family != AF_UNIX:
        hint = _PORTS
    return ActivationError(f"cannot listen on {address.text}: {reason}", hint=hint)


_DIRECTORY = "the directory must be there, and writable for this user"
_PORTS = (
    "ports below 1024 (sysctl net.ipv4.ip_unprivileged_port_start) are for root and CAP_NET_BIND_SERVICE: "
    "take a higher one, or let a .socket unit of systemd hold it"
)
_REASONS = {
    errno.EADDRINUSE: ("it is in use", ""),
    errno.EACCES: ("permission denied", _DIRECTORY),
    errno.EPERM: ("permission denied", _DIRECTORY),
    errno.ENOENT: ("no such directory", _DIRECTORY),
    errno.ENOTDIR: ("no such directory", _DIRECTORY),
    errno.EEXIST: ("a file is there that is no socket", "move it away, or take another path"),
    errno.EADDRNOTAVAIL: ("no interface here has this address", "`ip -brief address` lists those there are"),
    errno.EAFNOSUPPORT: ("this machine does not speak this protocol", "IPv6 may be switched off"),
}
