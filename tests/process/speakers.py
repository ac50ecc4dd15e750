"""Clients of what is not request and answer: one connection each, that reads up to what it expects. Knows no test."""

from __future__ import annotations

import socket
from pathlib import Path

from harness import LIMIT, Connection
from websockets.sync.client import unix_connect

CACHE = Path(__file__).parents[2] / ".cache"


class Speaker:
    """Says what its protocol says, in halves where asked to. `until` reads up to a text; `end` to an orderly end."""

    def __init__(self, service):
        self.connection = Connection(service.addresses[0])
        self.heard = b""

    def say(self, data):
        self.connection.send(data)
        return self

    def until(self, text):
        """What came, up to `text`; a reset is an error."""
        while text not in self.heard:
            data = self.connection.sock.recv(65536)
            assert data, f"the end, after {self.heard!r}"
            self.heard += data
        before, _, self.heard = self.heard.partition(text)
        return before + text

    def end(self):
        """What comes until the orderly end."""
        while data := self.connection.sock.recv(65536):
            self.heard += data
        data, self.heard = self.heard, b""
        return data

    def half_close(self):
        self.connection.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def get(target="/", *, close=False):
    """A request."""
    return f"GET {target} HTTP/1.1\r\nHost: test\r\n{'Connection: close' if close else 'A: b'}\r\n\r\n".encode()


def websocket(service, target="/ws"):
    """A WebSocket of a real client library."""
    return unix_connect(service.addresses[0], f"ws://test{target}", open_timeout=LIMIT, close_timeout=LIMIT)


def options(server):
    """The options that have an app served by `server`: `asgi-h11`, `asgi-httptools`, `raw`, `raw-async`, `wsgi`."""
    if server == "asgi-h11":  # a package that does not import, before the one that does
        return ["--pythonpath", str(Path(__file__).parents[1] / "apps" / "pure"), "pushy:app"]
    spec = {"asgi-httptools": "pushy:app", "raw": "lines:handler", "raw-async": "lines:stream", "wsgi": "plain:app"}[
        server
    ]
    kind = ["--kind", "raw"] if server == "raw" else []
    return [*kind, spec]


class Talk:
    """The words of one server's protocol: a whole request, its first half and its second, and what answers it."""

    def __init__(self, server, gate):
        self.is_raw = server.startswith("raw")
        if self.is_raw:
            self.whole, self.half, self.rest = b"hello\n", b"hel", b"lo\n"
            self.slow = f"wait {gate}\n".encode()
            self.answer, self.slow_answer = b"hello\n", self.slow
        else:
            self.whole = get()
            self.half, self.rest = self.whole[:20], self.whole[20:]
            self.slow = get(f"/wait?{gate}")
            self.answer = self.slow_answer = b"hello" if server == "wsgi" else b"}\n"
