"""The table of http_rules with the WSGI worker: whole, byte by byte, in odd pieces, with junk behind it."""

from __future__ import annotations

import pytest
from http_rules import CLOSED, GET, OPEN, REFUSED_HEADS, RULES, WAITS
from talk import DATE, Counter, answers, echo, pieces

from spyglass_systemd.backends.wsgi.refusal import REASONS

JUNK = [b"\0\r\n\r\n", b"x" * 9 + b"\r\n\r\n", b"\xff\xfe" * 20, b" / HTTP/1.1\r\n\r\n"]
NEXT = b"GET /behind HTTP/1.1\r\nHost: a.example\r\n\r\n"
BY_NAME = {rule.name: rule for rule in RULES}
by_name = pytest.mark.parametrize("name", BY_NAME)


def talk(sent):
    """The answers to pieces of bytes, as the table has them, and the end."""
    data, end = Counter(echo).talk(sent)
    return tuple(answer.short for answer in answers(data)), end


def test_each_row_has_a_name_of_its_own():
    assert len(BY_NAME) == len(RULES)


@by_name
@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_rule_is_kept_however_its_bytes_come(name, size):
    rule = BY_NAME[name]
    assert talk(pieces(rule.sent, size)) == (rule.answers, rule.end)


@by_name
@pytest.mark.parametrize("size", [0, 1])
def test_what_is_behind_it_is_another_request_or_nothing(name, size):
    rule = BY_NAME[name]
    if rule.end == WAITS:
        return
    behind = ("GET /behind",) if rule.end == OPEN else ()
    assert talk(pieces(rule.sent + NEXT, size)) == (rule.answers + behind, rule.end)


@by_name
@pytest.mark.parametrize("junk", JUNK)
def test_junk_behind_it_is_refused_and_changes_no_answer(name, junk):
    rule = BY_NAME[name]
    if rule.end == WAITS:
        return
    behind = (400,) if rule.end == OPEN else ()
    assert talk([rule.sent + junk]) == (rule.answers + behind, CLOSED)


@by_name
def test_its_answers_are_these_bytes(name):
    rule = BY_NAME[name]
    data, _ = Counter(echo).talk([rule.sent])
    rest = data
    for answer in answers(data):
        if answer.code == 100:
            expected = b"HTTP/1.1 100 Continue\r\n\r\n"
        elif answer.code == 200:
            mute = answer.fields.get(b"x-no-body")
            head = b"Content-Type: text/plain\r\n" + (b"X-No-Body: %b\r\n" % mute if mute else b"")
            length = len(mute or answer.body)
            end = answer.fields.get(b"connection")
            head += b"Content-Length: %d\r\n%b" % (length, DATE) + (b"Connection: %b\r\n" % end if end else b"")
            expected = b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, answer.body)
        else:
            reason = f"{answer.code} {REASONS[answer.code]}".encode()
            head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(answer.body)
            head += b"Cache-Control: no-store\r\nConnection: close\r\n" + DATE
            assert answer.body.startswith(reason)
            expected = b"HTTP/1.1 %b\r\n%b\r\n%b" % (reason, head, answer.body)
        assert rest.startswith(expected), (rest, expected)
        rest = rest[len(expected) :]
    assert rest == b""


@pytest.mark.parametrize("rule", REFUSED_HEADS, ids=lambda rule: rule.name)
@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize("before", [b"", GET + b"\r\n"], ids=["alone", "behind another"])
def test_a_head_that_is_refused_is_told_so_without_a_body(rule, size, before):
    said, end = Counter(echo).talk(pieces(before + rule.sent, size))
    status, *fields = said[said.rindex(b"HTTP/1.1 ") :].split(b"\r\n")
    assert status.startswith(b"HTTP/1.1 %d " % rule.answers[0])
    assert b"Connection: close" in fields
    assert fields[-2:] == [b"", b""], "a body"
    assert end == CLOSED
