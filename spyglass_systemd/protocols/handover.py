"""The giving side of sd_listen_fds(3) and sd_notify(3): what systemd does for a service. Knows not what it starts."""

from __future__ import annotations

import _socket
import os

from spyglass_systemd.protocols import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

    from spyglass_systemd.words.listener import Listener

FIRST_FD = 3  # SD_LISTEN_FDS_START
CANNOT_RUN = 203  # systemd's EXIT_EXEC
_DATAGRAM = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
_AT_ONCE = 64  # datagrams; whoever sends without end must not keep the reader from everything else
_MANAGERS = (
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)


class Mailbox:
    """Where notifications arrive: a datagram socket in the abstract namespace, under a name that the kernel picks."""

    __slots__ = ("_sock", "address")

    def __init__(self) -> None:
        self._sock = _socket.socket(_socket.AF_UNIX, _DATAGRAM)
        self._sock.bind("")  # autobind, unix(7)
        self.address = "@" + self._sock.getsockname()[1:].decode("ascii")

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._sock.fileno()

    def empty(self) -> list[str]:
        """Take out what has arrived, oldest first, or a part of what is much; descriptors sent along are closed."""
        letters: list[str] = []
        try:
            while len(letters) < _AT_ONCE:
                letters.append(self._sock.recv(8192).decode("utf-8", "replace"))
        except BlockingIOError:
            pass
        return letters

    def close(self) -> None:
        """Nobody reads any more."""
        self._sock.close()


def environment(environ: Mapping[str, str], listeners: Sequence[Listener], mailbox: str) -> dict[str, str]:
    """What the started process gets: `environ` without what a manager told us, with what we tell it, but LISTEN_PID."""
    names = [listener.name for listener in listeners]
    given = {key: value for key, value in environ.items() if key not in _MANAGERS}
    given["LISTEN_FDS"] = str(len(names))
    given["NOTIFY_SOCKET"] = mailbox
    if any(names):
        given["LISTEN_FDNAMES"] = ":".join(name or "unknown" for name in names)
    return given


def start(command: list[str], environ: dict[str, str], fds: Sequence[int]) -> int:
    """Run `command` in a process group of its own, with `fds` as 3 and up; the child's pid.

    Raises OSError (EAGAIN, ENOMEM) as fork(2). A command that cannot be run says so on stderr and exits with 203.
    """
    held = signals.hold()  # until the child is no longer us, no handler of ours may run in it
    try:
        pid = os.fork()
        if pid == 0:  # pragma: no cover  # whoever could measure it is not there any more after execve(2)
            _become(command, environ, fds)
    finally:
        signals.release(held)
    try:  # noqa: SIM105  # contextlib for one line
        os.setpgid(pid, pid)  # as the child does: whoever comes first
    except OSError:  # EACCES, it has called execve(2) already; ESRCH, it is dead
        pass
    return pid


def _become(  # pragma: no cover  # as above; what it does is seen in the program that it becomes
    command: list[str], environ: dict[str, str], fds: Sequence[int]
) -> NoReturn:
    try:
        os.setpgid(0, 0)
        signals.restore_for_exec()
        above = FIRST_FD + len(fds) + max(fds)  # clear of all sources and targets: one may be the other
        for i, fd in enumerate(fds):
            os.dup2(fd, above + i)
        for i in range(len(fds)):
            os.dup2(above + i, FIRST_FD + i)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.closerange(FIRST_FD + len(fds), os.sysconf("SC_OPEN_MAX"))  # by range, as nothing runs here but execve(2)
        environ["LISTEN_PID"] = str(os.getpid())
        os.execvpe(command[0], command, environ)  # noqa: S606  # a shell would have another pid than LISTEN_PID says
    except Exception as error:  # noqa: BLE001  # whatever it is, the child must not return into its parent's loop
        reason = getattr(error, "strerror", None) or error
        os.write(2, f"spyglass: cannot run {command[0]}: {reason}\n".encode("utf-8", "replace"))
    finally:
        os._exit(CANNOT_RUN)
