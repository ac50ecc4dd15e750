"""One connection to a WSGI worker, all of it in this process and none of it a socket. Knows no rule of HTTP.

Everything is the worker's own but the loop and the socket, which are made so that bytes go in at one end and come out
at the other without waiting for anybody.
"""

from __future__ import annotations

import itertools
import types
from urllib.parse import quote

from http_rules import CLOSED, FIELDS, HEAD_LIMIT, LINE_LIMIT, OPEN, WAITS

from spyglass_systemd.backends.wsgi.connection import Connection
from spyglass_systemd.backends.wsgi.exchange import Exchange
from spyglass_systemd.backends.wsgi.framing import Framing
from spyglass_systemd.backends.wsgi.inline import Inline
from spyglass_systemd.backends.wsgi.service import Service
from spyglass_systemd.backends.wsgi.wire import CLOSED as GONE
from spyglass_systemd.backends.wsgi.wire import FAREWELL, FRESH, IDLE
from spyglass_systemd.words.listener import Lead, Listener
from spyglass_systemd.words.options import Settings

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
LIMITS = {"line_limit": LINE_LIMIT, "header_limit": HEAD_LIMIT, "header_count": FIELDS}
_numbers = itertools.count(1000)


class Line:
    """What the worker takes for a socket."""

    def __init__(self):
        self.number, self.coming, self.said, self.over = next(_numbers), [], [], False
        self.reset = False

    def fileno(self):
        return self.number

    def recv(self, count):
        if not self.coming:
            raise BlockingIOError
        data = self.coming.pop(0)
        if len(data) > count:
            self.coming.insert(0, data[count:])
        return data[:count]

    def recv_into(self, buffer):
        data = self.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data, _flags=0):
        assert not self.over, "it said more behind its end"
        self.said.append(bytes(data))
        return len(data)

    def shutdown(self, _how):
        self.over = True

    def setsockopt(self, *_):
        self.reset = True

    def close(self):
        self.over = True


class Told(Service):
    """Keeps what would go to stderr."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.said = []

    def tell(self, text):
        self.said.append(text)


class Counter:
    """A worker's loop for connections that are in this process: `talk` to it."""

    def __init__(self, app, **settings):
        row = types.SimpleNamespace(busy=lambda _: None)
        gate = types.SimpleNamespace(row=row, say=lambda *_: None, note=lambda _: None)
        self.service = Told(gate, Settings(app="x:y", **LIMITS | settings), None)
        self.service.date = types.SimpleNamespace(line=lambda: DATE)
        self.ready = []
        self.runner = Inline(self.service, self.ready)
        lead = Lead(Listener(3, "http", 2, ("127.0.0.1", 8000)), "x:y", "wsgi", "")
        self._rules, self._environ, self._app = self.service.rules(lead), self.service.environ(lead), app

    def talk(self, pieces):
        """Say `pieces` one after the other: all that was answered, and what became of the connection."""
        line = Line()
        self.connection = connection = Connection(
            self, line, Framing(self._rules, self._environ.copy()), self.runner.outlet(line), self._app
        )
        for piece in pieces:
            if connection.state == GONE:
                break
            line.coming.append(piece)
            while line.coming and connection.state != GONE:
                connection.on_event(1)
                self._turn()
        if connection.state in (FAREWELL, GONE):
            end = CLOSED
        else:
            end = OPEN if connection.state in (FRESH, IDLE) else WAITS
            connection.lose()
        return b"".join(line.said), end

    def _turn(self):
        while self.ready:
            turn = self.ready.copy()
            self.ready.clear()
            for connection in turn:
                connection.resume()

    # What a connection asks of its loop

    def arm(self, connection, seconds):
        connection.deadline = seconds

    def watch(self, fd, before, mask):
        pass

    def forget(self, connection):
        pass

    def answer(self, connection, request):
        environ = connection.framing.environ
        exchange = connection.exchange = Exchange(self.service, connection.app, environ, request, connection.outlet)
        if request.length:
            exchange.input = environ["wsgi.input"]
        self.runner.run(connection, exchange)

    def answered(self, connection, exchange):
        pass

    def refused(self, connection, code):
        pass


def seen(method, path, query, *, host, a, body):
    """What `echo` says, here and under ASGI; see http_rules. `path` and `body` are bytes."""
    said = f"{method} {quote(path, safe='/*') if path else '*'}{'?' + query if query else ''}"
    said += "" if host == "a.example" else f" host={host}"
    said += "" if a is None else f" a={a}"
    return said.encode("latin-1") + (b"|" + body if body else b"")


def echo(environ, start_response):
    """The WSGI app of the table."""
    said = seen(
        environ["REQUEST_METHOD"],
        environ["PATH_INFO"].encode("latin-1"),
        environ["QUERY_STRING"],
        host=environ.get("HTTP_HOST", ""),
        a=environ.get("HTTP_A"),
        body=environ["wsgi.input"].read(),
    )
    mute = [("X-No-Body", said.decode("latin-1"))] if environ["REQUEST_METHOD"] == "HEAD" else []
    start_response("200 OK", [("Content-Type", "text/plain"), *mute])
    return [said]


def pieces(data, size):
    """`data` in pieces of `size` bytes; all of it for 0."""
    return [data[at : at + size] for at in range(0, len(data), size)] if size else [data]


class Answer:
    """One response as a strict reader reads it."""

    def __init__(self, code, fields, body):
        self.code, self.fields, self.body = code, fields, body

    @property
    def short(self):
        """As the table has it."""
        said = self.fields.get(b"x-no-body") or self.body
        return said.decode("latin-1") if self.code == 200 else self.code


def answers(data, *, heads=False):
    """The responses in `data`; whatever is no response there fails. `heads`: the last may be the refusal of a HEAD."""
    found = []
    while data:
        head, gap, data = data.partition(b"\r\n\r\n")
        assert gap, f"no end of a head: {head!r}"
        status, *lines = head.split(b"\r\n")
        version, code, *_ = status.split(b" ")
        assert version == b"HTTP/1.1"
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        names = [name for name, _ in fields]
        assert len(names) == len(set(names)), fields
        told = dict(fields)
        if code == b"100":
            found.append(Answer(100, told, b""))
            continue
        body = b""
        mute = heads and not data and code >= b"400" and told.get(b"connection") == b"close"
        if b"x-no-body" not in told and code not in (b"204", b"304") and not mute:
            if told.get(b"transfer-encoding") == b"chunked":
                assert b"content-length" not in told
                body, data = _dechunked(data)
            elif b"content-length" not in told:
                assert told[b"connection"] == b"close"
                body, data = data, b""
            else:
                length = int(told[b"content-length"])
                assert len(data) >= length, f"{data!r} is shorter than {length}"
                body, data = data[:length], data[length:]
        found.append(Answer(int(code), told, body))
    return found


def _dechunked(data):
    body = b""
    while True:
        size, gap, data = data.partition(b"\r\n")
        assert gap
        count = int(size, 16)
        body, end, data = body + data[:count], data[count : count + 2], data[count + 2 :]
        assert end == b"\r\n"
        if not count:
            return body, data
