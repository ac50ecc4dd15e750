"""What the soak serves by WSGI: Flask, with one page for each way in which a client can be served, or misbehave."""

from __future__ import annotations

import os
import subprocess
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, request

if TYPE_CHECKING:
    from collections.abc import Iterator


def make(version: int) -> Flask:
    """The app; each answer to `/` says which `version` of it is loaded."""
    app = Flask(__name__)

    @app.get("/")
    @app.get("/take/<int:ms>")
    def take(ms: int = 0) -> str:
        time.sleep(ms / 1000)
        return f"{os.getpid()} {version}\n"

    @app.post("/upload")
    def upload() -> str:
        crc = 0
        while data := request.stream.read(65536):
            crc = zlib.crc32(data, crc)
        return f"{crc} {version}\n"

    @app.get("/big/<int:kib>")
    def big(kib: int) -> bytes:
        return b"x" * (kib << 10)

    @app.get("/stream/<int:count>")
    def stream(count: int) -> Iterator[str]:
        for number in range(count):
            time.sleep(0.01)
            yield f"{number}\n"

    @app.post("/start")
    def start() -> str:
        """A process that outlives the request, and writes into the file that is named when it is done."""
        script = "sleep 0.7; echo done >$0"
        subprocess.Popen(["/bin/sh", "-c", script, request.get_data(as_text=True)], start_new_session=False)
        return f"{os.getpid()} {version}\n"

    @app.post("/hang")
    def hang() -> str:
        Path(request.get_data(as_text=True)).write_text(f"{os.getpid()}")
        while True:  # a busy loop
            pass

    return app
