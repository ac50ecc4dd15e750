"""What an app says of its response: h11 reads what was meant, or there is a 500. Never a second response."""

from __future__ import annotations

import types

import h11

from spyglass_systemd.backends.wsgi.exchange import Exchange
from spyglass_systemd.backends.wsgi.head import Request

MAX = 500  # bytes of one input
DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


class Memory:
    """An outlet that takes everything."""

    def __init__(self):
        self.all, self.full = b"", False

    def put(self, data):
        self.all += data

    say = put


def check(data):
    """Raises whatever should not be. `data` is a byte of choices, the status, name and value of fields, NUL, chunks."""
    choices = data[0] if data else 0
    head, _, body = data[1:].partition(b"\0\0")
    status, *words = head.decode("utf-8", "surrogateescape" if choices & 1 else "replace").split("\0")
    fields = list(zip(words[::2], words[1::2], strict=False))
    chunks = body.split(b"\0")
    method, minor = "HEAD" if choices & 2 else "GET", 0 if choices & 4 else 1

    def app(_environ, start_response):
        write = start_response(status, fields)
        if choices & 8:
            write(chunks[0])
            return iter(chunks[1:])
        return chunks if choices & 16 else iter(chunks)

    said = []
    outlet, request = Memory(), Request(method, "/", f"HTTP/1.{minor}", minor)
    service = types.SimpleNamespace(
        closing=bool(choices & 32),
        date=types.SimpleNamespace(line=lambda: DATE),
        progress=lambda _: False,
        tell=said.append,
        blame=lambda *_: said.append("blamed"),
    )
    exchange = Exchange(service, app, {}, request, outlet)
    exchange.call()
    assert exchange.done
    read_by_h11(outlet.all, exchange, method, b"".join(chunks))


def read_by_h11(data, exchange, method, content):
    """Another's reading of the answer is the app's meaning, and nothing is left."""
    client = h11.Connection(h11.CLIENT)
    fields = [("Host", "a"), ("Connection", "keep-alive" if exchange.request.keep else "close")]
    client.send(h11.Request(method=method, target="/", headers=fields))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    response = client.next_event()
    assert isinstance(response, h11.Response), response
    assert response.status_code == exchange.code or (response.status_code == 500 and not exchange.keep)
    got = b""
    try:
        while isinstance(event := client.next_event(), h11.Data):
            got += event.data
        if event is h11.NEED_DATA:
            client.receive_data(b"")
            event = client.next_event()
    except h11.RemoteProtocolError:
        assert exchange.broken
        return
    assert isinstance(event, h11.EndOfMessage), event
    assert client.trailing_data[0] == b""
    if (
        response.status_code == exchange.code
        and exchange._head is not None
        and method != "HEAD"
        and exchange.code not in (204, 304)
    ):
        assert content.startswith(got)
        assert got == content or exchange._overrun or exchange.broken


def seeds():
    """Of each kind."""
    return [
        b"\x00200 OK\0A\0b\0\0hello\0world",
        b"\x10200 OK\0Content-Length\x005\0\0hello",
        b"\x10200 OK\0Content-Length\x003\0\0hello",
        b"\x00200 OK\0Content-Length\x009\0\0hello",
        b"\x02204 No Content\0Connection\0close\0\0",
        b"\x04304 Not Modified\0Date\0now\0\0x",
        b"\x08200 OK\0\0a\0b",
        b"\x21404 Not Found\0Transfer-Encoding\0chunked\0\0\0\0",
        b"\x00200 OK\r\nA: b\0C\0d",
        b"\x00200 OK\0A: b\r\nC\0d",
        b"\x00200 OK\0A\0b\r\n\r\nHTTP/1.1 200 OK",
        b"\x00100 Continue",
        b"\x00200",
    ]
