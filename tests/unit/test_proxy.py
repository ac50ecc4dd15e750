"""The PROXY protocol: tables of bytes, each fed whole, byte by byte, and with more behind it."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.backends.proxy import SIGNATURE, parse

V4 = socket.inet_aton("1.2.3.4") + socket.inet_aton("5.6.7.8") + struct.pack("!HH", 4711, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(15) + b"\1" + struct.pack("!HH", 4711, 443)
MAPPED = bytes(10) + b"\xff\xff" + socket.inet_aton("1.2.3.4") + V6[16:]


def v2(addresses, *, command=0x21, family=0x11, length=None):
    size = len(addresses) if length is None else length
    return SIGNATURE + struct.pack("!BBH", command, family, size) + addresses


GOOD = {
    "TCP4": (b"PROXY TCP4 1.2.3.4 5.6.7.8 4711 443\r\n", ("1.2.3.4", 4711)),
    "TCP4 at its longest": (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    "port 0": (b"PROXY TCP4 1.2.3.4 5.6.7.8 0 0\r\n", ("1.2.3.4", 0)),
    "TCP6": (b"PROXY TCP6 2001:DB8::1 ::1 4711 443\r\n", ("2001:db8::1", 4711)),
    "TCP6 with IPv4": (b"PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 4711 443\r\n", ("1.2.3.4", 4711)),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "UNKNOWN at its longest": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    "v2": (v2(V4), ("1.2.3.4", 4711)),
    "v2 with TLVs": (v2(V4 + b"\x04\0\1x"), ("1.2.3.4", 4711)),
    "v2 of IPv6": (v2(V6, family=0x21), ("2001:db8::1", 4711)),
    "v2 of IPv4 in IPv6": (v2(MAPPED, family=0x21), ("1.2.3.4", 4711)),
    "v2 of a datagram": (v2(V4, family=0x12), ("1.2.3.4", 4711)),
    "v2 LOCAL": (v2(b"", command=0x20, family=0), None),
    "v2 LOCAL with addresses": (v2(V4, command=0x20), None),
    "v2 of no family": (v2(b"abc", family=0), None),
    "v2 of a Unix socket": (v2(bytes(216), family=0x31), None),
}


@pytest.mark.parametrize(("data", "source"), GOOD.values(), ids=GOOD)
def test_a_header_names_the_client(data, source):
    for behind in (b"", b"G", b"\r\n", data, bytes(5000)):
        header = parse(data + behind)
        assert (header.size, header.source) == (len(data), source)


@pytest.mark.parametrize(("data", "source"), GOOD.values(), ids=GOOD)
def test_a_header_is_awaited_to_its_last_byte(data, source):
    assert [parse(data[:size]) for size in range(len(data))] == [None] * len(data)
    assert repr(parse(data)) == f"<Header size={len(data)} source={source}>"


BAD = {
    "HTTP": b"GET / HTTP/1.1\r\n",
    "a method that begins alike": b"POST / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01",
    "an empty line": b"\r\nGET /",
    "small letters": b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "nothing behind PROXY": b"PROXY\r\n",
    "nothing behind the space": b"PROXY \r\n",
    "an unknown family": b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
    "too few words": b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    "too many words": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
    "two spaces": b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
    "a name": b"PROXY TCP4 localhost 5.6.7.8 1 2\r\n",
    "a short address": b"PROXY TCP4 127.1 5.6.7.8 1 2\r\n",
    "a zero before": b"PROXY TCP4 01.2.3.4 5.6.7.8 1 2\r\n",
    "IPv6 as TCP4": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "IPv4 as TCP6": b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
    "no destination": b"PROXY TCP4 1.2.3.4 - 1 2\r\n",
    "a port too high": b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
    "a port too long": b"PROXY TCP4 1.2.3.4 5.6.7.8 123456 2\r\n",
    "a port with a zero before": b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
    "a port that is none": b"PROXY TCP4 1.2.3.4 5.6.7.8 x 2\r\n",
    "no port": b"PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n",
    "a digit of another script": "PROXY TCP4 1.2.3.4 5.6.7.8 \u0663 2\r\n".encode(),
    "a destination port": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n",
    "a bare LF": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\nGET / HTTP/1.1\r\n",
    "no end": b"PROXY UNKNOWN " + b"f" * 200,
    "an end that comes too late": b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    "v2 with another signature": SIGNATURE[:-1] + b"X",
    "v2 of version 1": v2(V4, command=0x11),
    "v2 of version 3": v2(V4, command=0x31),
    "v2 with an unknown command": v2(V4, command=0x22),
    "v2 of an unknown family": v2(V4, family=0x41),
    "v2 of an unknown protocol": v2(V4, family=0x13),
    "v2 without room for its addresses": v2(V4[:11]),
    "v2 without room for those of IPv6": v2(V4, family=0x21),
    "v2 that is too long": v2(V4, length=4097),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_header_is_refused_for_good(data):
    with pytest.raises(ValueError, match=r"PROXY"):
        parse(data)
    refused = False
    for size in range(len(data) + 1):
        try:
            assert parse(data[:size]) is None
            assert not refused
        except ValueError:
            refused = True
    assert refused


@given(
    st.one_of(
        st.binary(),
        st.binary().map(lambda data: b"PROXY TCP4 " + data),
        st.binary().map(lambda data: SIGNATURE + b"\x21" + data),
    )
)
def test_any_bytes_are_a_header_or_its_beginning_or_none(data):
    try:
        header = parse(data)
    except ValueError:
        return
    assert header is None or header.size <= len(data)
