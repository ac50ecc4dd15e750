"""What is attacked, in WSGI and in ASGI: `GET /N` is answered with N bytes, a POST with the length of its body."""

from __future__ import annotations

SIZE = 65536


def size_of(path):
    return int(path.strip("/") or 2)


def wsgi(environ, start_response):
    length = 0
    while piece := environ["wsgi.input"].read(65536):
        length += len(piece)
    if length:
        start_response("200 OK", [])
        return [str(length).encode()]
    size = size_of(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", str(size))])
    return (b"x" * min(SIZE, size - at) for at in range(0, size, SIZE))


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        length, more = length + len(message["body"]), message["more_body"]
    size = size_of(scope["path"])
    body = [str(length).encode()] if length else []
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-length", b"%d" % (len(body[0]) if body else size))],
        }
    )
    if body:
        return await send({"type": "http.response.body", "body": body[0]})
    for at in range(0, size, SIZE):
        await send({"type": "http.response.body", "body": b"x" * min(SIZE, size - at), "more_body": True})
    return await send({"type": "http.response.body", "body": b""})
