"""Raw connections for `async handler(reader, writer)`: each is a task of one asyncio loop. Knows no protocol."""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends import aio, astray, trouble
from spyglass_systemd.backends.pulse import Pulse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.backends.preface import Introductions
    from spyglass_systemd.words.listener import Lead, Listener
    from spyglass_systemd.words.options import Settings

    Bounds = tuple[float, float]  # seconds, and how many bytes a client takes in them at least

_ERROR = 3  # syslog(3)
_SILENCE = 2.0  # seconds in which a client says his end after us
_LAST_WORDS = 0.8  # of `drain`: then a handler sees the end of its input, before the Master ends it


# ### How long does a client have to take what a handler has left for him?
# As long as he takes it. A flat limit would cut who is slow and honest; none would let one who reads nothing keep the
# app awake for ever. So what is left must become less, by `min_rate`, within `write_timeout` (or `max_stream_idle`, if
# that is shorter): the rule of an HTTP answer.


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve until the gate is `stopped`."""
    loop = aio.new_loop()
    aio.run(loop, _Server(loop, leads, gate, settings).run())


class _Server:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        leads: tuple[Lead, ...],
        gate: Gate,
        settings: Settings,
    ) -> None:
        self._loop = loop
        self._apps = {lead.listener.fd: lead.app for lead in leads}
        self._gate = gate
        self._drain = settings.drain
        self._silence = settings.max_stream_idle
        patience = min(settings.write_timeout, self._silence or settings.write_timeout)
        self._bounds = (patience, max(1, settings.min_rate * patience))
        self._pulse = Pulse(loop, gate.row, settings.request_timeout)
        self._introductions: Introductions | None = None
        if settings.proxy_protocol:
            from spyglass_systemd.backends.preface import Introductions  # noqa: PLC0415  # where it is asked for

            self._introductions = Introductions(settings, gate)
        self._talking: dict[asyncio.StreamReader, asyncio.StreamWriter] = {}
        self._door = aio.Doorkeeper(
            loop,
            tuple(lead.listener for lead in leads),
            gate,
            self._welcome,
            self._last_answers,
            most=settings.max_connections,
        )

    async def run(self) -> None:
        astray.guard(self._loop, self._gate, lambda _: None)
        self._door.open()
        await self._door.over

    async def _welcome(self, connection: socket.socket, address: object, listener: Listener) -> None:
        self._gate.began()
        self._pulse.start()
        try:
            reader, writer = await self._open(connection, address)
            self._talking[reader] = writer
            try:
                await self._talk(self._apps[listener.fd], reader, writer)
            finally:
                astray.check()
                del self._talking[reader]
                await _see_off(reader, writer, self._bounds)
        except OSError:
            pass  # the client is gone; what its handler made of that is its own affair
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # the app may raise what it likes
            self._gate.say("handler_failed", _ERROR, trouble.told(error))
        finally:
            connection.close()
            self._gate.answered()
            self._gate.closed()
            self._door.settle()

    async def _open(
        self, connection: socket.socket, address: object
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._introductions is None:
            return await asyncio.open_connection(sock=connection)
        address = await self._introductions.greet(connection, address)
        reader = asyncio.StreamReader(loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, connection)
        return reader, self._introductions.writer(transport, protocol, reader, address)

    async def _talk(self, app: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silence = self._silence
        if silence is None:
            await app(reader, writer)
            return
        async with asyncio.timeout(silence) as clock:
            feed, write = reader.feed_data, writer.write

            def moving(call: Callable[[Any], None]) -> Callable[[Any], None]:
                def moved(data: Any) -> None:
                    if not clock.expired():
                        clock.reschedule(self._loop.time() + silence)
                    call(data)

                return moved

            reader.feed_data = moving(feed)  # type: ignore[assignment, method-assign]
            writer.write = moving(write)  # type: ignore[assignment, method-assign]
            try:
                await app(reader, writer)
            finally:
                reader.feed_data, writer.write = feed, write  # type: ignore[method-assign]

    def _last_answers(self) -> None:
        self._loop.call_later(self._drain * _LAST_WORDS, self._end_input)

    def _end_input(self) -> None:
        for reader, writer in self._talking.items():
            if not reader.at_eof() and not writer.is_closing():
                writer.transport.pause_reading()  # type: ignore[attr-defined]  # what came after the end would be an error
                reader.feed_eof()


async def _see_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, bounds: Bounds) -> None:
    """Say our end and read what is left: unread, it makes the close a reset, which overtakes what was sent."""
    transport = writer.transport
    watch = asyncio.create_task(_cut_the_slow(transport, *bounds))
    try:
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()
            while not await _has_ended(reader) and transport.get_write_buffer_size():
                pass
    except OSError:
        pass
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        finally:
            watch.cancel()


async def _has_ended(reader: asyncio.StreamReader) -> bool:
    """Whether the client says his end in time."""
    try:
        async with asyncio.timeout(_SILENCE):
            while await reader.read(65536):
                pass
    except TimeoutError:
        return False
    return True


async def _cut_the_slow(transport: asyncio.WriteTransport, patience: float, least: float) -> None:
    """Who takes less than `least` bytes of what is left for him in `patience` seconds is given up."""
    while left := transport.get_write_buffer_size():
        await asyncio.sleep(patience)
        if left - transport.get_write_buffer_size() < min(left, least):
            transport.abort()
            return
