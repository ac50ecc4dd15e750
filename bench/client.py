"""One HTTP request on one fresh connection. Knows no server; a request that is not answered is `Lost`, with the way."""

from __future__ import annotations

import socket
import time


def head_of(target: str = "/", *, close: bool = True) -> bytes:
    """A request for `target`, whole."""
    fields = ["Host: bench", *(["Connection: close"] if close else [])]
    return "\r\n".join([f"GET {target} HTTP/1.1", *fields, "", ""]).encode()


class Lost(Exception):  # noqa: N818  # what happened to a request, no error of ours
    """A request without a whole 200: `how` is refused, reset, eof, timeout or `status NNN`."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Answer:
    """The body of a 200 and the times, as of CLOCK_MONOTONIC: before connect(2), and when the last byte was here."""

    __slots__ = ("body", "done", "started")

    def __init__(self, body: bytes, started: float, done: float) -> None:
        self.body = body
        self.started = started
        self.done = done

    @property
    def ms(self) -> float:
        """Connect to last byte."""
        return 1000 * (self.done - self.started)


def request(
    address: tuple[str, int] | str, *, head: bytes = b"", limit: float = 30.0, silent: float = 0.0, split: int = 0
) -> Answer:
    """Connect, stay `silent` so many seconds, send (in two pieces, `split` bytes first, where given) and read the
    answer: to the end of the connection with `Connection: close`, to its Content-Length without. Raises Lost."""
    head = head or head_of()
    started = time.monotonic()
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as sock:
        sock.settimeout(limit)
        try:
            sock.connect(address)
        except OSError as error:
            raise Lost(f"connect: {error.strerror or 'timeout'}") from error
        try:
            if silent:
                time.sleep(silent)
            if split:
                sock.sendall(head[:split])
                time.sleep(silent or 0.001)
            sock.sendall(head[split:])
            data = _read(sock, to_end=b"Connection: close" in head)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Lost("reset") from error
        except TimeoutError as error:
            raise Lost("timeout") from error
    done = time.monotonic()
    top, _, body = data.partition(b"\r\n\r\n")
    status = top.partition(b"\r\n")[0].split(b" ", 2)
    if len(status) < 2 or not status[1].isdigit():
        raise Lost("eof" if not data else "garbage")
    if status[1] != b"200":
        raise Lost(f"status {status[1].decode()}")
    length = _length(top)
    if length is not None and length != len(body):
        raise Lost("eof in the body")
    return Answer(body, started, done)


def _read(sock: socket.socket, *, to_end: bool) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
        if not to_end:
            top, gap, body = data.partition(b"\r\n\r\n")
            length = _length(top) if gap else None
            if length is not None and len(body) >= length:
                break
    return data


def _length(top: bytes) -> int | None:
    for line in top.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return None
