"""Requests out of bytes: the same ones however the bytes arrive and whichever parser is installed, or a refusal."""

from __future__ import annotations

import parsers
from pieces import ways

from spyglass_systemd.backends.budget import Budget
from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.bounds import TOKEN, Limits
from spyglass_systemd.backends.wsgi.framing import HEAD, Framing, Rules
from spyglass_systemd.words.hosts import is_host

RULES = Rules(Limits(200, 600, 6), 300, 64, "/app", budget=Budget(1 << 30))
TEMPLATE = {"REMOTE_ADDR": "", "wsgi.version": (1, 0)}
MAX = 800  # bytes of one input
NEVER = {"HTTP_PROXY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_X_FORWARDED_FOR"}


def check(data):
    """Raises whatever should not be."""
    for names in (parsers.OURS, parsers.OLDER) if parsers.OLDER else (parsers.OURS,):
        with parsers.using(names):
            seen = [outcome(parts) for parts in ways(data)][: 3 if names is parsers.OURS else 1]
        for other in seen[1:]:
            assert other == seen[0], (other, seen[0])
        if names is parsers.OURS:
            first = seen[0]
        else:
            requests, end = seen[0]  # it may refuse what the newer one takes, and take nothing that this one refuses
            stricter = end == "refused" and requests == first[0][: len(requests)]
            assert stricter or seen[0] == first, ("the older parser", seen[0], first)


def outcome(parts):
    """The requests that come of it, and how it ends: refused, or with what of the next one.

    Of a head that is not whole only the last line is measured; one before it may be found too long sooner or later.
    """
    framing, seen, came = Framing(RULES, TEMPLATE), [], b""
    try:
        for part in parts:
            came += part
            request = framing.feed(part)
            while request is not None:
                assert came.endswith(framing.rest)
                seen.append(taken(request, framing.environ))
                request = framing.feed(b"")
        end = framing.stage, framing.received, framing.rest
        if framing.stage == HEAD:
            framing.feed(b"\r\n\r\n")
    except refusal.Refusal as refused:
        assert refusal.answer(refused.code, refused.why, b"Date: now\r\n").startswith(
            b"HTTP/1.1 4" if refused.code < 500 else b"HTTP/1.1 5"
        )
        return seen, "refused"
    else:
        return seen, end
    finally:
        framing.close()


def taken(request, environ):
    """A request as values, after a look at it."""
    with environ.pop("wsgi.input") as body:
        content = body.read()
    assert environ.pop("wsgi.version") == (1, 0)
    assert not NEVER & environ.keys()
    for key, value in environ.items():
        assert TOKEN.issuperset(key), key
        assert all(c == "\t" or (c >= " " and c != "\x7f") for c in value) or key == "PATH_INFO", (key, value)
        assert value.encode("latin-1") is not None
    assert TOKEN.issuperset(environ["REQUEST_METHOD"])
    assert environ["PATH_INFO"].startswith("/") or environ["PATH_INFO"] == ""
    assert is_host(environ.get("HTTP_HOST", "a"))
    assert int(environ.get("CONTENT_LENGTH", "0")) == len(content)
    assert len(content) <= RULES.body_limit
    return environ, content, request.keep, request.minor, request.method, request.target


def seeds():
    """From the tables of requests."""
    from test_wsgi_framing import BAD, GOOD

    return [data for data, *_ in (*GOOD.values(), *BAD.values())]
