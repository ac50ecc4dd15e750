"""The table of pep3333_rules with the WSGI worker: whole, byte by byte, and with another request behind."""

from __future__ import annotations

import h11
import pytest
from http_rules import CLOSED, OPEN
from hypothesis import given, settings
from hypothesis import strategies as st
from pep3333_rules import RULES, Body
from talk import Counter, pieces

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
by_number = pytest.mark.parametrize("number", range(len(RULES)), ids=[rule.name for rule in RULES])


@pytest.fixture(autouse=True)
def _made():
    Body.made.clear()


def listening(app):
    """Tells of the paths that the app was asked for."""

    def listened(environ, start_response):
        listened.paths.append(environ["PATH_INFO"])
        return app(environ, start_response)

    listened.paths = []
    return listened


@by_number
@pytest.mark.parametrize("size", [0, 1])
def test_a_rule_is_kept_however_its_bytes_come(number, size):
    rule = RULES[number]
    assert Counter(rule.app).talk(pieces(rule.sent, size)) == (rule.said, rule.end)


@by_number
def test_each_iterable_is_closed_once(number):
    Counter(RULES[number].app).talk([RULES[number].sent])
    assert [body.closed for body in Body.made] == [1] * len(Body.made)


@by_number
def test_what_an_app_does_never_moves_the_border_between_requests(number):
    rule = RULES[number]
    app = listening(rule.app)
    said, end = Counter(app).talk([rule.sent + NEXT])
    assert said.startswith(rule.said)
    assert app.paths == (["/", "/next"] if rule.end == OPEN else ["/"])
    assert (said == rule.said) == (rule.end == CLOSED)
    assert rule.end == OPEN or end == CLOSED


def test_an_environ_is_a_dict_of_its_own_with_what_pep_3333_names():
    seen = []

    def app(environ, start_response):
        seen.append(environ)
        assert type(environ) is dict
        start_response("200 OK", [])
        return []

    sent = b"POST /a%C3%A9?b=%20 HTTP/1.1\r\nHost: c\r\nContent-Type: d/e\r\nContent-Length: 0\r\nX-F: g\r\n\r\n"
    Counter(app).talk([sent + b"GET / HTTP/1.0\r\n\r\n"])
    first, second = seen
    assert first is not second
    text = [
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
    ]
    for environ in seen:
        assert all(type(environ[key]) is str for key in text)
        assert (environ["wsgi.version"], environ["wsgi.url_scheme"]) == ((1, 0), "http")
        assert all(
            type(environ[f"wsgi.{key}"]) is bool
            for key in ("multithread", "multiprocess", "run_once", "input_terminated")
        )
        for key in ("read", "readline", "readlines", "__iter__"):
            assert hasattr(environ["wsgi.input"], key)
        for key in ("flush", "write", "writelines"):
            assert hasattr(environ["wsgi.errors"], key)
    assert (first["PATH_INFO"], first["QUERY_STRING"]) == ("/a\u00c3\u00a9", "b=%20")
    assert (first["CONTENT_TYPE"], first["CONTENT_LENGTH"], first["HTTP_X_F"]) == ("d/e", "0", "g")
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(first)
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_X_F"} & set(second)
    assert second["SERVER_PROTOCOL"] == "HTTP/1.0"


def test_write_behind_the_end_is_an_error():
    kept = []

    def app(_environ, start_response):
        kept.append(start_response("200 OK", []))
        return [b"x"]

    said, _ = Counter(app).talk([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
    with pytest.raises(AssertionError, match="after the response was done"):
        kept[0](b"evil")
    assert said.endswith(b"\r\n\r\nx")


def test_an_error_of_the_app_is_told_to_the_log_and_not_to_the_client():
    def app(_environ, _start_response):
        raise ZeroDivisionError("my secret")

    counter = Counter(app)
    said, _ = counter.talk([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
    assert b"secret" not in said
    assert "ZeroDivisionError: my secret" in counter.service.said[0]


# ### Any response comes out as it went in, by h11's reading of it


def read_by_h11(said, method):
    """Status, body, and whether the connection stays."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(said)
    response, body = client.next_event(), b""
    while isinstance(event := client.next_event(), h11.Data):
        body += bytes(event.data)
    if event is h11.NEED_DATA:  # the end of the connection is the end of the body
        client.receive_data(b"")
        event = client.next_event()
    assert isinstance(event, h11.EndOfMessage), event
    return response.status_code, body, client.their_state is h11.DONE


@given(
    chunks=st.lists(st.binary(max_size=200), max_size=6),
    written=st.lists(st.binary(max_size=50), max_size=2),
    kind=st.sampled_from([list, tuple, iter]),
    declared=st.booleans(),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    minor=st.sampled_from([0, 1]),
    status=st.sampled_from([200, 204, 304, 404]),
)
@settings(max_examples=300)
def test_any_response_is_read_as_it_was_made(chunks, written, kind, declared, method, minor, status):  # noqa: PLR0917
    whole = b"".join(written + chunks)

    def app(_environ, start_response):
        write = start_response(f"{status} X", [("Content-Length", str(len(whole)))] if declared else [])
        for data in written:
            write(data)
        return kind(chunks)

    sent = f"{method} / HTTP/1.{minor}\r\nHost: a\r\n\r\n".encode()
    said, end = Counter(app).talk([sent])
    body = b"" if method == "HEAD" or status in (204, 304) else whole
    assert read_by_h11(said, method) == (status, body, end == OPEN)
