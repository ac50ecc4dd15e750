"""The PROXY protocol, versions 1 and 2: whom a proxy speaks for, from the first bytes of a connection. Reads none.

Source: proxy-protocol.txt of HAProxy, 2020/03/05.
"""

from __future__ import annotations

import _socket

from spyglass_systemd.words.hosts import ip, packed

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1 = b"PROXY "
_V1_LIMIT = 107  # section 2.1: the longest line with its CRLF
_V2_HEAD = 16
_V2_LIMIT = 4096  # ours, for the addresses and what is appended to them


class Header:
    """`size` bytes were the header; `source` is (address, port) of the client.

    None where the proxy speaks for itself (LOCAL) or does not know (UNKNOWN).
    """

    __slots__ = ("size", "source")

    def __init__(self, size: int, source: tuple[str, int] | None) -> None:
        self.size = size
        self.source = source

    def __repr__(self) -> str:
        return f"<Header size={self.size} source={self.source}>"


def parse(data: bytes) -> Header | None:
    """The header at the beginning of `data`; None while it is not whole. Raises ValueError where it is none."""
    if data[:1] == b"P":
        return _version_1(data)
    if SIGNATURE.startswith(data[:12]) or data.startswith(SIGNATURE):
        return _version_2(data)
    raise ValueError("no PROXY header")


def _version_1(data: bytes) -> Header | None:
    if not _V1.startswith(data[: len(_V1)]):
        raise ValueError("no PROXY header")
    line, end, _ = data[:_V1_LIMIT].partition(b"\r\n")
    if not end:
        if len(data) >= _V1_LIMIT:
            raise ValueError("a PROXY line without an end")
        return None
    size, words = len(line) + 2, line.decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return Header(size, None)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("a malformed PROXY line")
    for address, port in ((words[2], words[4]), (words[3], words[5])):
        if not packed(address) or (":" in address) != (words[1] == "TCP6"):
            raise ValueError("a malformed address in a PROXY line")
        if not port.isdecimal() or not port.isascii() or len(port) > 5 or str(int(port)) != port or int(port) > 65535:
            raise ValueError("a malformed port in a PROXY line")
    return Header(size, (ip(words[2]), int(words[4])))


def _version_2(data: bytes) -> Header | None:
    if len(data) < _V2_HEAD:
        return None
    version, command, family = data[12] >> 4, data[12] & 15, data[13]
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1:
        raise ValueError("an unknown version or command in a PROXY header")
    if family >> 4 > 3 or family & 15 > 2:
        raise ValueError("an unknown family or protocol in a PROXY header")
    if length > _V2_LIMIT:
        raise ValueError("a PROXY header that is too long")
    size = _V2_HEAD + length
    if len(data) < size:
        return None
    shapes = {1: (_socket.AF_INET, 4), 2: (_socket.AF_INET6, 16)}
    if command == 0 or family >> 4 not in shapes:  # LOCAL, or a family that has no address we could use
        return Header(size, None)
    kind, width = shapes[family >> 4]
    if length < 2 * width + 4:
        raise ValueError("a PROXY header that is too short")
    port_at = _V2_HEAD + 2 * width
    address = _socket.inet_ntop(kind, data[_V2_HEAD : _V2_HEAD + width])
    return Header(size, (ip(address), int.from_bytes(data[port_at : port_at + 2], "big")))
