"""who.py's siblings: the storm's app for ASGI, HTTP and WebSocket, and as a raw handler that speaks a little HTTP."""

from __future__ import annotations

import asyncio
import os
import time


def who():
    return b"%d %d\n" % (os.getppid(), os.getpid())


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(int(scope["query_string"] or 0) / 1000)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(who()))]})
        await send({"type": "http.response.body", "body": who()})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": who().decode()})


async def streaming(scope, receive, send):
    """`/wait` takes a second, `/sse` begins and does not end."""
    if scope["type"] != "http" or scope["path"] == "/":
        return await asgi(scope, receive, send)
    if scope["path"] == "/wait":
        await asyncio.sleep(1)
        return await asgi({**scope, "query_string": b""}, receive, send)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    return None


def raw(connection, _address):
    with connection.makefile("rb") as file:
        if not (line := file.readline()):
            return
        while file.readline().strip():
            pass
        time.sleep(int(line.split()[1].partition(b"?")[2] or 0) / 1000)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(who()), who()))
