"""Apps of each kind that say who asked them, and for what: one JSON."""

from __future__ import annotations

import json


def wsgi(environ, start_response):
    claims = [key for key in environ if "FORWARDED" in key or "REAL" in key]
    told = {
        key: environ.get(key) for key in ("REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO", "HTTP_HOST", "wsgi.url_scheme")
    }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told | {key: environ[key] for key in claims}).encode()]


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    keys = ("client", "scheme", "root_path", "path", "server")
    told = {key: scope[key] for key in keys} | {"raw_path": scope["raw_path"].decode()}
    told["headers"] = {name.decode(): value.decode() for name, value in scope["headers"]}
    body = json.dumps(told).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def raw(connection, address):
    with connection.makefile("rb") as lines:
        said = lines.readline().decode()
    connection.sendall(json.dumps([address, said]).encode())


async def stream(reader, writer):
    said = (await reader.readline()).decode()
    peer = writer.get_extra_info("socket").getpeername()
    writer.write(json.dumps([writer.get_extra_info("peername"), said, peer]).encode())
