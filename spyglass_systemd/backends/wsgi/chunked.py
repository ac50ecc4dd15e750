"""The chunked transfer coding, as it arrives: RFC 9112 section 7.1, the strict way. Knows no socket."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.bounds import TOKEN
from spyglass_systemd.backends.wsgi.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TOKEN = "".join(sorted(TOKEN)).encode()
_HEX = frozenset(b"0123456789abcdefABCDEF")
_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
_LONGEST_LINE = 4096  # a chunk's size with its extensions, which nobody uses
_MOST_DIGITS = 15

_SIZE, _DATA, _AFTER, _TRAILER, _END = range(5)


class Decoder:
    """One chunked body. `feed` it what arrives until `ended`; extensions and trailers are read and dropped."""

    __slots__ = ("_left", "_line", "_overhead", "_state", "_trailers", "limit", "size")

    def __init__(self, limit: int | None, trailers: int) -> None:
        self.size = 0  # bytes of the body until now
        self.limit = limit  # of them, None for no limit
        self._trailers = trailers  # bytes of trailers that we read
        self._overhead = 0  # bytes that were not body, since the last time a chunk paid for its own
        self._state = _SIZE
        self._left = 0
        self._line = b""

    @property
    def ended(self) -> bool:
        return self._state == _END

    @property
    def partial(self) -> int:
        """Bytes of a line that is not whole."""
        return len(self._line)

    def feed(self, data: bytes, write: Callable[[bytes], object]) -> bytes:
        """Give the body's bytes in `data` to `write`; returns what follows the body. Raises Refusal."""
        at = 0
        while at < len(data) and self._state != _END:
            if self._state == _DATA:
                piece = data[at : at + self._left]
                write(piece)
                at += len(piece)
                self._left -= len(piece)
                if not self._left:
                    self._state = _AFTER
                continue
            end = data.find(b"\n", at)
            line = self._line + (data[at : end + 1] if end >= 0 else data[at:])
            if len(line) > (_LONGEST_LINE if self._state == _SIZE else max(self._trailers, 2)):
                raise Refusal(431 if self._state == _TRAILER else 400, "a line too long in a chunked body")
            if end < 0:
                self._line = line
                return b""
            self._line = b""
            at = end + 1
            if not line.endswith(b"\r\n") or len(line[:-2].translate(None, _TEXT)):
                raise Refusal(400, "a line that does not end in CRLF, or holds a control character, in a chunked body")
            self._take(line[:-2])
        return data[at:]

    def _take(self, line: bytes) -> None:
        if self._state == _SIZE:
            digits, semicolon, extension = line.partition(b";")
            if not digits or not _HEX.issuperset(digits) or len(digits) > _MOST_DIGITS:
                raise Refusal(400, "no valid chunk size")
            self._spend(len(semicolon) + len(extension))
            self._left = int(digits, 16)
            self.size += self._left
            if self.limit is not None and self.size > self.limit:
                raise Refusal(413, f"a body of over {self.limit} bytes")
            self._state = _DATA if self._left else _TRAILER
        elif self._state == _AFTER:
            if line:
                raise Refusal(400, "a chunk that is longer than its size")
            self._state = _SIZE
        elif line:
            name, colon, _ = line.partition(b":")
            if not colon or not name or name.translate(None, _TOKEN):
                raise Refusal(400, "a trailer that is no field")
            self._trailers -= len(line) + 2
        else:
            self._state = _END

    def _spend(self, extension: int) -> None:
        """Extensions are bytes that no limit counts: a body may not consist of them."""
        self._overhead += extension
        if self._overhead > _LONGEST_LINE + self.size:
            raise Refusal(400, "more chunk extensions than body")
