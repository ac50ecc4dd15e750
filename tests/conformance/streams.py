"""Byte streams of requests, good and bad, and how several readers divide them into requests. Knows no server."""

from __future__ import annotations

import h11
from http_rules import CLOSED, RULES
from hypothesis import strategies as st
from talk import Counter

NEXT = b"GET /next?a=b HTTP/1.1\r\nHost: a.example\r\n\r\n"
CORPUS = sorted({rule.sent for rule in RULES if len(rule.sent) < 2000})
# What two readers have ever read differently.
TOKENS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x7f", b"\x85", b"\xa0",
    b"\xff", b":", b",", b";", b"0", b"5", b"a", b"-", b"+", b"_", b"0x", b"0\r\n\r\n", b"5\r\nhello\r\n", b"%00",
    b"#", b"//",
    b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"content-length:5\r\n", b"Content-Length : 5\r\n",
    b"Content_Length: 5\r\n", b"Content-Length: 5, 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:chunked\r\n",
    b"Transfer-Encoding : chunked\r\n", b"Transfer_Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n",
    b"Transfer-Encoding: x\r\n", b"transfer-encoding:\x0bchunked\r\n", b" chunked", b"Connection: close\r\n",
    b"Connection: content-length\r\n", b"Host: b\r\n", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b" HTTP/1.0",
    b" HTTP/1.1", b"GET ", b"POST ", b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n", NEXT,
]  # fmt: skip


@st.composite
def mutated(draw):
    """Rows of the table, one behind the other, with a few changes, and a good request behind them."""
    data = b"".join(draw(st.lists(st.sampled_from(CORPUS), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from([0, 0, 1, 2]))
        data = data[:at] + draw(st.one_of(st.sampled_from(TOKENS), st.just(b""))) + data[at + size :]
    return data + NEXT


class Recorder:
    """A WSGI app that remembers its requests."""

    def __init__(self):
        self.requests = []

    def __call__(self, environ, start_response):
        self.requests.append(told(environ))
        start_response("200 OK", [])
        return [b"ok"]


def told(environ):
    """A request as all readers tell it: method, path and query, body."""
    path = environ["PATH_INFO"] or "*"
    query = environ["QUERY_STRING"]
    body = environ["wsgi.input"].read()
    return environ["REQUEST_METHOD"], path + ("?" + query if query else ""), body.decode("latin-1")


def ours(data):
    """The requests that come to a WSGI app of our worker, and whether it closes behind them."""
    app = Recorder()
    _, end = Counter(app, line_limit=8192, header_limit=65536, header_count=100).talk([data])
    return app.requests, end == CLOSED


def h11s(data):
    """The requests that h11 finds."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=65536)
    connection.receive_data(data)
    found = []
    while True:
        try:
            request = connection.next_event()
            if not isinstance(request, h11.Request):
                return found
            body, event = b"", None
            while not isinstance(event, h11.EndOfMessage):
                event = connection.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    return found
                body += bytes(event.data) if isinstance(event, h11.Data) else b""
        except h11.RemoteProtocolError:
            return found
        found.append((request.method.decode(), request.target, body.decode("latin-1")))
        if connection.our_state is not h11.SEND_RESPONSE or request.method == b"CONNECT":
            return found
        connection.send(h11.Response(status_code=204, headers=[]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is h11.MUST_CLOSE:
            return found
        connection.start_next_cycle()
