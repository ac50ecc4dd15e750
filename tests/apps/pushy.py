"""An ASGI app of everything that lasts: streams, WebSockets, background tasks, leases. It tells stderr of its life."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import uvicorn

from spyglass_systemd import keep_awake


def tell(text):
    sys.stderr.write(f"app pid={os.getpid()} {text}\n")
    sys.stderr.flush()


async def opened(path):
    """Wait until somebody opens the FIFO for writing."""
    with await asyncio.to_thread(open, path):
        pass


async def app(scope, receive, send):
    await {"lifespan": lifespan, "http": http, "websocket": websocket}[scope["type"]](scope, receive, send)


async def lifespan(_scope, receive, send):
    await receive()
    tell(f"startup uvicorn={Path(uvicorn.__file__).parent.parent}")
    if reason := os.environ.get("STARTUP_FAILS"):
        if reason == "raise":
            raise ValueError("no database")
        if reason == "exit":
            sys.exit(3)
        return await send({"type": "lifespan.startup.failed", "message": reason})
    await send({"type": "lifespan.startup.complete"})
    await receive()
    tell("shutdown")
    return await send({"type": "lifespan.shutdown.complete"})


async def http(scope, receive, send):
    path = scope["path"].removeprefix("/blog")
    argument = scope["query_string"].decode()
    if path == "/wait":
        await opened(argument)
    elif path == "/block":
        time.sleep(3600)  # noqa: ASYNC251  # what nobody should
    elif path == "/fail":
        raise ValueError("broken")
    elif path == "/sse":
        return await stream(argument, receive, send)
    elif path == "/lease":
        lease = keep_awake("report")
        asyncio.create_task(let_go(lease, argument))  # noqa: RUF006
    told = {name: scope.get(name) for name in ("root_path", "client", "state", "path", "raw_path")}
    told |= {
        "protocol": type(getattr(receive, "__self__", None)).__mro__[-2].__module__,
        "loop": type(asyncio.get_running_loop()).__module__,
    }
    body = f"hello {told!r}\n".encode()
    if path == "/big":
        body = b"x" * int(argument)
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    if path == "/background":
        await opened(argument)
        tell("background done")
    return None


async def let_go(lease, path):
    await opened(path)
    lease.release()


async def stream(path, receive, send):
    """Server-sent events: one, and another when the FIFO is opened; without one, until the client goes."""
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"data: hello\n\n", "more_body": True})
    if path:
        await opened(path)
        await send({"type": "http.response.body", "body": b"data: bye\n\n"})
        return
    while (await receive())["type"] != "http.disconnect":
        pass
    tell("stream disconnected")


async def websocket(_scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
    tell(f"websocket disconnected code={message['code']}")


class Legacy:
    """ASGI 2."""

    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await app(self.scope, receive, send)


def make():
    return app
