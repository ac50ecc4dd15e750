"""Ends streams that carry nothing for `max_stream_idle`: a WebSocket with 1001, a response by its last chunk.

Knows the messages between app and server (ASGI specification), no connection. Installed only where the option is set.
"""

from __future__ import annotations

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_GOING_AWAY = 1001  # RFC 6455, section 7.4.1

# ### What is a stream, and what does it carry?
# A WebSocket that was accepted, and a response that has begun, is not over and has no length it must reach. It carries
# what the app sends or receives: pings are between uvicorn and the client, and keep nothing awake here. The app's call
# is cancelled, as it is when a client goes in many frameworks, because nothing else ends one that waits for a message
# from elsewhere; then the stream is ended in its place.


class Idlers:
    """An ASGI 3 app around an ASGI 3 app."""

    def __init__(self, app: Any, limit: float) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await _WebSocket(self._limit, receive, send).run(self._app, scope)
        elif scope["type"] == "http":
            await _Response(self._limit, receive, send).run(self._app, scope)
        else:
            await self._app(scope, receive, send)


class _Stream:
    def __init__(self, limit: float, receive: Any, send: Any) -> None:
        self._limit = limit
        self._receive = receive
        self._send = send
        self._clock = asyncio.timeout(None)
        self._over = False

    async def run(self, app: Any, scope: Any) -> None:
        try:
            async with self._clock:
                await app(scope, self.receive, self.send)
        except TimeoutError:
            if not self._clock.expired():
                raise
        if self._clock.expired() and not self._over:
            await self.end()

    def moved(self) -> None:
        """From now on the stream may be silent for `limit` seconds."""
        if not self._clock.expired():  # else it is what the app says when it is cancelled
            self._clock.reschedule(asyncio.get_running_loop().time() + self._limit)

    def over(self) -> None:
        """What comes after it is no stream."""
        self._over = True
        if not self._clock.expired():
            self._clock.reschedule(None)

    async def receive(self) -> Any:
        raise NotImplementedError

    async def send(self, message: Any) -> None:
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError


class _WebSocket(_Stream):
    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self.moved()
        elif message["type"] == "websocket.disconnect":
            self.over()
        return message

    async def send(self, message: Any) -> None:
        await self._send(message)
        if message["type"] in ("websocket.accept", "websocket.send"):
            self.moved()
        else:
            self.over()

    async def end(self) -> None:
        await self._send({"type": "websocket.close", "code": _GOING_AWAY, "reason": "idle"})


class _Response(_Stream):
    _is_stream = False

    async def receive(self) -> Any:
        return await self._receive()

    async def send(self, message: Any) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            self._is_stream = not any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.over()
        elif self._is_stream:
            self.moved()

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
