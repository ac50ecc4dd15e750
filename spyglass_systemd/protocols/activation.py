"""Socket activation, sd_listen_fds(3): the listeners we were handed. Makes none itself and serves on none."""

from __future__ import annotations

import _socket
import errno
import os
import select
import stat
import sys

from spyglass_systemd import sd
from spyglass_systemd.words.errors import ActivationError
from spyglass_systemd.words.lines import one_line
from spyglass_systemd.words.listener import AF_INET, AF_INET6, AF_UNIX, Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
_STORED = "stored"  # what systemd calls a descriptor from the store, FDSTORE=1 in sd_notify(3)
_THREE_WAYS = """a listener comes from one of
    a .socket unit with ListenStream=, started by `systemctl start NAME.socket`
    `spyglass lookout APP`, where there is no systemd
    `systemd-socket-activate -l 8000 spyglass serve APP`, to try it out"""

# ### Why do we not bind when nobody hands us a listener?
# Because a port that only lives while we do is the opposite of what we are for: it would work until the first sleep,
# and then the address is gone. A second listener beside the one that systemd holds is worse, some connections would
# reach it and some not. So no listener is an error, and it says how to get one.
#
# ### Why do we touch so little of what we take?
# Because it is not ours. A listener's options and status flags live in the open file description, which systemd holds
# as well and hands to our successor: a second listen(2) changes the backlog for good, shutdown(2) ends the socket for
# everybody and the unit fails, an unlink(2) leaves a listener that nobody can reach. Two things must be changed.
# Close-on-exec, which is the descriptor's alone: or each program that the app starts keeps the port. And O_NONBLOCK,
# which does outlive us: of two workers that saw one connection, the slower one would hang in accept(2). Whoever is
# handed the listener next sets it as he needs it, as we do.
#
# ### Which descriptors are listeners?
# Not simply all. The descriptor store adds its own, and a .socket unit can hold datagram sockets, FIFOs and devices.
# What we cannot serve is refused, because a port that looks open and never answers is found out last of all.


def take(environ: MutableMapping[str, str], pid: int) -> tuple[Listener, ...]:
    """The listeners that were handed to us (`pid`), in their order, close-on-exec and nonblocking.

    Called once: the variables are removed from `environ`, which is os.environ, so that no child believes that they are
    meant for it. Raises ActivationError when there is no listener, or a descriptor is one that we cannot serve on.
    """
    try:
        handed = _handed(environ, pid)
    finally:
        for variable in _VARIABLES:
            environ.pop(variable, None)
    listeners = tuple([_listener(fd, name) for fd, name in handed if name != _STORED])
    if not listeners:
        raise ActivationError(f"none of the {len(handed)} descriptors we were handed is a listener", hint=_THREE_WAYS)
    for listener in listeners:
        os.set_blocking(listener.fd, False)
    return listeners


def _handed(environ: Mapping[str, str], pid: int) -> tuple[tuple[int, str], ...]:
    if environ.get("LISTEN_FDS", "0") == "0":
        raise ActivationError("nobody handed us a listener", hint=_THREE_WAYS)
    count, owner = _number(environ, "LISTEN_FDS"), _number(environ, "LISTEN_PID")
    if owner != pid:
        raise _for_another(owner, pid)
    try:
        handed = sd.adapter().listen_fds_with_names()
    except OSError as error:
        raise _malformed(count, environ, error) from error
    if not handed:  # LISTEN_PIDFDID: the number is ours, but the process it was given to is gone
        raise ActivationError(f"the listeners were handed to an earlier process {pid}, not to us", hint=_THREE_WAYS)
    return handed


def _number(environ: Mapping[str, str], variable: str) -> int:
    text = environ.get(variable, "")
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text):
        return int(text)
    what = f"{variable}={one_line(text, 64)} is no number" if text else f"LISTEN_FDS is set and {variable} is not"
    raise ActivationError(f"the activation is malformed: {what}", hint=_THREE_WAYS)


def _malformed(count: int, environ: Mapping[str, str], error: OSError) -> ActivationError:
    if error.errno == errno.EINVAL:
        names = one_line(environ.get("LISTEN_FDNAMES", ""), 255)
        what = f"LISTEN_FDNAMES={names} does not name LISTEN_FDS={count} descriptors"
    else:
        what = f"LISTEN_FDS={count}, but the descriptors 3 to {count + 2} are not all open ({error.strerror})"
    return ActivationError(f"the activation is malformed: {what}", hint="whoever starts us must pass them on unchanged")


def _listener(fd: int, name: str) -> Listener:
    called = f"fd {fd} ({one_line(name, 255)})"
    os.set_inheritable(fd, False)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISSOCK(mode):
        fifo = stat.S_ISFIFO(mode)
        raise _refusal(f"{called} is {'a FIFO' if fifo else 'no socket'}", "ListenFIFO=" if fifo else "ListenSpecial=")
    sock = _socket.socket(fileno=fd)
    try:
        if sock.type in _OTHER_KINDS:
            raise _refusal(f"{called} is no stream socket", _OTHER_KINDS[sock.type])
        if not sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN):
            what = "one accepted connection" if _has_peer(sock) else "not listening"
            hint = "the .socket unit needs ListenStream= and Accept=no; with Accept=yes systemd accepts by itself"
            raise ActivationError(f"{called} is {what}", hint=hint)
        if sock.family not in (AF_UNIX, AF_INET, AF_INET6):
            hint = "ListenStream= takes a port, an IP address with a port, a path or an @name"
            raise ActivationError(f"{called} is of address family {sock.family}", hint=hint)
        return Listener(fd, "" if name == "unknown" else name, sock.family, sock.getsockname())
    finally:
        sock.detach()


_OTHER_KINDS = {
    _socket.SOCK_DGRAM: "ListenDatagram=",
    _socket.SOCK_SEQPACKET: "ListenSequentialPacket=",
    _socket.SOCK_RAW: "ListenNetlink=",
}


def _refusal(message: str, directive: str) -> ActivationError:
    return ActivationError(message, hint=f"the .socket unit needs ListenStream= in place of {directive}")


def _has_peer(sock: _socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


# ### Whose listeners are these?
# LISTEN_PID names the process that systemd started. When that is a launcher (`uv run`, a pyenv shim, a shell script
# without `exec`) which starts us as its child, the descriptors are here and the number is not ours. Taking them anyway
# would be wrong: the variables are inherited by everybody below, a shell in a terminal of such a service included. So
# we say who has them, and what ExecStart= has to be. A launcher that uses execve(2) keeps its pid and is no problem.


def _for_another(owner: int, pid: int) -> ActivationError:
    comm = _read(f"/proc/{owner}/comm").strip()
    who = f"process {owner}"
    if not comm:
        who += ", which is gone"
    else:
        relation = "our parent or further up" if owner in _ancestors(pid) else "no ancestor of ours"
        who += f" ({one_line(comm, 64)}, {relation})"
    cure = f"start us directly, ExecStart={sys.executable} -m spyglass_systemd serve ...; in a shell script with `exec`"
    return ActivationError(f"the listeners were handed to {who}, not to us, process {pid}", hint=cure)


def _ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while pid > 1 and pid not in found:
        found.append(pid)
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
        pid = int(fields[1]) if fields else 0
    return [*found[1:], pid]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def waited_for(listeners: tuple[Listener, ...]) -> tuple[Listener, ...]:
    """The listeners in whose backlog somebody waits."""
    poll = select.poll()
    for listener in listeners:
        poll.register(listener.fd, select.POLLIN)
    ready = {fd for fd, _ in poll.poll(0)}
    return tuple(listener for listener in listeners if listener.fd in ready)
