"""One connection to an ASGI worker, all of it in this process and none of it a socket. Knows no rule of HTTP.

uvicorn's protocol is made as the worker makes it, with all that the worker puts around an app; the transport is made so
that bytes go in at one end and come out at the other.
"""

from __future__ import annotations

import asyncio
import logging
import types

from http_rules import CLOSED, OPEN, WAITS
from talk import LIMITS, seen

from spyglass_systemd.backends.asgi import names, serve
from spyglass_systemd.backends.asgi.connection import protocol_factory
from spyglass_systemd.backends.asgi.state import State
from spyglass_systemd.backends.budget import WAITING
from spyglass_systemd.protocols.witness import NOTE
from spyglass_systemd.words.options import Settings

_TURNS = 40  # of the loop, in which everything that can happen has happened


class Transport:
    """What the protocol takes for the transport of a socket."""

    def __init__(self, protocol):
        self.protocol, self.said, self.over, self.paused = protocol, [], False, False
        self.coming = []

    def write(self, data):
        assert not self.over or not data, "it said more behind its end"
        self.said.append(bytes(data))

    def writelines(self, pieces):
        self.write(b"".join(pieces))

    def close(self):
        self.over = True

    abort = write_eof = close

    def is_closing(self):
        return self.over

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False
        asyncio.get_running_loop().call_soon(self.deliver)

    def get_extra_info(self, name, default=None):
        return {"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def get_write_buffer_size(self):
        return 0

    def set_write_buffer_limits(self, high):
        pass

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol

    def deliver(self):
        while self.coming and not self.paused and not self.over:
            piece = self.coming.pop(0)
            if not hasattr(self.protocol, "get_buffer"):
                self.protocol.data_received(piece)
                continue
            buffer = self.protocol.get_buffer(-1)
            size = min(len(piece), len(buffer))
            buffer[:size] = piece[:size]
            if size < len(piece):
                self.coming.insert(0, piece[size:])
            self.protocol.buffer_updated(size)


class Counter:
    """A worker's connections that are in this process: `talk` to it. `server` is h11 or httptools.

    `room` is how many bytes may wait there.
    """

    def __init__(self, app, server, *, room=WAITING, **settings):
        self._room = room
        logging.getLogger("uvicorn.error").disabled = True
        self.settings = Settings(app="x:y", kind="asgi", **LIMITS | settings)
        self.server = server
        self._app = app

    def talk(self, pieces, *, turns=0):
        """Say `pieces` one after the other: all that was answered, and what became of the connection.

        The loop turns `turns` times between two.
        """
        return asyncio.run(self._talk(pieces, turns))

    async def _talk(self, pieces, turns):
        loop = asyncio.get_running_loop()
        config = names.config(self._app, self.settings, "", http=self.server)
        gate = types.SimpleNamespace(row=types.SimpleNamespace(worker=1), place=memoryview(bytearray(NOTE)))
        self.tasks = set()
        plain, config.loaded_app = serve.around(config.loaded_app, gate, self.settings, self.tasks)
        state = State(set(), self.tasks)
        state.budget.size = self._room + 1
        state.budget.take(1)  # who is alone has room without end
        self.protocol = protocol_factory(loop, config, state, {}, self.settings, plain=plain)()
        transport = self.transport = Transport(self.protocol)
        self.protocol.connection_made(transport)
        for piece in pieces:
            transport.coming.append(piece)
            transport.deliver()
            for _ in range(turns):
                await asyncio.sleep(0)
                transport.deliver()
        await self._settle()
        data, end = b"".join(transport.said), self._end()
        transport.protocol.connection_lost(None)
        await self._settle()
        for task in self.tasks:
            task.cancel()
        return data, end

    async def _settle(self):
        for _ in range(_TURNS):
            self.transport.deliver()
            await asyncio.sleep(0)

    def _end(self):
        if self.transport.over:
            return CLOSED
        cycle = names.cycle_of(self.protocol)
        return OPEN if cycle is not None and cycle.response_complete else WAITS


async def echo(scope, receive, send):
    """The ASGI app of the table."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    fields = {}
    for name, value in scope["headers"]:
        fields[name] = fields[name] + b"," + value if name in fields else value
    field = fields.get(b"a")
    said = seen(
        scope["method"],
        scope["path"].encode(),
        scope["query_string"].decode("latin-1"),
        host=fields.get(b"host", b"").decode("latin-1"),
        a=None if field is None else field.decode("latin-1"),
        body=body,
    )
    mute = [(b"x-no-body", said)] if scope["method"] == "HEAD" else []
    length = str(len(said)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length), *mute]})
    await send({"type": "http.response.body", "body": said})
