"""A TCP service that is no HTTP: each line comes back. Blocking, of socketserver, and async."""

from __future__ import annotations

import socketserver


def handler(connection, _address):
    with connection.makefile("rwb") as file:
        for line in file:
            file.write(line)
            file.flush()


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line)


async def stream(reader, writer):
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
