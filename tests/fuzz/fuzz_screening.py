"""What the Master answers in the app's place: only what every parser of ours takes for that one whole request."""

from __future__ import annotations

from spyglass_systemd.backends.budget import Budget
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.framing import Framing, Rules
from spyglass_systemd.policy.screening import CLOSE, REAL, WAIT, judge
from spyglass_systemd.words.rules import Rule

MAX = 300  # bytes of one input
RULES = (Rule(("/healthz",), text="ok"), Rule(("/wp-*",), close=True))
FRAMING = Rules(Limits(8192, 65536, 100), None, 1024, "", budget=Budget(1 << 30))


def check(data):
    """Raises whatever should not be."""
    settled = WAIT
    for size in range(len(data) + 1):
        verdict = judge(data[:size], RULES, page=True)
        assert isinstance(verdict, bytes) or verdict in (WAIT, REAL, CLOSE)
        if settled in (REAL, CLOSE):  # for good; an answer is for what has come until now
            assert verdict == settled, (size, verdict, settled)
        settled = verdict
        if isinstance(verdict, bytes):
            framing = Framing(FRAMING, {"REMOTE_ADDR": ""})
            request = framing.feed(data[:size])
            assert request is not None, data[:size]
            assert request.length == 0
            assert framing.rest == b""
            assert verdict.startswith(b"HTTP/1.1 ")
            assert b"Connection: close\r\n" in verdict
            if b"\r\n\r\nok" in verdict:
                assert framing.environ["PATH_INFO"] == "/healthz", framing.environ


def seeds():
    """Probes, nearly probes, and browsers."""
    browser = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"
    probes = [
        b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz?x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /%68ealthz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /wp-login.php HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01",
        b"\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    ]
    return [browser, *probes, probes[0] * 2]
