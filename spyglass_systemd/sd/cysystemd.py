"""The port through `cysystemd`, its extension modules alone: its Python wrappers import `logging`, `enum`, `typing`.

It lacks sd_listen_fds(3); the few lines are here. So the extension modules, which bring libsystemd and seven more
libraries of the wheel, are loaded with the first word that we have to say, when the first visitor is served: 1.4 ms.
"""

from __future__ import annotations

import errno
import os

import cysystemd as _is_installed  # noqa: F401  # only asked for

from spyglass_systemd.sd.journal_socket import open_impatient

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.sd import Groups, Journal

NAME = "cysystemd"
_FIRST = 3  # SD_LISTEN_FDS_START

_notify: Callable[[str, bool], None] | None = None
_send: Callable[[dict[str, str]], None] | None = None


def listen_fds_with_names() -> tuple[tuple[int, str], ...]:
    """See the port."""
    environ = os.environ
    if environ.get("LISTEN_PID") != str(os.getpid()) or "LISTEN_FDS" not in environ:
        return ()
    count = environ["LISTEN_FDS"]
    if not (count.isascii() and count.isdecimal() and int(count)):
        raise OSError(errno.EINVAL, f"LISTEN_FDS={count}")
    fds = range(_FIRST, _FIRST + int(count))
    for fd in fds:
        os.set_inheritable(fd, False)
    if "LISTEN_FDNAMES" not in environ:
        return tuple((fd, "unknown") for fd in fds)
    names = _split(environ["LISTEN_FDNAMES"])
    if len(names) != len(fds):
        raise OSError(errno.EINVAL, f"LISTEN_FDNAMES names {len(names)} of {len(fds)}")
    return tuple(zip(fds, names, strict=True))


def _split(text: str) -> list[str]:
    """Words between colons; a backslash makes the next character an ordinary one, as in libsystemd."""
    names = [""]
    characters = iter(text)
    for character in characters:
        if character == ":":
            names.append("")
        elif character == "\\":
            names[-1] += next(characters, "")
        else:
            names[-1] += character
    return names


def notify(text: str) -> bool:
    """See the port."""
    global _notify
    if _notify is None:
        try:
            from cysystemd._daemon import sd_notify  # noqa: PLC0415  # see above
        except ImportError as error:  # a wheel for another libc or another Python
            raise OSError(errno.ELIBACC, str(error)) from error
        _notify = sd_notify
    try:
        _notify(text, False)
    except RuntimeError:  # "Data could not be sent": the library's word for a result of 0, no NOTIFY_SOCKET
        return False
    except ValueError as error:  # ("Notification error #-111", -111)
        raise OSError(-error.args[1], os.strerror(-error.args[1])) from error
    return True


def journal_send(fields: dict[str, str]) -> None:
    """See the port."""
    global _send
    if _send is None:
        from cysystemd._journal import _send as send_dict  # noqa: PLC0415  # only who has something to say

        def send(fields: dict[str, str]) -> None:
            result = send_dict(fields)
            if result < 0:
                raise OSError(-result, os.strerror(-result))

        open_impatient(send)
        _send = send
    _send(fields)


def journal_open(groups: Groups, directory: str = "") -> Journal:
    """See the port."""
    from spyglass_systemd.sd.cysystemd_journal import Reader  # noqa: PLC0415  # tools only

    return Reader(groups, directory)
