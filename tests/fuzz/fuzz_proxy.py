"""PROXY headers, v1 and v2: awaited to their last byte, the same whatever comes behind, or refused."""

from __future__ import annotations

from spyglass_systemd.backends.proxy import parse
from spyglass_systemd.words.hosts import ip

MAX = 600  # bytes of one input


def check(data):
    """Raises whatever should not be."""
    whole = said(data)
    settled = None
    for size in range(len(data) + 1):
        part = said(data[:size])
        if settled is not None:
            assert part == settled, (size, part, settled)
        elif part is not None:
            settled = part
            if part != "none":
                assert part[0] == size, "it was whole before"
    assert whole == settled
    if whole not in (None, "none"):
        size, source = whole
        assert 0 < size <= len(data)
        if source is not None:
            address, port = source
            assert ip(address) == address
            assert 0 <= port <= 65535


def said(data):
    """(size, source), None while it is not whole, "none" for what is none."""
    try:
        header = parse(data)
    except ValueError:
        return "none"
    return None if header is None else (header.size, header.source)


def seeds():
    """From its tables."""
    from test_proxy import BAD, GOOD

    return [*(data for data, _ in GOOD.values()), *BAD.values()]
