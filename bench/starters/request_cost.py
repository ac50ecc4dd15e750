"""What a request costs in uvicorn's protocol as uvicorn runs it, and as our ASGI worker does: a line of JSON each.

`python request_cost.py MODULE:APP ROUNDS`. In one process, in turns, in CPU time of one thread, so that neither a load
generator nor anybody else on the machine is in the figure. Without the reads and the polling, which are the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import socket
import sys
import time

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from spyglass_systemd.backends.asgi import books, names
from spyglass_systemd.backends.asgi.connection import protocol_factory
from spyglass_systemd.backends.asgi.noted import noted
from spyglass_systemd.backends.asgi.origin import origins
from spyglass_systemd.backends.asgi.state import State
from spyglass_systemd.protocols.row import ROW_CELLS, Row
from spyglass_systemd.protocols.witness import NOTE
from spyglass_systemd.words.options import Settings

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
DATE = [(b"date", b"Tue, 24 Nov 2026 08:00:00 GMT")]
CONNECTIONS, TURNS = 8, 20


def load(spec: str):
    """`module:attribute`."""
    module, _, name = spec.partition(":")
    return getattr(importlib.import_module(module), name)


class Gate:
    """The part of backends/base.py that a request passes."""

    accepting = True
    closing = False

    def __init__(self) -> None:
        self.row = Row(memoryview(bytearray(8 * ROW_CELLS)).cast("q"), 0)
        self.place = memoryview(bytearray(NOTE))

    def began(self, count: int) -> None:
        self.row.began(time.monotonic_ns(), count)

    def answered(self, count: int) -> None:
        self.row.answered(time.monotonic_ns(), count)


def bare(app):
    """uvicorn's protocols as its own Server makes them, with its own look at proxies' fields."""
    config = Config(app, log_level="warning", access_log=False, server_header=False)
    config.load()
    state = ServerState()
    state.default_headers = DATE
    return lambda: config.http_protocol_class(config=config, server_state=state, app_state={})


def ours(app, loop: asyncio.AbstractEventLoop):
    """uvicorn's protocols as backends/asgi/serve.py makes them."""
    settings = Settings(app="a:b")
    config = names.config(app, settings, "")
    gate = Gate()
    plain = noted(config.loaded_app, gate.place)
    config.loaded_app = noted(origins(config.loaded_app, settings), gate.place)
    state = State(set(), books.Tasks(loop, gate, lambda: None, lambda: None))
    state.default_headers = DATE
    return protocol_factory(loop, config, state, {}, settings, plain=plain)


async def connected(factory, listener: socket.socket) -> tuple[socket.socket, object]:
    """A client, and the protocol of its connection."""
    client = socket.create_connection(listener.getsockname())
    connection, _ = listener.accept()
    connection.setblocking(False)
    client.setblocking(False)
    transport, protocol = await asyncio.get_running_loop().connect_accepted_socket(factory, connection)
    transport.pause_reading()
    return client, protocol


async def cost(connections) -> float:
    """Nanoseconds of CPU time a request."""
    began = time.thread_time_ns()
    for _ in range(TURNS):
        for _, protocol in connections:
            protocol.data_received(REQUEST)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    spent = time.thread_time_ns() - began
    for client, _ in connections:
        with contextlib.suppress(BlockingIOError):
            while client.recv(1 << 20):
                pass
    return spent / TURNS / CONNECTIONS


async def main(spec: str, rounds: int) -> None:
    loop = asyncio.get_running_loop()
    app = load(spec)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pairs = [[await connected(each, listener) for _ in range(CONNECTIONS)] for each in (bare(app), ours(app, loop))]
    for pair in pairs:
        await cost(pair)
    for _ in range(rounds):
        print(json.dumps([await cost(pair) for pair in pairs]))


sys.path.insert(0, "")
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main(sys.argv[1], int(sys.argv[2])))
