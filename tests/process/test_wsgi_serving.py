"""Requests and responses over real sockets, with the app in the loop and in a pool."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
from wsgiref.validate import validator

import pytest
from wsgi_worker import serving

from spyglass_systemd.backends.wsgi.refusal import REASONS

HOST = b"Host: a.example\r\n"


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


def echo(environ, start_response):
    """Says what it was asked."""
    body = environ["wsgi.input"].read()
    text = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ['QUERY_STRING']} {len(body)}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text + body)))])
    return [text + body]


def tell(environ, start_response):
    """Says what is in its environ."""
    lines = [f"{key}={value!r}\n".encode() for key, value in sorted(environ.items())]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return lines


def told(response):
    return dict(line.split("=", 1) for line in response.body.decode().splitlines())


def test_many_requests_on_one_connection(threads):
    with serving(echo, threads=threads) as worker:
        with worker.connect() as client:
            for n in range(20):
                client.get(f"/{n}?q={n}")
                response = client.response()
                assert response.body == f"GET /{n} q={n} 0\n".encode()
                assert response.header("Connection") is None
                assert response.header("Date")
        report = worker.end()
        assert (report.accepted, report.answered) == (1, 20)


def test_pipelined_requests_are_answered_in_order(threads):
    with serving(echo, threads=threads) as worker, worker.connect() as client:
        post = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        chunks = b"PUT /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n"
        get = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
        kinds = (post, get, chunks)
        client.send(b"".join(kinds[n % 3] % n for n in range(60)))
        for n in range(60):
            method, body = ((b"POST", b"hello"), (b"GET", b""), (b"PUT", b"world"))[n % 3]
            assert client.response().body == b"%b /%d  %d\n" % (method, n, len(body)) + body
        client.half_close()
        assert client.is_at_its_end()


def test_a_request_may_come_byte_by_byte(threads):
    with serving(echo, threads=threads) as worker, worker.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(2):
            request = b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" % n
            for i in range(len(request)):
                client.send(request[i : i + 1])
            assert client.response().body == b"POST /%d  3\nabc" % n


def test_a_client_that_has_said_all_still_gets_its_answer(threads):
    with serving(echo, threads=threads) as worker:
        for request in (b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /x HTTP/1.0\r\n\r\n"):
            with worker.connect() as client:
                client.send(request)
                client.half_close()
                assert client.response().body == b"GET /x  0\n"
                assert client.is_at_its_end()


def test_http_1_0_closes_unless_it_is_asked_not_to(threads):
    with serving(echo, threads=threads) as worker, worker.connect() as client:
        client.send(b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.response().header("Connection") == "keep-alive"
        client.send(b"GET /2 HTTP/1.0\r\n\r\n")
        assert client.response().header("Connection") == "close"
        assert client.is_at_its_end()


def test_the_environ_is_that_of_pep_3333(threads):
    with serving(validator(tell), threads=threads, root_path="/blog/") as worker:
        port = worker.address[1]
        with worker.connect() as client:
            client.send(
                b"POST /blog/a%20b?c=%20 HTTP/1.1\r\nHost: b.example:81\r\nContent-Type: text/x\r\n"
                b"X-A: 1\r\nX-A: 2\r\nProxy: evil\r\nX_B: evil\r\nContent-Length: 0\r\n\r\n"
            )
            environ = told(client.response())
            mine = client.socket.getsockname()
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/blog",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=%20",
        "REQUEST_URI": "/blog/a%20b?c=%20",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "0",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(mine[1]),
        "HTTP_HOST": "b.example:81",
        "HTTP_X_A": "1,2",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": threads > 1,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {key: environ.get(key) for key in expected} == {key: repr(value) for key, value in expected.items()}
    assert "HTTP_PROXY" not in environ
    assert "HTTP_X_B" not in environ


def test_nobody_has_an_address_on_a_unix_socket():
    with serving(validator(tell), family=socket.AF_UNIX) as worker:
        environ = told(worker.ask())
        assert environ["REMOTE_ADDR"] == "''"
        assert "REMOTE_PORT" not in environ
        assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("'localhost'", "'80'")


def test_ipv6():
    with serving(tell, family=socket.AF_INET6) as worker:
        environ = told(worker.ask())
        assert (environ["REMOTE_ADDR"], environ["SERVER_NAME"]) == ("'::1'", "'::1'")


def test_an_answer_is_sent_in_one_piece_without_delay():
    def option(environ, start_response):
        del environ
        fds = [int(fd) for fd in os.listdir("/proc/self/fd")]  # noqa: PTH208
        values = []
        for fd in fds:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
                sock.getpeername()
                values.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        start_response("200 OK", [])
        return [repr(values).encode()]

    with serving(option) as worker:
        assert worker.ask().body == b"[1]"


# ### 100-continue


def test_a_client_that_waits_for_100_continue_gets_it_before_it_sends(threads):
    with serving(echo, threads=threads) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        client.send(b"hello")
        assert client.response().body == b"POST /  5\nhello"


def test_no_100_continue_for_what_will_be_refused():
    with serving(echo, body_limit=4) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.head().code == 413


def test_no_100_continue_for_a_body_that_is_there():
    with serving(echo) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
        assert client.head().code == 200


# ### Refusals


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n" + b"x" * 50, 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n32\r\n" + b"x" * 50, 413),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: %b\r\n" % (b"x" * 8000) * 9 + b"\r\n", 431),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_a_bad_request_is_answered_and_the_connection_closed(request_, code):
    with serving(echo, body_limit=49) as worker:
        with worker.connect() as client:
            client.send(request_)
            response = client.response()
            assert (response.code, response.reason) == (code, REASONS[code])
            assert response.header("Connection") == "close"
            assert client.is_at_its_end()
        report = worker.end()
        assert report.answered == 0, "it was given to the app"
        assert worker.said == ""


def test_a_refused_request_before_it_has_been_answered_is_answered():
    with serving(echo) as worker, worker.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().body == b"GET /1  0\n"
        assert client.response().code == 400
        assert client.is_at_its_end()


def test_a_request_that_ends_early_is_told_so():
    with serving(echo) as worker:
        for request in (b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell"):
            with worker.connect() as client:
                client.send(request)
                client.half_close()
                assert client.response().code == 400
                assert client.is_at_its_end()


# ### Responses


def test_each_chunk_is_sent_before_the_next_is_asked_for(threads, tmp_path):
    os.mkfifo(tmp_path / "go")

    def stream(_environ, start_response):
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for n in range(3):
            yield b"data: %d\n\n" % n
            (tmp_path / "go").read_bytes()  # until the client has seen it

    with serving(stream, threads=threads) as worker, worker.connect() as client:
        client.get()
        client.head()
        for n in range(3):
            assert client.chunk() == b"data: %d\n\n" % n
            (tmp_path / "go").write_bytes(b"x")
        assert client.chunk() == b""


def test_a_large_chunk_is_sent_whole_before_the_next_is_asked_for(threads, tmp_path):
    os.mkfifo(tmp_path / "go")

    def stream(_environ, start_response):
        start_response("200 OK", [])
        yield bytes(8 << 20)  # more than the kernel takes at once
        (tmp_path / "go").read_bytes()
        yield b"last"

    with serving(stream, threads=threads) as worker, worker.connect(small=True) as client:
        client.get()
        client.head()
        assert client.chunk() == bytes(8 << 20)
        (tmp_path / "go").write_bytes(b"x")
        assert client.chunk() == b"last"
        assert client.chunk() == b""


def test_what_write_is_given_is_sent_at_once(threads, tmp_path):
    os.mkfifo(tmp_path / "go")

    def app(_environ, start_response):
        write = start_response("200 OK", [])
        write(b"first")
        (tmp_path / "go").read_bytes()
        return [b"second"]

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.get()
        client.head()
        assert client.chunk() == b"first"
        (tmp_path / "go").write_bytes(b"x")
        assert client.chunk() == b"second"
        assert client.chunk() == b""


def test_head_204_and_304_have_no_body_and_the_connection_stays(threads):
    def app(environ, start_response):
        start_response(environ["PATH_INFO"][1:] + " X", [("Content-Length", "5")] if environ["QUERY_STRING"] else [])
        return [b"hello"]

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.send(b"HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response("HEAD").header("Content-Length") == "5"
        for target in ("/204", "/204?x", "/304", "/304?x"):
            client.get(target)
            assert client.response().code == int(target[1:4])
        client.get("/200")
        assert client.response().body == b"hello"


def test_a_file_is_sent_by_the_kernel(threads, tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 4096)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    with serving(app, threads=threads) as worker, worker.connect() as client:
        for _ in range(3):
            client.get()
            response = client.response()
            assert response.body == bytes(range(256)) * 4096
            assert response.header("Content-Length") == str(1 << 20)


def test_an_app_that_fails_is_told_of_and_the_next_request_is_served(threads):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/bad":
            raise ZeroDivisionError("over there")
        return echo(environ, start_response)

    with serving(app, threads=threads) as worker:
        assert worker.ask(b"GET /bad?x HTTP/1.1\r\nHost: a\r\n\r\n").code == 500
        assert worker.ask().code == 200
        worker.end()
        said = worker.said
        assert said.count("Traceback") == 1
        assert said.startswith("GET /bad?x: the app failed\nTraceback (most recent call last):\n  File ")
        assert "ZeroDivisionError: over there" in said
        assert "spyglass_systemd" not in said


@pytest.mark.parametrize("declared", [[], [("Content-Length", "100")]])
def test_a_response_that_breaks_off_is_seen_to(threads, declared):
    def app(_environ, start_response):
        start_response("200 OK", declared)
        yield b"half of it"
        raise ZeroDivisionError

    with serving(app, threads=threads) as worker:
        with worker.connect() as client:
            client.get()
            rest = client.to_the_end()
            assert b"half of it" in rest
            assert not rest.endswith(b"0\r\n\r\n")
        with worker.connect() as client, contextlib.suppress(ConnectionResetError):
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            client.to_the_end()
            assert declared, "the end of the connection looks like the end of the body"


def test_a_response_shorter_than_it_says_closes_the_connection(threads):
    def app(_environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        yield b"hello"

    with serving(app, threads=threads) as worker:
        with worker.connect() as client:
            client.get()
            assert client.to_the_end().endswith(b"\r\n\r\nhello")
        assert "1 bytes less than its Content-Length" in worker.said


def test_a_header_that_would_split_a_response_is_a_500(threads):
    def app(_environ, start_response):
        start_response("200 OK", [("Location", "/\r\nSet-Cookie: a=b")])
        return [b"x"]

    with serving(app, threads=threads) as worker:
        response = worker.ask()
        assert response.code == 500
        assert response.header("Set-Cookie") is None


def test_the_access_log_has_a_line_for_each_request(threads):
    with serving(echo, threads=threads, access_log=True) as worker:
        worker.ask(b'GET /a"b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nReferer: y\r\nConnection: close\r\n\r\n')
        worker.eventually(lambda: worker.row.done == 1)
        worker.ask(b"GET /\r\n\r\n")
        worker.end()
        first, second = worker.logged.splitlines()
        assert re.fullmatch(
            r'127\.0\.0\.1 - - \[[^]]+\] "GET /a\\"b HTTP/1\.1" 200 12 "y" "x" ms=\d+ worker=1', first
        ), first
        assert re.fullmatch(r'127\.0\.0\.1 - - \[[^]]+\] "-" 400 - "-" "-" ms=0 worker=1', second), second


def test_a_refusal_is_nobodys_but_its_peers_in_the_access_log(threads):
    def app(_environ, start_response):
        start_response("200 OK", [])
        return [b"x"]

    words = {"access_log": True, "trusted_proxies": ("127.0.0.1",), "header_timeout": 0.2}
    with serving(app, threads=threads, **words) as worker, worker.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nUser-Agent: good\r\n\r\n")
        assert client.response().body == b"x"
        client.send(b"GET / HT")
        assert client.response().code == 408
        worker.end()
        first, second = worker.logged.splitlines()
        assert first.startswith("203.0.113.7 - - ")
        assert '"good"' in first
        assert second.startswith("127.0.0.1 - - ")
        assert '"-" 408 - "-" "-"' in second


def test_max_requests_asks_for_a_successor_and_serves_on():
    from spyglass_systemd.words.reports import Retiring

    with serving(echo, quota=3) as worker:
        for _ in range(5):
            assert worker.ask().code == 200
        assert worker.hear(Retiring).reason == "max_requests=3"


def test_an_app_may_leave_its_input_alone(threads):
    def app(_environ, start_response):
        start_response("200 OK", [])
        return [b"x"]

    with serving(app, threads=threads, spool=100) as worker, worker.connect() as client:
        for _ in range(3):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
            assert client.response().body == b"x"
        before = worker.descriptors()  # what the test's own process has open is there too
        for _ in range(30):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + bytes(100_000))
            assert client.response().body == b"x"
        assert worker.descriptors() <= before + 1  # the last one may not be closed yet


def test_input_reads_like_a_file(threads):
    def app(environ, start_response):
        file = environ["wsgi.input"]
        seen = [file.read(2), file.readline(), file.readline(3), *file.readlines(1), *file]
        start_response("200 OK", [])
        return [repr(seen).encode()]

    body = b"abc\ndefgh\nijk\nlmn\nopq"
    copy = io.BytesIO(body)
    expected = [copy.read(2), copy.readline(), copy.readline(3), *copy.readlines(1), *copy]
    for spool in (5, 5000):
        with serving(app, threads=threads, spool=spool) as worker:
            request = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
            assert worker.ask(request % (len(body), body)).body == repr(expected).encode()
