"""Starlette: a request, server-sent events, a WebSocket."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


async def index(_request):
    return PlainTextResponse("Hello from Starlette!\n")


async def events(_request):
    async def three():
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(three(), media_type="text/event-stream")


async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


app = Starlette(routes=[Route("/", index), Route("/events", events), WebSocketRoute("/ws", echo)])
