"""A Flask app like any other: nothing in it knows that it sleeps between its visitors."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from flask import Flask, Response, request

if TYPE_CHECKING:
    from collections.abc import Iterator

app = Flask(__name__)
LOADED = time.time()


@app.get("/")
def index() -> str:
    return f"Hello from process {os.getpid()}, loaded {time.time() - LOADED:.1f} s ago.\n"


@app.post("/count")
def count() -> dict[str, int]:
    """How many bytes were uploaded, read piece by piece."""
    size = 0
    while piece := request.stream.read(64 * 1024):
        size += len(piece)
    return {"bytes": size}


@app.get("/stream/<int:megabytes>")
def stream(megabytes: int) -> Response:
    """So many megabytes, made as they are sent."""

    def pieces() -> Iterator[bytes]:
        for _ in range(megabytes * 16):
            yield b"x" * (64 * 1024)

    return Response(pieces(), mimetype="application/octet-stream")
