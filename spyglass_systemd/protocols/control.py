"""Framed messages and descriptors between two of our processes, over a socketpair.

Never blocks and never raises for what its peer does; knows nothing of what the messages mean.
"""

from __future__ import annotations

import _socket
import os
import sys

from spyglass_systemd.words.reports import Report, decode, encode

# SEQPACKET keeps the message boundaries and reports the end of the peer: unix(7).
_TYPE = _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
_RECEIVE = 256 * 1024
_FDS = 4  # the most descriptors that one message carries
_INT = 4


class Channel:
    """One end. `fileno()` is for poll(2); `closed` turns true when the peer is gone."""

    __slots__ = ("_queue", "_sock", "closed")

    def __init__(self, fd: int) -> None:
        self._sock = _socket.socket(_socket.AF_UNIX, _TYPE, 0, fd)
        self._sock.setblocking(False)
        self._queue: list[tuple[bytes, tuple[int, ...]]] = []
        self.closed = False

    def fileno(self) -> int:
        """The descriptor, -1 after `close`."""
        return self._sock.fileno()

    @property
    def pending(self) -> bool:
        """Whether messages wait for the peer to read: poll for writing too, then `flush`."""
        return bool(self._queue)

    def send(self, report: Report, fds: tuple[int, ...] = ()) -> None:
        """Send, or keep for `flush` where the peer reads too slowly. `fds` are ours to close once they are sent."""
        self._queue.append((encode(report), fds))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the peer takes it."""
        while self._queue:
            data, fds = self._queue[0]
            rights = b"".join(fd.to_bytes(_INT, sys.byteorder) for fd in fds)
            try:
                self._sock.sendmsg(
                    [data],
                    [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else [],
                    _socket.MSG_NOSIGNAL,
                )
            except BlockingIOError:
                return
            except OSError:  # EPIPE, ECONNRESET, EBADF after close: nobody will read this any more
                self._discard()  # what the peer has said before is still to be read: `receive` finds the end
                return
            del self._queue[0]
            for fd in fds:
                os.close(fd)

    def receive(self) -> list[tuple[Report, tuple[int, ...]]]:
        """Every message that has arrived, each with the descriptors that came along (close-on-exec).

        A peer that sends what is no message is hung up on.
        """
        messages: list[tuple[Report, tuple[int, ...]]] = []
        while not self.closed:
            try:
                data, ancillary, flags, _ = self._sock.recvmsg(
                    _RECEIVE, _socket.CMSG_SPACE(_FDS * _INT), _socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                break
            except ConnectionResetError:  # the peer died with messages unread, which is said before its last words are
                continue
            except OSError:
                data, ancillary, flags = b"", [], 0
            fds = _rights(ancillary)
            try:
                report = decode(b"" if flags & _socket.MSG_TRUNC else data)
            except ValueError:  # the end; or app code has found the descriptor, and nothing that it says counts
                for fd in fds:
                    os.close(fd)
                self._hang_up()
            else:
                messages.append((report, fds))
        return messages

    def detach(self) -> int:
        """The descriptor, no longer ours to close: for handing this end to another process."""
        self.closed = True
        return self._sock.detach()

    def close(self) -> None:
        """Close this end and every descriptor that was not sent."""
        self.closed = True
        self._discard()
        self._sock.close()

    def _hang_up(self) -> None:
        self.closed = True
        self._discard()
        try:
            self._sock.shutdown(_socket.SHUT_RDWR)
        except OSError:  # the peer was quicker
            return

    def _discard(self) -> None:
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()

    def __repr__(self) -> str:
        return f"<Channel fd={self.fileno()}{' closed' if self.closed else ''}>"


def pair() -> tuple[Channel, Channel]:
    """Two connected ends."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _TYPE)
    return Channel(ours.detach()), Channel(theirs.detach())


def _rights(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    fds: list[int] = []
    for level, kind, data in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += [int.from_bytes(data[i : i + _INT], sys.byteorder) for i in range(0, len(data) // _INT * _INT, _INT)]
    return tuple(fds)
