"""What ASGI bodies keep in memory is counted and given back, whatever becomes of them; with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import types
import weakref

import pytest
import uvloop

from spyglass_systemd.backends.asgi import names, serve
from spyglass_systemd.backends.asgi.connection import protocol_factory
from spyglass_systemd.backends.asgi.state import State
from spyglass_systemd.protocols.witness import NOTE
from spyglass_systemd.words.options import Settings

LIMIT = 10.0  # seconds for anything here
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Server:
    """The connections of a worker, with `app`."""

    def __init__(self, app, http):
        loop = asyncio.get_running_loop()
        settings = Settings(app="x:y", kind="asgi", keepalive=60.0)  # a timer that is left behind keeps its connection
        names.prepare()
        config = names.config(app, settings, "", http=http)
        gate = types.SimpleNamespace(row=types.SimpleNamespace(worker=1), place=memoryview(bytearray(NOTE)))
        tasks = set()
        plain, config.loaded_app = serve.around(config.loaded_app, gate, settings, tasks)
        self.state = State(set(), tasks)
        self.protocols = []
        made = protocol_factory(loop, config, self.state, {}, settings, plain=plain)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._accepting = loop.create_task(self._accept(made))

    async def _accept(self, made):
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            await loop.connect_accepted_socket(self._known(made()), connection)

    def _known(self, protocol):
        self.protocols.append(weakref.ref(protocol))
        return lambda: protocol

    async def connect(self):
        return await asyncio.open_connection(*self._listener.getsockname())

    def beats(self):
        """The heartbeat, for bodies."""
        for sips in list(self.state.sips):
            sips.count()
        return True

    async def nothing_is_kept(self):
        """No connection, no byte that is counted, no protocol."""
        await self.until(lambda: not self.state.connections)
        await self.until(lambda: self.beats() and not self.state.bodies.used and not self.state.sips)
        await self.until(lambda: gc.collect() >= 0 and not any(protocol() for protocol in self.protocols))

    async def until(self, true):
        """Ask again and again, for what sends no event."""
        async with asyncio.timeout(LIMIT):
            while not true():  # noqa: ASYNC110  # see above
                await asyncio.sleep(0.001)

    def read(self):
        """Bytes that came to connections that are open, but for what was read at once as a plain request."""
        return sum(protocol.received for protocol in self.state.connections)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting
        self._listener.close()


@pytest.fixture(params=["asyncio-httptools", "asyncio-h11", "uvloop-httptools", "uvloop-h11"])
def serving(request):
    """Runs `test(server)` on each loop, with each parser."""
    loop, http = request.param.split("-")

    def serving(app, test):
        async def run():
            async with Server(app, http) as server, asyncio.timeout(3 * LIMIT):
                await test(server)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
            runner.run(run())

    return serving


def upload(size, *, close=False):
    """The head of one."""
    return b"POST / HTTP/1.1\r\nHost: test\r\n%bContent-Length: %d\r\n\r\n" % (b"Connection: close\r\n" * close, size)


async def say(server, writer, *pieces):
    """One after the other, each when the one before it was read."""
    for piece in pieces:
        read = server.read() + len(piece)
        writer.write(piece)
        await server.until(lambda read=read: server.read() == read)


class Refusing:
    """An app that answers, when it `may`, without looking at the body; a WebSocket it has as long as that lasts."""

    def __init__(self):
        self.may = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        await self.may.wait()
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"no\n"})


async def answer(reader):
    return await asyncio.wait_for(reader.readuntil(b"no\n"), LIMIT)


def test_who_was_answered_without_his_body_being_taken_is_heard_again(serving):
    app = Refusing()

    async def test(server):
        clients = [await server.connect() for _ in range(50)]
        for _, writer in clients:
            await say(server, writer, upload(64_000) + bytes(50_000))
        app.may.set()
        for reader, writer in clients:
            await answer(reader)
            writer.write(bytes(14_000) + GET)
        for reader, writer in clients:
            await answer(reader)
            writer.close()
        await server.nothing_is_kept()

    serving(app, test)


def test_a_connection_that_becomes_a_websocket_leaves_nothing_behind(serving):
    app = Refusing()

    async def test(server):
        for _ in range(5):
            app.may.clear()
            reader, writer = await server.connect()
            await say(server, writer, upload(65_000) + bytes(40_000), bytes(25_000))
            app.may.set()
            await answer(reader)
            writer.write(UPGRADE)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
            assert not server.state.bodies.used
            writer.close()
            await server.nothing_is_kept()

    serving(app, test)


def test_who_goes_with_requests_waiting_behind_his_body_leaves_nothing_behind(serving):
    app = Refusing()

    async def test(server):
        for _ in range(5):
            app.may.clear()
            reader, writer = await server.connect()
            await say(server, writer, upload(60_000, close=True) + bytes(30_000), bytes(30_000) + GET)
            app.may.set()
            await answer(reader)
            writer.close()
            await server.nothing_is_kept()

    serving(app, test)


def test_a_body_that_the_app_has_taken_counts_no_more_while_it_streams(serving):
    ends = []

    async def streams(_scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"no\n", "more_body": True})
        if ends:
            await ends[0].wait()
        await send({"type": "http.response.body", "body": b""})

    async def test(server):
        reader, writer = await server.connect()
        await say(server, writer, upload(60_000) + bytes(20_000), bytes(40_000))
        await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), LIMIT)
        server.beats()
        ends.append(asyncio.Event())
        await say(server, writer, upload(15_000) + bytes(15_000))
        await answer(reader)
        await server.until(lambda: server.beats() and not server.state.bodies.used)
        ends[0].set()
        ends.clear()
        writer.close()
        await server.nothing_is_kept()

    serving(streams, test)
