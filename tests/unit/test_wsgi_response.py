"""What an app may say of its response."""

from __future__ import annotations

import email.utils

import pytest

from spyglass_systemd.backends.wsgi.refusal import REASONS, answer
from spyglass_systemd.backends.wsgi.response import UNKNOWN, Date, date_line, prepare


def test_a_head_is_the_status_line_and_the_fields_in_order():
    head = prepare("200 OK", [("B", "1"), ("a", "2"), ("B", "\u00e9")])
    assert head.data == b"HTTP/1.1 200 OK\r\nB: 1\r\na: 2\r\nB: \xe9\r\n"
    assert (head.code, head.length, head.dated, head.last, head.bodiless) == (200, UNKNOWN, False, False, False)


def test_a_status_may_lack_its_reason():
    assert prepare("299", []).data == b"HTTP/1.1 299 \r\n"
    assert prepare("299 ", []).data == b"HTTP/1.1 299 \r\n"


def test_the_fields_that_mean_something_to_us_are_seen_in_any_case():
    head = prepare("200 OK", [("content-LENGTH", "5"), ("DATE", "today"), ("connection", "Close")])
    assert (head.length, head.dated, head.last) == (5, True, True)
    assert head.data == b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nDATE: today\r\n"


@pytest.mark.parametrize("name", ["Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade"])
def test_what_is_between_server_and_client_is_not_the_apps_to_say(name):
    assert prepare("200 OK", [(name, "x")]).data == b"HTTP/1.1 200 OK\r\n"


def test_some_responses_have_no_body():
    assert prepare("204 No Content", [("Content-Length", "0")]).data == b"HTTP/1.1 204 No Content\r\n"
    assert prepare("204 No Content", []).bodiless
    head = prepare("304 Not Modified", [("Content-Length", "5")])
    assert (head.bodiless, head.length) == (True, 5)


@pytest.mark.parametrize(
    "status",
    [
        "",
        "OK",
        "20",
        "2000 OK",
        "200OK",
        "-20 OK",
        "100 Continue",
        "101 Upgrade",
        "600 What",
        "199",
        "\u0662\u0660\u0660 OK",
    ],
)
def test_a_status_that_is_none_is_refused(status):
    with pytest.raises(ValueError, match="status"):
        prepare(status, [])


@pytest.mark.parametrize("status", [200, b"200 OK", None])
def test_a_status_that_is_no_text_is_refused(status):
    with pytest.raises(TypeError, match="status"):
        prepare(status, [])


SPLITTING = ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\0b", "a\x0bb", "\x7f", "a\r\n\r\n<html>"]


@pytest.mark.parametrize("text", SPLITTING)
def test_nothing_splits_a_response(text):
    for status, headers in [
        ("200 " + text, []),
        ("200 OK", [("A", text)]),
        ("200 OK", [("Content-Length", text)]),
        ("200 OK", [("Date", text)]),
        ("200 OK", [(text, "a")]),
    ]:
        with pytest.raises(ValueError, match=r"control|valid name|Content-Length"):
            prepare(status, headers)


@pytest.mark.parametrize("name", ["", "a b", "a:", "\u00e9", "a\u2028"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="valid name"):
        prepare("200 OK", [(name, "x")])


def test_a_value_beyond_latin_1_is_refused():
    with pytest.raises(ValueError, match="latin-1"):
        prepare("200 OK", [("A", "\u20ac")])


@pytest.mark.parametrize("headers", [[("A", 5)], [("A", b"x")], [("A", None)], [(b"A", "x")], [(5, "x")]])
def test_what_is_no_text_is_refused(headers):
    with pytest.raises(TypeError, match="must be a str"):
        prepare("200 OK", headers)


@pytest.mark.parametrize("value", ["", "-1", "+1", "1_0", "x", "1, 1", " 1", "\u0661", "9" * 19, "0" * 5000])
def test_a_content_length_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="Content-Length"):
        prepare("200 OK", [("Content-Length", value)])


def test_two_content_lengths_must_agree_and_one_is_sent():
    for other in ("5", "005"):
        head = prepare("200 OK", [("Content-Length", "5"), ("Content-Length", other)])
        assert (head.length, head.data.count(b"Content-Length")) == (5, 1)
    with pytest.raises(ValueError, match="more than one"):
        prepare("200 OK", [("Content-Length", "5"), ("Content-Length", "6")])


def test_what_is_remembered_is_bounded():
    from spyglass_systemd.backends.wsgi import response

    for n in range(2000):
        prepare(f"200 {n}", [(f"X-{n}", "x"), ("X-" + "y" * 100, "x")])
    assert len(response._names) <= 512
    assert len(response._codes) <= 512


@pytest.mark.parametrize("second", [0, 784111777, 1_700_000_000, 4_102_444_799])
def test_a_date_is_that_of_http(second):
    assert date_line(second).decode() == f"Date: {email.utils.formatdate(second, usegmt=True)}\r\n"


def test_a_date_is_made_once_a_second(monkeypatch):
    now = [1000.5]
    monkeypatch.setattr("time.time", lambda: now[0])
    date = Date()
    first = date.line()
    now[0] = 1000.9
    assert date.line() is first
    now[0] = 1001.0
    assert date.line() == date_line(1001)


@pytest.mark.parametrize("code", REASONS)
def test_a_refusal_is_a_whole_response_and_the_last(code):
    head, _, body = answer(code, "why", b"Date: x\r\n").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == f"HTTP/1.1 {code} {REASONS[code]}".encode()
    assert b"Content-Length: %d" % len(body) in lines
    assert {b"Connection: close", b"Date: x", b"Cache-Control: no-store"} <= set(lines)
    assert b"why" in body
    assert answer(code, "why", b"", body=False).endswith(b"\r\n\r\n")
