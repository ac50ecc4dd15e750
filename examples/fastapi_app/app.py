"""FastAPI: a request, server-sent events, a WebSocket, and work that outlives its request."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse

from spyglass_systemd import keep_awake


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.greeting = "Hello from FastAPI!\n"  # here a database would be opened
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=PlainTextResponse)
async def index() -> str:
    return app.state.greeting


@app.get("/events")
async def events() -> StreamingResponse:
    async def three():
        for number in range(3):
            yield f"data: {number}\n\n"
            await asyncio.sleep(0.01)

    return StreamingResponse(three(), media_type="text/event-stream")


@app.websocket("/ws")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@app.post("/import")
async def start(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(work)
    return {"status": "begun"}


def work() -> None:
    with keep_awake("import job"):  # a background task keeps the app awake by itself; this says why, in the status
        pass
