"""Large bodies in little memory."""

from __future__ import annotations

import hashlib
import os
import tempfile

import pytest
from wsgi_worker import serving

SIZE = 100 << 20
ROOM = 12 << 10  # KiB of memory that a transfer of 100 MiB may take


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch):
    monkeypatch.setenv("TMPDIR", "/var/tmp")


def hello(_environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


PIECE = bytes(range(256)) * 256


def pieces(_environ, start_response):
    start_response("200 OK", [("Content-Length", str(SIZE))])
    return (PIECE for _ in range(SIZE // len(PIECE)))


def chunks(_environ, start_response):
    start_response("200 OK", [])
    return (PIECE for _ in range(SIZE // len(PIECE)))


def written(_environ, start_response):
    write = start_response("200 OK", [("Content-Length", str(SIZE))])
    for _ in range(SIZE // len(PIECE)):
        write(PIECE)
    return []


def wrapped(environ, start_response):
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    for _ in range(SIZE // len(PIECE)):
        file.write(PIECE)
    file.seek(0)
    start_response("200 OK", [("Content-Length", str(SIZE))])
    return environ["wsgi.file_wrapper"](file)


@pytest.mark.parametrize("app", [pieces, chunks, written, wrapped])
def test_100_mib_down(app, threads):
    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")  # what is imported is imported now
        assert client.response("HEAD").code == 200
        worker.forget_memory()
        before = worker.memory("VmRSS")
        client.get()
        response = client.head()
        seen, right = 0, True
        while seen < SIZE:
            piece = client.chunk() if response.header("Transfer-Encoding") else client.exactly(len(PIECE))
            right = right and piece == PIECE
            seen += len(piece)
        assert right
        assert worker.memory() - before < ROOM


def test_100_mib_up(threads):
    def app(environ, start_response):
        digest = hashlib.sha256()
        while data := environ["wsgi.input"].read(1 << 16):
            digest.update(data)
        start_response("200 OK", [])
        return [digest.hexdigest().encode()]

    with serving(app, threads=threads) as worker, worker.connect() as client:
        for chunked in (False, True):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            assert client.response().code == 200
            worker.forget_memory()
            before = worker.memory("VmRSS")
            how = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % SIZE
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n" % how)
            for _ in range(SIZE // len(PIECE)):
                client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
            client.send(b"0\r\n\r\n" if chunked else b"")
            expected = hashlib.sha256(PIECE * (SIZE // len(PIECE))).hexdigest().encode()
            assert client.response().body == expected
            assert worker.memory() - before < ROOM


def test_nothing_is_kept_of_what_is_over():
    """A thousand requests of every kind, and then a thousand more: no growth."""
    with serving(hello) as worker:

        def some():
            for _ in range(200):
                assert worker.ask(b"HEAD / HTTP/1.0\r\n\r\n").code == 200
                assert worker.ask(b"GET /\r\n\r\n").code == 400
                assert worker.ask(b"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nab" + os.urandom(1))
            return worker.memory("VmRSS")

        some()
        before = some()
        assert some() - before < 512
