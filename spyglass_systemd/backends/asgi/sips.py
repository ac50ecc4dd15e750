"""Reads a large body in pieces for which there is memory, where a transport reads all that is there. Knows no HTTP.

uvicorn lets a client wait when 64 KiB of a body are not taken by the app. But by then one read has brought up to 256 KB
of each of a thousand clients. So while a body is on its way the transport is given a buffer, no larger than what all
bodies together have left of their bound; and who is over it waits until the app has taken what is there.
"""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends.asgi import names
from spyglass_systemd.backends.budget import Share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.asgi.state import State

MOST, _LEAST = 64 * 1024, 4096  # bytes of a read

_buffer = bytearray()  # one for all: what is read into it is taken out before anybody else reads


class Sips(asyncio.BufferedProtocol):
    """Between a transport and its `protocol` while a body is on its way."""

    def __init__(self, protocol: Any, state: State) -> None:
        self._protocol = protocol
        self._state = state
        self._share = Share(state.bodies)

    def begin(self) -> None:
        """A body is on its way. May be said again."""
        if not _buffer:
            _buffer.extend(bytes(MOST))
        self._lead_to(self)

    def end(self) -> None:
        """It has come; a part may still wait for the app."""
        self._lead_to(self._protocol)

    def count(self) -> bool:
        """Whether there may be more than what waits for the app now.

        Who must wait goes on when the app asks for more, or has answered: so never one whose app does neither.
        """
        protocol = self._protocol
        waiting, asked = names.waiting(protocol), names.is_answering(protocol) and names.is_receiving(protocol)
        if protocol not in self._state.connections or not (waiting or asked):
            self.forget()
            return True
        self._state.sips.add(self)
        return self._share.keep(waiting) or not asked

    def forget(self) -> None:
        """The app has all that it will take, or the connection is lost, or a WebSocket now."""
        self._share.keep(0)
        self._state.sips.discard(self)

    def _lead_to(self, protocol: Any) -> None:
        transport = self._protocol.transport
        if transport.get_protocol() is not protocol and not transport.is_closing():
            transport.pause_reading()  # else uvloop goes on as before
            transport.set_protocol(protocol)
            if not self._protocol.flow.read_paused:
                transport.resume_reading()

    def get_buffer(self, _sizehint: int) -> memoryview:
        bodies = self._state.bodies
        return memoryview(_buffer)[: max(_LEAST, min(bodies.size - bodies.used, MOST))]

    def buffer_updated(self, count: int) -> None:
        self._protocol.data_received(bytes(memoryview(_buffer)[:count]))

    def eof_received(self) -> bool | None:
        ended: bool | None = self._protocol.eof_received()
        return ended

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._protocol.connection_lost(error)
