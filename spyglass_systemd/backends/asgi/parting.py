"""The end of a connection that uvicorn closes, said so that the last answer arrives. Knows no protocol above TCP."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct

from spyglass_systemd.backends.astray import Nowhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

# ### How does an answer survive the end of its connection?
# close(2) with bytes unread in the receive buffer is an RST, and an RST makes the client's kernel throw away what the
# client has not read yet: the answer. uvicorn closes as soon as it has written, whatever the client is still sending: a
# body that the app did not want, a frame that crosses our close frame. So uvicorn is given a transport whose `close`
# looks first. Where nothing lies unread and nothing more is to come, it closes. Else it says our end (a FIN), and reads
# until the client is done too; what he sends is thrown away, within bounds.

_SILENCE = 2.0  # seconds without a byte after which we no longer wait for the client's end
_LONGEST = 30.0
_MOST = 128 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)  # socket(7): close(2) throws away what is not sent, and says so
_PIECE = 16 * 1024  # bytes of an answer that may wait before its app has to; of a larger one see `_lighten`


def unread(transport: Any) -> bool:
    """Whether the client's bytes, or his end, wait to be read."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Parting:
    """A transport with another `close`; `is_receiving` says whether the client is known to have more to send.

    All else is the transport's own, so a write costs what it did; until somebody is slow, and writes are watched.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: Any,
        is_receiving: Callable[[], bool],
        last_words: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._is_receiving = is_receiving
        self._last_words = last_words
        self._closing = self._expecting = False
        self.written = 0
        transport.set_write_buffer_limits(_PIECE)
        self.write: Callable[[Any], None] = transport.write
        self.writelines: Callable[[Any], None] = transport.writelines
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def watch(self) -> None:
        """From now on `written` is how many bytes are written, and what waits of them is no more than it must be."""
        if not self._closing:
            self.write, self.writelines = self._write, self._write_all

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        self._transport.write(self._lighten(data) if len(data) > _PIECE else data)

    def _write_all(self, pieces: Any) -> None:
        self._write(b"".join(pieces))

    def _lighten(self, data: bytes) -> bytes:
        """What the kernel does not take of it: a transport keeps the whole for the sake of its end."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or self.is_closing() or self._transport.get_write_buffer_size():
            return data
        try:
            return bytes(memoryview(data)[os.write(sock.fileno(), data) :])
        except OSError:  # it takes nothing now, or never again: the transport will see
            return data

    def break_off(self) -> None:
        """End it so that the client sees that something is missing: by a reset, where there is such a thing (TCP)."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def deafen(self, leave: Callable[..., NoReturn]) -> None:
        """In a child that the app has forked: whoever comes here leaves."""
        self._transport = Nowhere()
        self.write = self.writelines = self.close = leave  # type: ignore[method-assign]

    def expects_more(self) -> None:
        """The client will answer our last words."""
        self._expecting = True

    def forget(self) -> None:
        """The connection is lost: refer to nobody who refers to us, so that nobody has to look for such circles."""
        self._closing = True
        self._is_receiving = _yes
        self._last_words = _nothing
        self.write = self.writelines = _nobody_reads

    def close(self) -> None:
        """What is written still goes out."""
        if self._closing:
            return
        self._closing = True
        self._last_words()
        self.is_closing = _yes
        transport = self._transport
        if transport.is_closing() or not (self._expecting or self._is_receiving() or unread(transport)):
            transport.close()
            return
        self.write = self.writelines = _nobody_reads
        transport.pause_reading()  # else uvloop goes on as before
        transport.set_protocol(_Farewell(self._loop, transport, transport.get_protocol()))
        transport.resume_reading()
        transport.write_eof()


class _Farewell(asyncio.Protocol):
    """Reads until the client has said his end; then the connection is lost for `protocol`, who was served."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Any, protocol: Any) -> None:
        self._loop = loop
        self._transport = transport
        self._protocol = protocol
        self._discarded = 0
        self._over = loop.time() + _LONGEST
        self._until = loop.time() + _SILENCE
        self._timer = loop.call_later(_SILENCE, self._look)

    def data_received(self, data: bytes) -> None:
        self._discarded += len(data)
        self._until = self._loop.time() + _SILENCE
        if self._discarded > _MOST:
            self._transport.abort()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        self._protocol.connection_lost(error)

    def _look(self) -> None:
        now = self._loop.time()
        if self._transport.get_write_buffer_size():  # he has his answer to take: how fast, is the heartbeat's to see
            self._over = max(self._over, now + _LONGEST)
            self._until = max(self._until, now + _SILENCE)
        if now >= min(self._over, self._until):
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(max(self._until - now, _SILENCE / 4), self._look)


def _nobody_reads(_data: Any) -> None:
    """What an app sends after the end."""


def _yes() -> bool:
    """After `close`, whatever the transport says."""
    return True


def _nothing() -> None:
    """Nobody is left to say anything."""
