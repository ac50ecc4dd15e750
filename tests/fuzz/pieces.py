"""One stream of bytes, arriving in different ways. Knows nothing of what is in it."""

from __future__ import annotations

import zlib


def ways(data):
    """The same bytes whole, one by one, and in pieces of sizes that only these bytes decide."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    parts, at, number = [], 0, zlib.crc32(data)
    while at < len(data):
        number = number * 1103515245 + 12345 & 0x7FFFFFFF
        size = 1 + (number >> 16) % 41
        parts.append(data[at : at + size])
        at += size
    yield parts
