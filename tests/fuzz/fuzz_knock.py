"""Heads as the Master reads them, and Accept: one verdict and the same for ever, a format that we have."""

from __future__ import annotations

from spyglass_systemd.policy import negotiation
from spyglass_systemd.protocols import knock

MAX = 400  # bytes of one input


def check(data):
    """Raises whatever should not be."""
    settled = None
    for size in range(len(data) + 1):
        part = said(data[:size])
        if settled is not None:
            assert part == settled, (size, part, settled)
        elif part is not None:
            settled = part
    for accept in (data.decode("latin-1"), settled[3] if isinstance(settled, tuple) else ""):
        assert negotiation.preferred(accept, ("text/plain", "text/html", "application/json")) in (
            "text/plain",
            "text/html",
            "application/json",
        )


def said(data):
    """What is asked and how, None while the head is not whole, "none" for what is no request."""
    begins = knock.begins(data)
    try:
        head = knock.parse(data)
        early = knock.parse(data, whole=False)
    except ValueError:
        assert begins is False
        return "none"
    assert begins is not False
    if early is not None:
        assert begins, data
        assert repr(early)
    if head is None:
        return None
    return head.method, head.target, head.fields, head.field("accept")


def seeds():
    """Requests, half ones, others."""
    return [
        b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html, application/json;q=0.9, */*;q=0.1\r\n\r\n",
        b"GET /healthz HTTP/1.0\n\n",
        b"OPTIONS * HTTP/1.1\r\naccept: text/*;q=0\r\nAccept: application/json\r\n\r\nx",
        b"POST /a b HTTP/1.1\r\nA\r\n: x\r\n\r\n",
        b"\x16\x03\x01\0\xa5",
        b"SSH-2.0-OpenSSH\r\n",
        b'text/html;level="1,2";q=0.5, text/plain;q=1.000',
        b"*/*;q=0, text/html;q=nan",
    ]
