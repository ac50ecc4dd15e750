"""What the soak serves by ASGI, without a framework: the pages of soak_flask, and a WebSocket that says all again."""

from __future__ import annotations

import asyncio
import os
import zlib
from pathlib import Path


class App:
    """Each answer to `/` says which `version` is loaded."""

    def __init__(self, version: int) -> None:
        self._who = f"{os.getpid()} {version}\n"
        self._version = version

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await _echo(receive, send)
        else:
            page, _, argument = scope["path"].strip("/").partition("/")
            await getattr(self, f"_{page or 'take'}")(int(argument or 0), receive, send)

    async def _take(self, ms, _receive, send):
        await asyncio.sleep(ms / 1000)
        await _answer(send, f"{os.getpid()} {self._version}\n".encode())

    async def _upload(self, _, receive, send):
        crc, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            crc, more = zlib.crc32(message.get("body", b""), crc), message.get("more_body", False)
        await _answer(send, f"{crc} {self._version}\n".encode())

    async def _big(self, kib, _receive, send):
        await _answer(send, b"x" * (kib << 10))

    async def _stream(self, count, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(count):
            await asyncio.sleep(0.02)
            await send({"type": "http.response.body", "body": f"{number}\n".encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _start(self, _, receive, send):
        path = (await receive())["body"].decode()
        await asyncio.create_subprocess_exec("/bin/sh", "-c", "sleep 0.7; echo done >$0", path)
        await _answer(send, f"{os.getpid()} {self._version}\n".encode())

    async def _hang(self, _, receive, _send):
        Path((await receive())["body"].decode()).write_text(f"{os.getpid()}")  # noqa: ASYNC240  # it is to block
        while True:  # the whole loop
            pass


async def _answer(send, body):
    fields = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _live(receive, send):
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


make = App
