"""The examples, run as their README says: under the Lookout, by a real client."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from harness import LIMIT, children, eventually

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
MEGABYTE = 1024 * 1024
SIZE = 100 * MEGABYTE
FLAT = 8 * 1024  # KiB that a worker may grow by for a body of SIZE

COMMANDS = [
    pytest.param(line.split(maxsplit=1)[1], id=f"{readme.parent.name}-{line.split()[-1]}")
    for readme in sorted(EXAMPLES.glob("*/README.md"))
    for line in readme.read_text().splitlines()
    if line.startswith("    spyglass ")
]
FRAMEWORKS = {"flask_app": "app:app", "django_app": "wsgi:application"}


class Running:
    """A Lookout with one app on a Unix socket."""

    def __init__(self, directory: Path, *options: str, **environ: str) -> None:
        self.path = directory / "app.sock"
        self.log = directory / "log"
        command = [sys.executable, "-m", "spyglass_systemd", "lookout", "--listen", f"unix:{self.path}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, stderr=log
            )

    def connect(self) -> socket.socket:
        """A connection, as soon as the Lookout listens."""
        eventually(lambda: " listening " in self.log.read_text() or self.process.poll() is not None, "a Lookout")
        assert self.process.poll() is None, self.log.read_text()
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT)
        connection.connect(str(self.path))
        return connection

    def request(self, method: str, target: str, body=None, size: int = 0) -> http.client.HTTPResponse:
        client = http.client.HTTPConnection("localhost")
        client.sock = self.connect()
        headers = {"Connection": "close"} | ({"Content-Length": str(size)} if body is not None else {})
        client.request(method, target, body, headers)
        return client.getresponse()

    def peak(self) -> int:
        """The most memory that the one worker ever had, in KiB."""
        pid = self.process.pid
        for _role in ("Master", "Template", "Worker"):
            (pid,) = children(pid)
        return int(re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())[1])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@pytest.fixture
def run(tmp_path):
    """Start a Lookout with these options; it is stopped afterwards, and must have had nothing to say of an error."""
    started = []

    def start(*options: str, **environ: str) -> Running:
        started.append(Running(tmp_path, *options, **environ))
        return started[-1]

    yield start
    for running in started:
        try:
            assert running.stop() == 0, running.log.read_text()
        finally:
            running.process.kill()
        assert "Traceback" not in running.log.read_text()
        assert "Warning" not in running.log.read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_an_example_runs_as_its_readme_says(run, command):
    words = shlex.split(command)
    assert words[:3] == ["lookout", "--listen", "8000"]
    running = run(*words[3:])
    if "raw_echo" in command:
        with running.connect() as connection:
            connection.sendall(b"hello\n")
            assert connection.recv(6) == b"hello\n"
        return
    response = running.request("GET", "/")
    assert response.status == 200
    assert response.read().startswith(b"Hello")


@pytest.mark.parametrize("example", FRAMEWORKS)
def test_the_validator_of_wsgiref_stays_silent(run, example):
    running = run(
        *("--chdir", str(EXAMPLES / example), "--pythonpath", str(ROOT / "tests" / "apps"), "validated:make()"),
        VALIDATED=FRAMEWORKS[example],
    )
    assert running.request("GET", "/").read().startswith(b"Hello")
    assert running.request("HEAD", "/").read() == b""
    assert running.request("POST", "/count", b"abc", 3).read().replace(b" ", b"").strip() == b'{"bytes":3}'
    assert len(running.request("GET", "/stream/1").read()) == MEGABYTE
    assert running.request("GET", "/nowhere").status == 404


@pytest.mark.timeout(120)
@pytest.mark.parametrize("example", FRAMEWORKS)
def test_a_hundred_megabytes_go_up_and_down_with_flat_memory(run, example):
    running = run("--workers", "1", "--chdir", str(EXAMPLES / example), FRAMEWORKS[example])
    running.request("GET", "/").read()
    running.request("POST", "/count", b"abc", 3).read()
    before = running.peak()

    block = b"x" * MEGABYTE
    response = running.request("POST", "/count", (block for _ in range(SIZE // MEGABYTE)), SIZE)
    assert str(SIZE).encode() in response.read()
    response = running.request("GET", f"/stream/{SIZE // MEGABYTE}")
    received = 0
    while piece := response.read(MEGABYTE):
        received += len(piece)
    assert received == SIZE

    assert running.peak() - before < FLAT
