"""Apps that go on though nobody listens, that fork, that fail in odd ways: others are served, and the books balance."""

from __future__ import annotations

import os
import select

import pytest
from wsgi_worker import LIMIT, serving


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


@pytest.fixture
def told():
    """A pipe by which an app tells the test what has become of it."""
    reader, writer = os.pipe()
    yield Told(reader, writer)
    os.close(reader)
    os.close(writer)


class Told:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def say(self, word):
        os.write(self.writer, word)

    def hear(self):
        assert select.select([self.reader], [], [], LIMIT)[0], "the app says nothing"
        return os.read(self.reader, 100)


# ### Nobody gets what it yields


class Endless:
    """A body without an end, that tells when it is closed."""

    def __init__(self, told):
        self._told = told

    def __iter__(self):
        return self

    def __next__(self):
        return b"data: x\n\n"

    def close(self):
        self._told.say(b"closed")


@pytest.mark.parametrize(
    ("method", "status", "fields"),
    [
        ("HEAD", "200 OK", []),
        ("GET", "304 Not Modified", []),
        ("GET", "204 No Content", []),
        ("GET", "200 OK", [("Content-Length", "20")]),
    ],
    ids=["HEAD", "304", "204", "more than its length"],
)
def test_a_body_without_end_of_which_nothing_goes_out_is_closed(threads, told, method, status, fields):
    def app(environ, start_response):
        if environ["PATH_INFO"] != "/":
            start_response("200 OK", [])
            return [b"fine"]
        start_response(status, fields)
        return Endless(told)

    with serving(app, threads=threads) as worker:
        with worker.connect() as client:
            client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.response(method).code == int(status[:3])
            assert told.hear() == b"closed"
            client.get("/next")
            assert client.response().body == b"fine"
        worker.eventually(lambda: worker.row.open == 0)
