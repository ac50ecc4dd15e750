"""The body of one request, as it arrives: counted, decoded, spooled. Knows no socket."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.chunked import Decoder
from spyglass_systemd.backends.wsgi.length import CHUNKED
from spyglass_systemd.backends.wsgi.spool import Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from spyglass_systemd.backends.budget import Budget


class Body:
    """`feed` it until it is whole.

    `length` as in Request; `spool` bytes stay in memory, if the `budget` has them; `trailers` bytes are read.
    """

    __slots__ = ("_decoder", "_left", "_spool")

    def __init__(self, length: int, spool: int, limit: int | None, trailers: int, budget: Budget) -> None:
        self._spool = Spool(spool, budget)
        self._decoder = Decoder(limit, trailers) if length == CHUNKED else None
        self._left = length

    @property
    def size(self) -> int:
        """Bytes of body until now."""
        return self._spool.size

    @property
    def partial(self) -> int:
        """Bytes of a line of the chunked coding that is not whole."""
        return self._decoder.partial if self._decoder is not None else 0

    def feed(self, data: bytes) -> bytes | None:
        """Take what arrived; returns what follows the body once it is whole, None before.

        Raises Refusal for a body that is none, OSError where the disk is full.
        """
        if self._decoder is not None:
            rest = self._decoder.feed(data, self._spool.write)
            return rest if self._decoder.ended else None
        piece = data[: self._left]
        self._spool.write(piece)
        self._left -= len(piece)
        return None if self._left else data[len(piece) :]

    def reader(self) -> BinaryIO:
        """The whole of it, to be read by the app."""
        return self._spool.reader()

    def close(self) -> None:
        """Nobody will read it."""
        self._spool.close()
