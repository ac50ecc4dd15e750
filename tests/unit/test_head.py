"""The strict reading of a head: what it takes, what it leaves to others, and that every parser of ours agrees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.backends.budget import Budget
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.framing import Framing, Rules
from spyglass_systemd.protocols.head import bare, read, request_line

HOST = b"Host: example.org\r\n"


def head(line, *fields, host=HOST):
    return line + b"\r\n" + host + b"".join(field + b"\r\n" for field in fields) + b"\r\n"


def test_a_head_is_read_whatever_follows_it():
    found = read(head(b"GET /a?b HTTP/1.1", b"Accept:\ttext/html ", b"X:") + b"more")
    assert (found.method, found.target) == ("GET", "/a?b")
    assert found.fields == (("host", "example.org"), ("accept", "text/html"), ("x", ""))


def test_every_part_of_a_head_is_waited_for():
    whole = head(b"GET / HTTP/1.0", b"A: b", host=b"")
    assert [read(whole[:end]) for end in range(len(whole))] == [None] * len(whole)
    assert read(whole) is not None
    assert request_line(b"GET / HTTP/1.1") is None


@pytest.mark.parametrize(
    "data",
    [
        head(b"GET  / HTTP/1.1"),
        head(b"GET / HTTP/1.1 "),
        head(b" GET / HTTP/1.1"),
        head(b"GET /\x7f HTTP/1.1"),
        head(b"GET /a#b HTTP/1.1"),
        head(b"GET /\xc3\xa4 HTTP/1.1"),
        head(b"GET http://example.org/ HTTP/1.1"),
        head(b"OPTIONS * HTTP/1.1"),
        head(b"GET / HTTP/2.0"),
        head(b"GET /"),
        head(b"G(T / HTTP/1.1"),
        head(b"GET / HTTP/1.1", b" folded"),
        head(b"GET / HTTP/1.1", b"Space : x"),
        head(b"GET / HTTP/1.1", b": nameless"),
        head(b"GET / HTTP/1.1", b"none"),
        head(b"GET / HTTP/1.1", b"A: \0"),
        head(b"GET / HTTP/1.1", b"A: \r"),
        head(b"GET / HTTP/1.1", b"A: b\nB: c"),
        head(b"GET / HTTP/1.1", HOST[:-2]),
        head(b"GET / HTTP/1.1", host=b""),
        head(b"GET / HTTP/1.1", host=b"Host: a b\r\n"),
        head(b"GET / HTTP/1.1", b"Content-Length: 0", b"Content-Length: 0"),
        head(b"GET / HTTP/1.1", b"Content-Length: +1"),
        head(b"GET / HTTP/1.1", b"Content-Length:"),
        head(b"GET / HTTP/1.1", b"Content-Length: " + b"1" * 19),
        head(b"GET / HTTP/1.1", b"A: " + b"x" * 8192),
        head(b"GET / HTTP/1.1", *[b"A: b"] * 100),
    ],
)
def test_what_is_not_surely_a_head_is_left_to_others(data):
    with pytest.raises(ValueError, match=r"."):
        read(data)


@pytest.mark.parametrize(
    ("fields", "is_bare"),
    [
        ([], True),
        ([b"Content-Length: 0"], True),
        ([b"Content-Length: 00"], True),
        ([b"Content-Length: 1"], False),
        ([b"Transfer-Encoding: chunked"], False),
        ([b"Expect: 100-continue"], False),
    ],
)
def test_a_request_that_ends_with_its_head_is_bare(fields, is_bare):
    assert bare(read(head(b"GET / HTTP/1.1", *fields))) is is_bare


FIELDS = [b"Host: x", b"Host:", b"Content-Length: 0", b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b"]
WORDS = b"GET HEAD / /healthz ? HTTP/1.1 HTTP/1.0 \r\n \n \r \t \0 \xff a :".split(b" ")
PIECES = st.sampled_from([*WORDS, b" ", *FIELDS])
HEADS = st.builds(
    lambda line, fields, end: line + b"\r\n" + b"\r\n".join(fields) + end,
    st.one_of(st.just(b"GET /healthz HTTP/1.1"), st.just(b"HEAD / HTTP/1.0"), st.lists(PIECES).map(b"".join)),
    st.lists(st.one_of(PIECES, st.lists(PIECES, max_size=3).map(b"".join)), max_size=5),
    st.sampled_from([b"\r\n\r\n", b"\n\n", b""]),
)


@given(HEADS)
def test_what_it_takes_is_a_head_to_the_parser_of_requests_too_and_the_same(data):
    try:
        found = read(data)
    except ValueError:
        return
    if found is None or not bare(found):
        return
    end = data.index(b"\r\n\r\n") + 4
    rules = Rules(Limits(8192, 65536, 100), None, 65536, "", budget=Budget(65536))
    request = Framing(rules, {"REMOTE_ADDR": ""}).feed(data[:end])
    assert (request.method, request.target, request.length) == (found.method, found.target, 0)
