"""What a Master understands of a head, whole, in parts, and with anything behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols.knock import begins, parse

HEAD = (
    b"GET /healthz?x=1 HTTP/1.1\r\nHost: example.org\r\n"
    b"ACCEPT: text/html\r\naccept:\t*/*;q=0.1 \r\nno field\r\nX:\r\n\r\n"
)


def shown(head):
    return (head.method, head.target, head.fields)


@pytest.mark.parametrize("behind", [b"", b"body", HEAD])
def test_a_head_is_understood_whatever_follows_it(behind):
    head = parse(HEAD + behind)
    assert shown(head) == (
        "GET",
        "/healthz?x=1",
        (("host", "example.org"), ("accept", "text/html"), ("accept", "*/*;q=0.1"), ("x", "")),
    )
    assert head.field("accept") == "text/html, */*;q=0.1"
    assert head.field("host") == "example.org"
    assert head.field("x") == head.field("cookie") == ""
    assert repr(head) == "<Head GET /healthz?x=1 with 4 fields>"


def test_a_head_is_none_until_its_last_byte():
    for size in range(len(HEAD)):
        assert parse(HEAD[:size]) is None
        assert begins(HEAD[:size]) is not False
    assert begins(HEAD) is True


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\n", b"\n\r\n"])
def test_lines_may_end_with_a_bare_line_feed(end):
    head = parse(b"GET / HTTP/1.0\nA: b" + end + b"C: d\r\n\r\n")
    assert shown(head) == ("GET", "/", (("a", "b"),))


def test_what_has_come_can_be_enough():
    line = b"POST /x HTTP/1.1\r\n"
    assert parse(b"POST /x HTTP/1.1", whole=False) is None
    assert shown(parse(line, whole=False)) == ("POST", "/x", ())
    assert shown(parse(line + b"Accept: a/b\r\nHos", whole=False)) == ("POST", "/x", (("accept", "a/b"),))
    assert shown(parse(line + b"Accept: a/b\r\n\r\nX: y\r\n", whole=False)) == ("POST", "/x", (("accept", "a/b"),))


@pytest.mark.parametrize("data", [b"", b"G", b"GET", b"GET ", b"GET /", b"GET / HTTP/1.1\r", b"X" * 24, b"M-SEARCH *"])
def test_too_little_to_say_is_neither(data):
    assert begins(data) is None
    assert parse(data) is parse(data, whole=False) is None


NONE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\r\n\r\n",
    b"get / HTTP/1.1\r\n\r\n",
    b" / HTTP/1.1\r\n\r\n",
    b"\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"X" * 25,
    b"GET /" + b"x" * 8187,
    b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("data", NONE, ids=lambda data: repr(data[:20]))
def test_what_is_no_request_is_refused(data):
    assert begins(data) is False
    with pytest.raises(ValueError, match="no HTTP/1 request"):
        parse(data)


@given(st.binary(max_size=60), st.integers(0, len(HEAD)), st.booleans())
def test_anything_is_understood_or_refused(junk, at, whole):
    try:
        head = parse(HEAD[:at] + junk + HEAD[at:], whole=whole)
    except ValueError:
        return
    assert head is None or head.method.isascii()
