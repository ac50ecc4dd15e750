"""What an import leaves open that every worker then shares: connections, positions in files. Closes nothing."""

from __future__ import annotations

import _socket
import os

# ### What is wrong with sharing?
# A fork copies numbers, not what they stand for. Two workers with one connection to a database read each other's rows;
# two with one open file read each other's lines, because the position is in what they share. Neither is seen in a test
# with one worker. What is appended to (a log) is right for all; listeners and pipes are somebody's intention.

_STREAMS = (_socket.SOCK_STREAM, _socket.SOCK_SEQPACKET)
_TYPE, _REGULAR = 0o170000, 0o100000  # S_IFMT, S_IFREG: `stat` is a module more
_PATH = 0o10000000  # O_PATH: names a file and reads nothing


def descriptors() -> frozenset[int]:
    """What this process has open; not that by which it looks, whose number is free again."""
    return frozenset(fd for fd in map(int, os.listdir("/proc/self/fd")) if _is_open(fd))


def shared(known: frozenset[int]) -> tuple[str, ...]:
    """What is open now, was not among the `known`, and is better not shared; in words."""
    found = (_described(fd) for fd in sorted(descriptors() - known))
    return tuple(text for text in found if text)


def _described(fd: int) -> str:
    try:
        what = os.readlink(f"/proc/self/fd/{fd}")
        if what.startswith("socket:"):
            return _connection(fd)
        if what.startswith("/") and os.fstat(fd).st_mode & _TYPE == _REGULAR and _has_position(fd):
            return f"a position in {what}"
    except OSError:  # closed meanwhile, or not connected
        pass
    return ""


def _connection(fd: int) -> str:
    sock = _socket.socket(fileno=os.dup(fd))
    try:
        peer = sock.getpeername()
        if sock.type not in _STREAMS or not peer:  # a pair of sockets has no names
            return ""
        if isinstance(peer, tuple):
            return f"a connection to {peer[0]}:{peer[1]}"
        return f"a connection to {os.fsdecode(peer)!r}"
    finally:
        sock.close()


def _has_position(fd: int) -> bool:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:
        flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))  # proc_pid_fdinfo(5)
    return not flags & (os.O_APPEND | _PATH)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
