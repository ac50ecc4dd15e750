"""What clients do to an app under soak, and what became of each request. Knows no fault: a house explains.

A visit is one conversation on one connection. It raises Lost where an answer is missing or wrong, and Refused for the
503 of the fuse; `Visitor` asks the house whether that was to be.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import struct
import time
import zlib
from typing import TYPE_CHECKING

from house import LIMIT, House
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect as websocket

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


class Lost(Exception):  # noqa: N818  # what happened to a request, no error of ours
    """No answer, or not the right one."""


class Refused(Exception):  # noqa: N818  # as above
    """A whole 503."""


class Crossed(Exception):  # noqa: N818  # as above
    """A request that met the end of a connection kept alive for long enough: to be sent again (RFC 9112 9.3.1)."""


class Line:
    """One connection to a house; how many requests were `done` on it, and what the answers said of the version."""

    def __init__(self, house: House, dice: random.Random) -> None:
        self.house = house
        self.dice = dice
        self.began = time.monotonic()
        self.least = house.least_version
        self.done = 0
        self._quiet_since = self.began
        self._over = False
        try:
            self.sock = socket.create_connection(house.address, LIMIT)
        except OSError as error:
            raise Lost(f"connect: {error}") from None
        self.port = self.sock.getsockname()[1]

    def pause(self, longest: float) -> None:
        time.sleep(self.dice.uniform(0, longest))

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def get(self, path: str, *, body: bytes | None = None, last: bool = True, slowly: float = 0.0) -> bytes:
        """One request and the body of its answer; `slowly` is the longest pause between the pieces of its head."""
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: soak\r\n"
        head += "Connection: close\r\n" if last else ""
        data = head.encode() + (b"\r\n" if body is None else b"Content-Length: %d\r\n\r\n" % len(body) + body)
        reused, gap = self.done, time.monotonic() - self._quiet_since
        if self._over or (reused and select.select([self.sock], [], [], 0)[0]):
            raise Crossed  # it has ended before anything more was asked
        try:
            if slowly:
                for at in range(0, len(data), 16):
                    self.send(data[at : at + 16])
                    self.pause(slowly)
            else:
                self.send(data)
            answer = http.client.HTTPResponse(self.sock)
            answer.begin()
            found = answer.read()
        except (OSError, http.client.HTTPException) as error:
            if reused and gap > 0.6 * self.house.keepalive and not isinstance(error, TimeoutError):
                raise Crossed from None
            raise
        if answer.status == 503:
            raise Refused
        if answer.status != 200:
            raise Lost(f"status {answer.status}: {found[:200]!r}")
        self.done += 1
        self._quiet_since, self._over = time.monotonic(), answer.will_close
        return found

    def check(self, answer: bytes, first: object = None) -> None:
        """An answer of `x version`: the version must not be older than that which was loaded when we came."""
        words = answer.split()
        if len(words) != 2 or (first is not None and words[0] != str(first).encode()):
            raise Lost(f"a wrong answer: {answer[:100]!r}")
        self.fresh(int(words[1]))

    def fresh(self, version: int) -> None:
        if version < self.least:
            raise Lost(f"answered by version {version}, after {self.least} was loaded")


# ### What visitors do


def one_shot(line: Line) -> None:
    line.check(line.get("/" if line.dice.random() < 0.5 else f"/take/{line.dice.choice((0, 1, 5, 20))}"))


def keep_alive(line: Line) -> None:
    count = line.dice.randrange(2, 12)
    for number in range(count):
        line.check(line.get("/", last=number == count - 1))
        line.pause(0.2)


def slow_head(line: Line) -> None:
    line.check(line.get("/", slowly=0.3))


def slow_reader(line: Line) -> None:
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.send(b"GET /big/256 HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
    line.pause(1.0)
    answer = http.client.HTTPResponse(line.sock)
    answer.begin()
    if answer.status == 503:
        raise Refused
    size = 0
    while data := answer.read(16384):
        size += len(data)
        line.pause(0.02)
    if size != 256 << 10:
        raise Lost(f"{size} bytes")
    line.done += 1


def upload(line: Line) -> None:
    body = line.dice.randbytes(line.dice.choice((10, 1000, 100_000, 3_000_000)))
    line.check(line.get("/upload", body=body), zlib.crc32(body))


def stream(line: Line) -> None:
    count = line.dice.randrange(2, 20)
    if line.get(f"/stream/{count}").split() != [b"%d" % number for number in range(count)]:
        raise Lost("a part of a stream")


def talk_websocket(line: Line) -> None:
    try:
        with websocket(f"ws://127.0.0.1:{line.house.port}/", sock=line.sock, open_timeout=LIMIT) as talk:
            for number in range(line.dice.randrange(1, 8)):
                talk.send(f"{number}")
                if talk.recv(LIMIT) != f"{number}":
                    raise Lost("another message")
                line.done += 1
                line.pause(0.3)
    except InvalidStatus as error:
        if error.response.status_code == 503:
            raise Refused from None
        raise Lost(str(error)) from None
    except ConnectionClosed as error:
        if error.rcvd is None:  # else it was told to go, in order
            raise Lost(str(error)) from None
    except InvalidHandshake as error:
        raise Lost(str(error)) from None


def talk_raw(line: Line) -> None:
    with line.sock.makefile("rb") as answers:
        for number in range(line.dice.randrange(1, 8)):
            said = b"line %d\n" % number
            for at in range(0, len(said), 3):
                line.send(said[at : at + 3])
                line.pause(0.02)
            answer = answers.readline()
            if not answer:
                raise Lost("the end")
            version, _, rest = answer.partition(b" ")
            if rest != said:
                raise Lost(f"another line: {answer!r}")
            line.fresh(int(version))
            line.done += 1
            line.pause(0.2)


def rude(line: Line) -> None:
    """It leaves when it likes, and says what it likes. Nothing is owed to it."""
    with contextlib.suppress(OSError):
        line.send(
            line.dice.choice((b"", b"GET", b"GET /big/512 HTTP/1.1\r\nHost: soak\r\n\r\n", line.dice.randbytes(99)))
        )
        line.pause(0.2)
        if line.dice.random() < 0.5:
            line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset
    line.done += 1


_HTTP = (one_shot, one_shot, keep_alive, keep_alive, slow_head, slow_reader, upload, stream, rude)
VISITS: dict[str, tuple[Callable[[Line], None], ...]] = {
    "flask": _HTTP,
    "asgi": (*_HTTP, talk_websocket, talk_websocket),
    "raw": (talk_raw, talk_raw, talk_raw, rude),
}
