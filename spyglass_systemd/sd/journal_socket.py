"""The socket through which libsystemd sends to the journal: found, and taught not to wait. Knows neither library."""

from __future__ import annotations

import _socket
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_MS = 50

# ### How does a library's socket get a time limit?
# libsystemd opens one blocking datagram socket at the first entry and keeps it. While journald is stopped its queue
# fills, and then sendmsg(2) waits for ever: the Master with it, and every app behind it. There is no call to make it
# wait less, so we set SO_SNDTIMEO on a descriptor that nobody tells us. We know which one it is, because the kernel
# hands out the lowest free number (open(2)).
#
# It must have the limit before it sends for the first time: the queue may have been filled by others. So the first
# entry is one that cannot be sent. It has more parts than the kernel takes in one call (UIO_MAXIOV, 1024: two parts a
# field), sendmsg(2) refuses it, and so does writev(2) when the library turns to a memory file instead. What remains of
# it is an open socket.
#
# An entry that does not get through costs the limit twice, since the library tries its memory file after the first.
_UNSENDABLE = 600  # fields


def open_impatient(send: Callable[[dict[str, str]], None]) -> int:
    """Have the library behind `send` open its journal socket, sending nothing, and limit its waiting. Its fd, or -1."""
    fd = os.eventfd(0)
    os.close(fd)
    try:
        send({f"UNSENDABLE_{i}": "" for i in range(_UNSENDABLE)})
    except OSError:
        return fd if _limit(fd) else -1
    return -1


def _limit(fd: int) -> bool:
    try:
        sock = _socket.socket(fileno=fd)
    except OSError:
        return False  # not open, or no socket: the library has opened its own before
    try:
        if (sock.family, sock.type) != (_socket.AF_UNIX, _socket.SOCK_DGRAM):
            return False
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _timeval(PATIENCE_MS))
    finally:
        sock.detach()
    return True


def _timeval(milliseconds: int) -> bytes:
    size = 8 if sys.maxsize > 2**32 else 4  # two C longs; `struct` for two numbers is an import at each wake
    seconds, rest = divmod(milliseconds, 1000)
    return seconds.to_bytes(size, sys.byteorder) + (rest * 1000).to_bytes(size, sys.byteorder)
