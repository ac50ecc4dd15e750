"""Quart: a request, server-sent events, a WebSocket."""

from __future__ import annotations

import asyncio

from quart import Quart, Response, websocket

app = Quart(__name__)


@app.get("/")
async def index():
    return "Hello from Quart!\n"


@app.get("/events")
async def events():
    async def three():
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return Response(three(), content_type="text/event-stream")


@app.websocket("/ws")
async def echo():
    while True:
        await websocket.send(await websocket.receive())
