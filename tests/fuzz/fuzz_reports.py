"""Reports between our processes: app code may find the descriptor, and then they are anything."""

from __future__ import annotations

from spyglass_systemd.words.reports import decode, encode

MAX = 500  # bytes of one input


def check(data):
    """Raises whatever should not be."""
    try:
        report = decode(data)
    except ValueError:
        return
    assert decode(encode(report)) == report
    assert repr(report)


def seeds():
    """Of each shape."""
    return [
        b"Stop",
        b"Fork\x001\x002\x003\0wsgi",
        b"Quiesced\x001\x002\x003",
        b"Said\0event\x004\0text",
        b"Greeted\x00::1\0http",
        b"Reaped\x001\x002\0-9",
        b"Accepting\x009223372036854775808",
        b"Broken\0\xed\xa0\x80\0",
    ]
