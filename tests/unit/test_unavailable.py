"""The 503 as bytes: its form is the client's choice, its head is always the same."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from spyglass_systemd.policy.unavailable import answer

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SAID = "The application is not available right now. Please try again in 7 seconds."
ACCEPTS = ["", BROWSER, "application/json", "application/problem+json"]


def split(data):
    head, _, body = data.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return status, dict(field.lower().split(": ", 1) for field in fields), body.decode()


@pytest.mark.parametrize("accept", ACCEPTS)
def test_nobody_keeps_it_and_everybody_learns_when_to_come_again(accept):
    status, fields, body = split(answer("GET", accept, 7))
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert fields.pop("content-type").partition(";")[0] in {*ACCEPTS[2:], "text/plain", "text/html"}
    assert fields == {
        "retry-after": "7",
        "cache-control": "no-store",
        "content-length": str(len(body)),
        "connection": "close",
    }
    assert SAID in body


@pytest.mark.parametrize("accept", ACCEPTS)
def test_a_head_request_gets_the_same_head_alone(accept):
    whole = answer("GET", accept, 7)
    assert answer("HEAD", accept, 7) == whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_a_person_at_a_terminal_reads_one_line():
    _, fields, body = split(answer("POST", "*/*", 1))
    assert fields["content-type"] == "text/plain; charset=utf-8"
    assert body == SAID.replace("7 seconds", "a second") + "\n"


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_a_program_reads_json(accept):
    _, fields, body = split(answer("GET", accept, 7))
    assert fields["content-type"] == accept
    assert json.loads(body) == {"status": 503, "title": "Service Unavailable", "detail": SAID}


def test_a_browser_gets_a_page_that_needs_nothing_else():
    _, fields, body = split(answer("GET", BROWSER, 7))
    assert fields["content-type"] == "text/html; charset=utf-8"
    tags = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag, attrs):
            tags.append((tag, dict(attrs)))

    Tags().feed(body)
    names = [tag for tag, _ in tags]
    assert {"html", "title", "h1", "p"} <= {*names}
    assert {"script", "link", "img"}.isdisjoint(names)
    assert not [attributes for _, attributes in tags if {"src", "href", "http-equiv"} & {*attributes}]
