"""Chunked bodies: what we take is what h11 takes, byte for byte, however it arrives; all else is refused."""

from __future__ import annotations

import h11
from pieces import ways

from spyglass_systemd.backends.budget import Budget
from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.body import Body
from spyglass_systemd.backends.wsgi.length import CHUNKED

LIMIT, TRAILERS = 200, 100
MAX = 400  # bytes of one input
HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def check(data):
    """Raises whatever should not be."""
    seen = [outcome(parts) for parts in ways(data)]
    for other in seen[1:]:
        assert other == seen[0], (other, seen[0])
    ended, content, rest = seen[0]
    if ended == "whole":
        try:
            theirs = by_h11(data)
        except h11.RemoteProtocolError:  # trailers, which we read and drop
            return
        assert theirs == (content, rest), (theirs, content, rest)


def outcome(parts):
    """How it ends, the body until then, and what follows it."""
    body, rest = Body(CHUNKED, 64, LIMIT, TRAILERS, Budget(1 << 30)), None
    try:
        for part in parts:
            if rest is None:
                rest = body.feed(part)
            else:
                rest += part
    except refusal.Refusal as refused:
        assert refused.code in refusal.REASONS
        return "refused", None, None
    else:
        with body.reader() as reader:
            content = reader.read()
        assert len(content) <= LIMIT
        return "whole" if rest is not None else "going on", content, rest
    finally:
        body.close()


def by_h11(data):
    """The same by another's reading of RFC 9112."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(HEAD + data)
    content = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            content += event.data
        elif isinstance(event, h11.EndOfMessage):
            return content, connection.trailing_data[0]
        else:
            assert isinstance(event, h11.Request), event


def seeds():
    """From the tables of requests."""
    from test_wsgi_framing import BAD, GOOD

    tables = [data for data, *_ in (*GOOD.values(), *BAD.values())]
    return [data.partition(b"\r\n\r\n")[2] for data in tables if b"chunked\r\n\r\n" in data]
