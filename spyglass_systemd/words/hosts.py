"""Hosts, IP addresses and networks as text. Resolves no name."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

_HOST = frozenset("-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_ADDRESS = frozenset("0123456789abcdefABCDEF:.%vV-_~")  # inside [ ]: IPv6, its zone, and what may come after it
_IN_LABEL = frozenset("-_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MOST_PORT_DIGITS = 5
_MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 section 2.5.5.2: an IPv4 address, as a socket for both has it


def is_host(text: str) -> bool:
    """Whether `text` is a host with or without a port; user information is none."""
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        if not bracket or not address or not _ADDRESS.issuperset(address):
            return False
        name, _, port = rest.partition(":")
        if name:
            return False
    else:
        name, _, port = text.partition(":")
        if not name or not _HOST.issuperset(name):
            return False
    return not port or (port.isascii() and port.isdecimal() and len(port) <= _MOST_PORT_DIGITS)


def server_names(value: object) -> tuple[str, ...]:
    """The names that a proxy serves, of one text or a list: `blog.example`, `*.blog.example`. Raises ValueError."""
    found = value if isinstance(value, list) else [value]
    for name in found:
        labels = name.removeprefix("*.").split(".") if isinstance(name, str) else [""]
        if not all(label.strip("-") == label != "" and _IN_LABEL.issuperset(label) for label in labels):
            raise ValueError(f"{name!r} is not the name of a host: write blog.example or *.blog.example")
    return tuple(found)


def split_host(host: str, scheme: str) -> tuple[str, str]:
    """Name and port of what `is_host`; the port of `scheme` where it has none."""
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    return name.strip("[]"), port or ("443" if scheme in ("https", "wss") else "80")


def packed(text: str) -> bytes:
    """The 4 or 16 bytes of an IP address, b"" for what is none. IPv4 inside IPv6 is IPv4."""
    try:
        if ":" not in text:
            return inet_pton(AF_INET, text)
        raw = inet_pton(AF_INET6, text)
    except (OSError, ValueError):  # ValueError: a surrogate or a NUL in it
        return b""
    return raw[12:] if raw.startswith(_MAPPED) else raw


def ip(text: str) -> str:
    """An IP address in the one form that it has as the peer of a connection; "" for what is none."""
    raw = packed(text)
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw) if raw else ""


class Network:
    """`10.0.0.0/8`, `2001:db8::/32`; an address alone is a network of one. Raises ValueError for what is neither."""

    __slots__ = ("_host_bits", "_prefix", "_size")

    def __init__(self, text: str) -> None:
        address, slash, length = text.partition("/")
        raw = packed(address)
        bits = 8 * len(raw)
        if not raw or (slash and not (length.isascii() and length.isdecimal() and int(length) <= bits)):
            raise ValueError(f"{text!r} is no IP address or network")
        self._size = len(raw)
        self._host_bits = bits - int(length or bits)
        number = int.from_bytes(raw, "big")
        self._prefix = number >> self._host_bits
        if self._prefix << self._host_bits != number:
            raise ValueError(f"{text!r} is no network: it has bits set beyond the first {length}")

    def holds(self, raw: bytes) -> bool:
        """Whether a `packed` address is one of its."""
        return len(raw) == self._size and int.from_bytes(raw, "big") >> self._host_bits == self._prefix
