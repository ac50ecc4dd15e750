"""Raw connections for `async handler(reader, writer)`: each is a task of one asyncio loop. Knows no protocol."""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends import aio

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.listener import Lead, Listener
    from spyglass_systemd.words.options import Settings

_ERROR = 3  # syslog(3)
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
        self._readers: set[asyncio.StreamReader] = set()
        self._door = aio.Doorkeeper(
            loop, tuple(lead.listener for lead in leads), gate, self._welcome, self._last_answers
        )

    async def run(self) -> None:
        self._door.open()
        await self._door.over

    async def _welcome(self, connection: socket.socket, _address: object, listener: Listener) -> None:
        self._gate.began()
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            self._readers.add(reader)
            try:
                await self._apps[listener.fd](reader, writer)
            finally:
                self._readers.discard(reader)
                writer.close()
                await writer.wait_closed()
        except OSError:
            pass  # the client is gone; what its handler made of that is its own affair
        except Exception as error:  # noqa: BLE001  # the app may raise what it likes
            from spyglass_systemd.protocols.apps import trace_of  # noqa: PLC0415  # only on this path

            self._gate.say("handler_failed", _ERROR, f"{type(error).__name__}: {error}\n{trace_of(error)}")
        finally:
            connection.close()
            self._gate.answered()
            self._gate.closed()
            self._door.settle()

    def _last_answers(self) -> None:
        self._loop.call_later(self._drain * _LAST_WORDS, self._end_input)

    def _end_input(self) -> None:
        for reader in self._readers:
            reader.feed_eof()
