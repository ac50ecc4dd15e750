"""What becomes of a connection by the bytes that have come: waited for, answered, closed, or for the app."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy import waking
from spyglass_systemd.policy.screening import CLOSE, MOST, REAL, WAIT, judge
from spyglass_systemd.protocols.head import read
from spyglass_systemd.words.rules import Rule

RULES = (
    Rule(("/healthz",), text="ök"),
    Rule(("/wp-*",), status=404),
    Rule(("/empty",), status=204),
    Rule(("/odd",), status=599),
    Rule(("/.env",), ("GET", "POST"), close=True),
)
PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BROWSER = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n"


def request(line, *fields):
    return b"\r\n".join([line, b"Host: x", *fields, b"", b""])


def test_a_probe_is_answered_and_that_is_the_end_of_it():
    assert judge(PROBE, RULES, date=b"Date: now\r\n") == (
        b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 3\r\nDate: now\r\nConnection: close\r\n\r\n\xc3\xb6k"
    )


@pytest.mark.parametrize(
    ("data", "begins", "ends"),
    [
        (request(b"HEAD /healthz HTTP/1.1"), b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n"),
        (request(b"GET /wp-x?y HTTP/1.0", b"Content-Length: 0"), b"HTTP/1.1 404 Not Found\r\n", b"\r\n\r\n"),
        (request(b"GET /odd HTTP/1.1"), b"HTTP/1.1 599 \r\n", b"\r\n\r\n"),
    ],
)
def test_each_rule_has_its_answer(data, begins, ends):
    answer = judge(data, RULES)
    assert answer.startswith(begins)
    assert answer.endswith(ends)


def test_an_answer_without_a_body_says_nothing_of_one():
    answer = judge(request(b"GET /empty HTTP/1.1"), RULES)
    assert answer == b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"G",
        b"GET /healthz HTTP/1.1",
        PROBE[:-1],
        b"A" * 24,
        b"GET /" + b"a" * (MOST - 6),
    ],
)
def test_what_may_become_a_probe_is_waited_for(data):
    assert judge(data, RULES) == WAIT


@pytest.mark.parametrize(
    "data",
    [
        request(b"GET / HTTP/1.1"),
        b"GET / HTTP/1.1\r\n",  # whatever comes after it
        b"\r\n" + PROBE,
        PROBE + b"x",
        PROBE + b"\r\n",  # which ends as PROBE does
        PROBE + PROBE,
        request(b"POST /healthz HTTP/1.1"),
        request(b"GET /healthz HTTP/1.1", b"Content-Length: 1"),
        request(b"GET /healthz HTTP/1.1", b"Transfer-Encoding: chunked"),
        request(b"GET /healthz HTTP/1.1", b"Expect: 100-continue"),
        request(b"GET /healthz HTTP/1.1", b"Host: y"),
        request(b"GET /healthz HTTP/1.1", b"no field"),
        request(b"GET /healthz HTTP/2.0"),
        b"GET /healthz\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"GET /" + b"a" * MOST,
        b"GET /healthz HTTP/1.1\r\nA: " + b"b" * MOST,
    ],
)
def test_whatever_is_not_surely_a_probe_is_the_apps(data):
    assert judge(data, RULES) == REAL


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01",
        b"\0",
        b"\xff",
        b" GET /healthz HTTP/1.1\r\n\r\n",
        request(b"GET /.env HTTP/1.1"),
        request(b"POST /.env HTTP/1.1", b"Content-Length: 9"),
    ],
)
def test_what_can_be_no_request_and_what_is_listed_for_it_is_closed(data):
    assert judge(data, RULES) == CLOSE


@given(st.binary(max_size=60), st.booleans())
def test_it_has_a_verdict_on_anything(data, page):
    for begin in (b"", b"GET /healthz HTTP/1.1\r\n", PROBE):
        verdict = judge(begin + data, RULES, page=page)
        assert verdict in (WAIT, REAL, CLOSE) or verdict.startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("data", [PROBE, request(b"GET / HTTP/1.1"), request(b"GET /.env HTTP/1.1"), BROWSER])
def test_no_part_of_a_request_is_judged_otherwise_than_the_whole(data):
    """It is waited for, or what is said of it is said of the whole."""
    verdict = judge(data, RULES)
    assert {judge(data[:end], RULES) for end in range(len(data))} <= {WAIT, verdict}


# ### The waking page


def test_a_browser_gets_the_page_while_the_app_wakes_and_only_then():
    assert judge(BROWSER, RULES) == REAL
    answer = judge(BROWSER, RULES, page=True, date=b"Date: now\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nCache-Control: no-store\r\n")
    assert b"\r\nDate: now\r\nConnection: close" in head
    assert b"Content-Length: %d\r\n" % len(body) in head
    assert b'<meta http-equiv="refresh" content="2">' in body
    assert judge(BROWSER, (), page=True).startswith(b"HTTP/1.1 503 ")


@pytest.mark.parametrize(
    "data",
    [
        BROWSER.replace(b"GET", b"POST"),
        BROWSER.replace(b"GET", b"HEAD"),
        request(b"GET / HTTP/1.1"),
        request(b"GET / HTTP/1.1", b"Accept: */*"),
        request(b"GET / HTTP/1.1", b"Accept: application/json, text/html;q=0.5"),
        request(b"GET / HTTP/1.1", b"Accept: text/html", b"Connection: upgrade", b"Upgrade: websocket"),
        request(b"GET / HTTP/1.1", b"Accept: text/html", b"Content-Length: 2") + b"ab",
        BROWSER + BROWSER,
    ],
)
def test_a_program_waits(data):
    assert judge(data, RULES, page=True) == REAL


def test_a_browsers_head_is_waited_for():
    assert judge(BROWSER[:-1], RULES, page=True) == WAIT
    assert judge(PROBE, RULES, page=True).startswith(b"HTTP/1.1 200 ")


def test_who_asks_for_html_before_all_else_is_a_browser():
    assert waking.is_browser(read(BROWSER))
    assert not waking.is_browser(read(PROBE))
