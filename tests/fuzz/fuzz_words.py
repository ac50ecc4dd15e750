"""What a person writes: spans, sizes, addresses, networks, names. Each is a value, the same when written again."""

from __future__ import annotations

from spyglass_systemd.words import values
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.hosts import is_host, split_host
from spyglass_systemd.words.lines import one_line, pair
from spyglass_systemd.words.nearest import nearest
from spyglass_systemd.words.options import parse_flags, settle
from spyglass_systemd.words.spans import format_span, parse_span

MAX = 300  # bytes of one input
KINDS = (
    values.text,
    values.texts,
    values.variables,
    values.switch,
    values.number,
    values.count,
    values.span,
    values.span_or_off,
    values.limit,
    values.size,
    values.size_or_off,
    values.app,
    values.label,
    values.mount,
    values.proxies,
    values.fields,
    values.leads,
)


def check(data):
    """Raises whatever should not be."""
    text = data.decode("utf-8", "surrogateescape")
    for kind in KINDS:
        tried(kind, text)
    span = tried(parse_span, text)
    if span is not None:
        assert 0 <= span < 1e13
        assert abs(parse_span(format_span(span)) - span) < 1e-5 + span * 1e-12
    address = tried(parse_address, text)
    if address is not None:
        assert parse_address(str(address)) == address
        assert 0 <= address.sockaddr[1] < 65536 if isinstance(address.sockaddr, tuple) else address.sockaddr
    if is_host(text):
        name, port = split_host(text, "https")
        assert name, text
        assert port.isdecimal(), text
    for limit in (16, 64):
        line = one_line(text, limit)
        assert line.isprintable()
        assert len(line.encode()) <= limit
        assert pair("name", text, limit).isprintable()
    nearest(text, ("idle", "workers"))
    try:
        flags, _ = parse_flags(text.split("\0"), "serve")
        settle(flags, {})
    except SpyglassError as error:
        assert error.exit_code == 64, error


def tried(kind, text):
    """Its value, None for none."""
    try:
        return kind(text)
    except ValueError as error:
        assert str(error)
        return None


def seeds():
    """One of each kind."""
    words = (
        "5min",
        "1h 30min",
        "250ms",
        "1.5h",
        "off",
        "0",
        "64KiB",
        "1M",
        "127.0.0.1:80",
        "[::1]:80",
        "*:80",
        "web=unix:/run/a",
        "unix:@a",
        "[fe80::1%eth0]:1",
        "10.0.0.0/8",
        "unix",
        "2001:db8::/32",
        "a.b:c.d",
        "a:b()",
        "/blog",
        "A=b",
        "true",
        "x-forwarded-for -host",
        "host:65536",
        "a:b\0--idle\x005s\0--no-preload",
        "--workers=4\0a:b",
        "--\0a:b",
        "--environment\0A=b\0-x",
    )
    return [word.encode() for word in words]
