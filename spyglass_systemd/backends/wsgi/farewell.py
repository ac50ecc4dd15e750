"""The end of a connection, said so that the last answer arrives. Knows nothing of what was said before."""

from __future__ import annotations

import _socket

# ### How does an answer survive the end of its connection?
# close(2) with bytes unread in the receive buffer is an RST, and an RST makes the client's kernel throw away what the
# client has not read yet: the answer. So whoever may still be sending is told that we will send no more (a FIN), and
# is read until he is done too; what he sends is thrown away, within bounds. Only where the client himself said that
# this was his last request, and nothing lies unread, do we close at once.

SILENCE = 2.0  # seconds without a byte after which we no longer wait for the client's end
_LONGEST = 30.0
_MOST = 128 * 1024 * 1024
_TURN = 16  # reads

_bin = bytearray(64 * 1024)  # where bytes go that nobody reads


class Farewell:
    """Begins with our FIN; then call `over` whenever something may have come. `until` is when patience ends."""

    __slots__ = ("_at_once", "_discarded", "_end", "_sock", "until")

    def __init__(self, sock: _socket.socket, now: float, *, at_once: bool) -> None:
        self._sock = sock
        self._at_once = at_once  # the client has said that he will send no more
        self._discarded = 0
        self._end = now + _LONGEST
        self.until = now + SILENCE
        try:
            # Not left to close(2): a child of the app may have a copy of the descriptor.
            sock.shutdown(_socket.SHUT_WR)
        except OSError:  # ENOTCONN: he is gone
            self._end = self.until = now

    def over(self, now: float) -> bool:
        """Throw away what has come; true when the socket may be closed."""
        for _ in range(_TURN):
            try:
                count = self._sock.recv_into(_bin)
            except BlockingIOError:
                return now >= self._end or (self._at_once and not self._discarded)
            except OSError:
                return True
            self._discarded += count
            if not count or self._discarded > _MOST or now >= self._end:
                return True
            self.until = min(now + SILENCE, self._end)
        return False
