"""The ASGI examples and the raw one under the Lookout, with real clients: HTTP, server-sent events, WebSocket."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from harness import LIMIT, Stream
from httpx_sse import connect_sse
from websockets.sync.client import unix_connect

ROOT = Path(__file__).parents[2]
APPS = {
    "fastapi_app": "app:app",
    "starlette_app": "app:app",
    "quart_app": "app:app",
    "django_asgi": "asgi:application",
    "channels_app": "asgi:application",
}
OF_THE_README = {
    readme.parent.name: line.split()[-1]
    for readme in sorted((ROOT / "examples").glob("*/README.md"))
    for line in readme.read_text().splitlines()
    if line.startswith("    spyglass lookout ")
}


@pytest.fixture
def lookout(tmp_path):
    """Starts a Lookout on a Unix socket; its path, and its log."""
    started = []

    def start(example, spec, *more):
        path = tmp_path / "s"
        words = ["--listen", f"unix:{path}", "--idle", "0.5", "--min-awake", "0", "--workers", "1"]
        command = [sys.executable, "-m", "spyglass_systemd", "lookout", *words, *more]
        command += ["--chdir", str(ROOT / "examples" / example), spec]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        log = Stream()

        def read():
            for line in process.stderr:
                log.append(line.rstrip())
            log.end()

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        started.append((process, thread, log))
        log.until("listening")
        return str(path), log

    yield start
    for process, thread, log in started:
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(LIMIT) == 0, log
        finally:
            process.kill()
            thread.join(LIMIT)
            process.stderr.close()
        assert not re.search("Traceback|Warning|worker_died", str(log)), log


@pytest.mark.parametrize("example", APPS)
def test_an_example_answers_streams_and_sleeps(lookout, example):
    assert OF_THE_README[example] == APPS[example]
    path, log = lookout(example, APPS[example])
    with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://test", timeout=LIMIT) as client:
        assert client.get("/").text.startswith("Hello from ")
        if example != "channels_app":
            with connect_sse(client, "GET", "/events") as source:
                assert [event.data for event in source.iter_sse()] == ["0", "1", "2"]
        if example == "fastapi_app":
            assert client.post("/import").json() == {"status": "begun"}
    if example != "django_asgi":
        with unix_connect(path, "ws://test/ws", open_timeout=LIMIT) as ws:
            for word in ("hello", "again"):
                ws.send(word)
                assert ws.recv(LIMIT) == word
    log.until("slept")


@pytest.mark.parametrize(
    ("spec", "more"), [("echo:handler", ["--kind", "raw"]), ("echo:Handler", []), ("echo:stream", [])]
)
def test_the_raw_example_echoes(lookout, spec, more):
    path, log = lookout("raw_echo", spec, *more)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(LIMIT)
        sock.connect(path)
        with sock.makefile("rwb") as file:
            for line in (b"hello\n", b"again\n"):
                file.write(line)
                file.flush()
                assert file.readline() == line
    log.until("slept")
