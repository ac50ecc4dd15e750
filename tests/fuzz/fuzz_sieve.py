"""What uvicorn is given to read: the requests that a WSGI worker finds in the same bytes, in whatever pieces."""

from __future__ import annotations

from pieces import ways

from spyglass_systemd.backends.asgi.sieve import Sieve
from spyglass_systemd.backends.budget import Budget, Share
from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.framing import Framing, Rules

LIMITS = Limits(200, 600, 6)
BODY = 300
MAX = 800  # bytes of one input
RULES = Rules(LIMITS, BODY, 64, "", budget=Budget(1 << 30))
PASSED = Rules(Limits(3 * 200, 3 * 600, 6), BODY, 64, "", budget=Budget(1 << 30))  # bytes may come out escaped: %FF


def check(data):
    """Raises whatever should not be."""
    theirs = [sieved(parts) for parts in ways(data)]
    for other in theirs[1:]:
        assert framed([other[0]], PASSED) == framed([theirs[0][0]], PASSED), (other, theirs[0])
        assert other[1] == theirs[0][1], (other, theirs[0])
    ours, passed = framed([data]), framed([theirs[0][0]], PASSED)
    assert passed[0][: len(ours[0])] == ours[0][: len(passed[0])], (ours, passed)
    if ours[1] == "refused":
        assert theirs[0][1] == "refused" or len(passed[0]) == len(ours[0]), (ours, theirs[0])


def sieved(parts):
    """The bytes that come through, and whether it was refused."""
    sieve, through = Sieve(LIMITS, BODY, Share(RULES.budget), {}), b""
    try:
        for part in parts:
            data = part
            while data:
                piece, data = sieve.read(data)
                through += piece
        if sieve.half:
            sieve.read(b"\r\n\r\n")
    except refusal.Refusal:
        return through, "refused"
    return through, ""


def framed(parts, rules=RULES):
    """The requests of these bytes, and whether it was refused."""
    framing, seen = Framing(rules, {"REMOTE_ADDR": ""}), []
    try:
        for part in parts:
            request = framing.feed(part)
            while request is not None:
                with framing.environ.pop("wsgi.input") as body:
                    seen.append(
                        (request.method, framing.environ["PATH_INFO"], framing.environ["QUERY_STRING"], body.read())
                    )
                request = framing.feed(b"")
    except refusal.Refusal:
        return seen, "refused"
    finally:
        framing.close()
    return seen, ""


def seeds():
    """From the tables of requests."""
    from test_wsgi_framing import BAD, GOOD

    return [data for data, *_ in (*GOOD.values(), *BAD.values())]
