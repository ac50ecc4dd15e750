"""Raw handlers: each line that comes is answered by itself, `wait PATH` when somebody opens that FIFO for writing."""

from __future__ import annotations

import asyncio
import socketserver
import time
from pathlib import Path


def handler(connection, _address):
    with connection.makefile("rwb") as file:
        answer(file)


def answer(file):
    while line := file.readline():
        if line == b"fail\n":
            raise ValueError("broken")
        if line.startswith(b"wait "):
            with Path(line.split()[1].decode()).open():
                pass
        file.write(line)
        file.flush()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while line := self.rfile.readline():
            self.wfile.write(line)


async def stream(reader, writer):
    while line := await reader.readline():
        if line == b"fail\n":
            raise ValueError("broken")
        if line == b"block\n":
            time.sleep(3600)  # noqa: ASYNC251  # what nobody should
        if line.startswith(b"wait "):
            with await asyncio.to_thread(open, line.split()[1]):
                pass
        writer.write(line)
        await writer.drain()
