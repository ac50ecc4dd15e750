"""Raw connections for `async handler(reader, writer)`: each is a task of one asyncio loop. Knows no protocol."""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends import aio
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

_ERROR = 3  # syslog(3)
_SILENCE = 2.0  # seconds in which a client says his end after us
_LAST_WORDS = 0.8  # of `drain`: then a handler sees the end of its input, before the Master ends it


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
                del self._talking[reader]
                await _see_off(reader, writer)
        except OSError:
            pass  # the client is gone; what its handler made of that is its own affair
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001  # the app may raise what it likes
            from spyglass_systemd.protocols.apps import trace_of  # noqa: PLC0415  # only on this path

            self._gate.say("handler_failed", _ERROR, f"{type(error).__name__}: {error}\n{trace_of(error)}")
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


async def _see_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say our end and read what is left: unread, it makes the close a reset, which overtakes what was sent."""
    try:
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()
            async with asyncio.timeout(_SILENCE):
                while await reader.read(65536):
                    pass
    except (OSError, TimeoutError):
        pass
    finally:
        writer.close()
        await writer.wait_closed()
