"""Apps that go on though nobody listens, that fork, that fail in odd ways: others are served, and the books balance."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import threading
import time

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


# ### write() to who does not read


class Writer:
    """An app that writes until it is told that nobody reads."""

    def __init__(self, told, size=1000, pause=0.001):
        self._told, self._size, self._pause = told, size, pause

    def __call__(self, environ, start_response):
        write = start_response("200 OK", [])
        if environ["PATH_INFO"] != "/":
            return [b"fine"]
        try:
            while True:
                write(bytes(self._size))
                time.sleep(self._pause)  # an app that makes its answer bit by bit
        except OSError:
            self._told.say(b"gone")
            raise


def test_who_writes_to_a_client_that_is_gone_is_told_and_nobody_else(threads, told):
    with serving(Writer(told), threads=threads) as worker:
        client = worker.connect()
        client.get()
        client.head()
        client.reset()
        assert told.hear() == b"gone"
        assert worker.ask(b"GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == b"fine"
        worker.end()
        assert worker.said == ""


def test_who_writes_to_a_client_that_takes_nothing_is_told(threads, told):
    with serving(Writer(told, 10_000), threads=threads, write_timeout=0.1) as worker:
        with worker.connect(small=True) as client:
            client.get()
            assert told.hear() == b"gone"
        assert worker.ask(b"GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == b"fine"


def test_who_writes_to_a_client_that_takes_little_by_little_is_told(threads, told):
    with serving(Writer(told, 100_000), threads=threads, write_timeout=0.2, min_rate=1 << 30) as worker:
        with worker.connect(small=True) as client:
            client.get()
            client.head()
            with contextlib.suppress(ConnectionResetError):
                while not select.select([told.reader], [], [], 0.01)[0] and client.socket.recv(4096):
                    pass
            assert told.hear() == b"gone"
        worker.eventually(lambda: worker.row.open == 0)


def test_a_client_that_takes_its_time_gets_all_that_is_written(threads):
    def app(_environ, start_response):
        write = start_response("200 OK", [("Content-Length", "4000000")])
        for _ in range(100):
            write(bytes(40_000))
            time.sleep(0.005)  # slower than its client takes it, now and then
        return []

    times = {"write_timeout": 0.2, "min_rate": 1000}
    with serving(app, threads=threads, **times) as worker, worker.connect(small=True) as client:
        client.get(close=True)
        client.head()
        end = time.monotonic() + 0.6
        seen = 0
        while time.monotonic() < end:
            seen += len(client.exactly(20_000))
            time.sleep(0.01)  # a client who takes little by little, longer than write_timeout
        assert client.exactly(4_000_000 - seen)
        assert client.is_at_its_end()


def test_what_is_written_and_goes_nowhere_is_no_progress(threads, told):
    go, gone = os.pipe()

    def app(_environ, start_response):
        told.say(b"%d" % time.monotonic_ns())
        write = start_response("200 OK", [])
        for _ in range(100):
            write(b"x")
        told.say(b"written")
        os.read(go, 1)
        return []

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        heard = told.hear()
        while not heard.endswith(b"written"):
            heard += told.hear()
        assert 0 < worker.row.busy_since_ns <= int(heard.removesuffix(b"written"))
        os.write(gone, b"x")
        assert client.response("HEAD").code == 200
    os.close(go)
    os.close(gone)


def test_more_than_may_wait_is_not_written_for_one_client(told):
    def little():
        from spyglass_systemd.backends.wsgi import connection

        connection._MOST = 1 << 20

    with serving(Writer(told, 100_000), prepare=little) as worker, worker.connect(small=True) as client:
        client.get()
        assert told.hear() == b"gone"
        worker.eventually(lambda: worker.row.open == 0)


# ### An app that is not ready


def test_an_app_that_is_not_ready_lets_others_have_their_turn(threads):
    """PEP 3333: who is not ready yields nothing."""
    ready = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/ready":
            ready.set()
            return [b"said"]
        return wait()

    def wait():
        while not ready.is_set():
            yield b""
        yield b"ready"

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.get("/wait")
        worker.eventually(lambda: worker.row.requests == 1)
        assert worker.ask(b"GET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == b"said"
        assert client.response().body == b"ready"


def test_an_app_that_is_not_ready_has_been_busy_since_it_began(threads):
    enough = threading.Event()

    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/enough":
            enough.set()
        return [b"fine"] if environ["PATH_INFO"] != "/" else (b"" for _ in iter(enough.is_set, True))

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.get()
        since = worker.eventually(lambda: worker.row.busy_since_ns)
        for _ in range(5):
            assert worker.ask(b"GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == b"fine"
        worker.eventually(lambda: worker.row.busy_since_ns == since)
        assert worker.ask(b"GET /enough HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == b"fine"
        assert client.response().body == b""


def test_an_app_that_is_not_ready_is_closed_when_its_client_goes(told):
    class Never(Endless):
        def __next__(self):
            return b""

    def app(_environ, start_response):
        start_response("200 OK", [])
        return Never(told)

    with serving(app) as worker:
        client = worker.connect()
        client.get()
        worker.eventually(lambda: worker.row.busy_since_ns)
        client.reset()
        assert told.hear() == b"closed"
        worker.eventually(lambda: worker.row.open == 0)


# ### Children of the app


class Parent:
    """An app whose child comes back from it; it waits for the child, and says how that has ended."""

    def __init__(self, child, *, late=False):
        self._child, self._late = child, late

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] != "/fork":
            start_response("200 OK", [])
            return [b"fine"]
        return self._stream(environ, start_response) if self._late else self._fork(environ, start_response)

    def _fork(self, environ, start_response):
        pid = os.fork()
        if not pid:
            signal.alarm(10)  # where it does not end
            return self._child(environ, start_response)
        start_response("200 OK", [])
        return [b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]

    def _stream(self, environ, start_response):
        start_response("200 OK", [])
        yield b"first "
        yield from self._fork(environ, lambda *_: None)


def returns(_environ, start_response):
    start_response("200 OK", [])
    return [b"I am the child"]


def exits(_environ, _start_response):
    sys.exit()


def exits_with_3(_environ, _start_response):
    sys.exit(3)


def exits_with_words(_environ, _start_response):
    sys.exit("that was it")


def raises(_environ, _start_response):
    raise ZeroDivisionError("in the child")


def writes(_environ, start_response):
    start_response("200 OK", [])(b"I am the child")
    return []


CHILDREN = {
    "returns": (returns, b"0", "came back"),
    "exits": (exits, b"0", ""),
    "exits with 3": (exits_with_3, b"3", ""),
    "exits with words": (exits_with_words, b"1", "that was it"),
    "raises": (raises, b"1", "ZeroDivisionError: in the child"),
    "writes": (writes, b"1", "RuntimeError"),
}


@pytest.mark.parametrize("how", CHILDREN)
def test_a_child_of_the_app_that_comes_back_from_it_ends_and_answers_nobody(threads, how):
    child, status, words = CHILDREN[how]
    with serving(Parent(child), threads=threads) as worker:
        with worker.connect() as client:
            client.get("/fork", close=True)
            assert client.response().body == status
            assert client.is_at_its_end()
        assert worker.ask().body == b"fine"
        worker.end()
        assert words in worker.said
        assert worker.said == "" or words


@pytest.mark.parametrize("how", ["returns", "exits with 3", "raises"])
def test_a_child_that_a_stream_has_forked_ends_too(threads, how):
    child, status, words = CHILDREN[how]
    with serving(Parent(child, late=True), threads=threads) as worker:
        with worker.connect() as client:
            client.get("/fork", close=True)
            assert client.response().body == b"first " + status
            assert client.is_at_its_end()
        assert worker.ask().body == b"fine"
        worker.end()
        assert words in worker.said


def test_a_child_that_is_forked_in_close_ends_too(threads):
    class Body(list):
        def close(self):
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)
            else:
                signal.alarm(10)

    def app(_environ, start_response):
        start_response("200 OK", [])
        return Body([b"hello"])

    with serving(app, threads=threads) as worker:
        with worker.connect() as client:
            client.get(close=True)
            assert client.response().body == b"hello"
            assert client.is_at_its_end()
        worker.eventually(lambda: worker.row.open == 0)
        assert worker.row.requests == 1


# ### Failures


class Odd(Exception):  # noqa: N818  # it is none
    def __str__(self):
        raise SystemExit(3)


def misplaced():
    return SyntaxError("m", ("f", 1, "x", "text"))  # its column is no number


@pytest.mark.parametrize("error", [misplaced, Odd])
def test_an_exception_that_cannot_be_written_down_ends_one_request_only(threads, error):
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/bad":
            raise error()
        start_response("200 OK", [])
        return [b"fine"]

    with serving(app, threads=threads) as worker:
        assert worker.ask(b"GET /bad HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").code == 500
        assert worker.ask().body == b"fine"
        worker.end()
        assert error().__class__.__name__ in worker.said


def test_an_app_that_fails_where_there_is_no_descriptor_to_say_so_ends_one_request_only(threads):
    def forgetful():
        for name in ("traceback", "linecache", "tokenize", "textwrap", "contextlib"):
            sys.modules.pop(name, None)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/fail":
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            raise ZeroDivisionError
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        start_response("200 OK", [])
        return [b"fine"]

    with serving(app, threads=threads, prepare=forgetful) as worker, worker.connect() as other:
        other.get("/")
        assert other.response().code == 200
        with worker.connect() as client:
            client.get("/fail")
            assert client.response().code == 500
        other.get("/")
        assert other.response().body == b"fine"
        worker.end()
        assert "ZeroDivisionError (no traceback can be written: " in worker.said


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["400", "100", "500"],
)
def test_a_word_of_ours_for_which_there_is_no_room_ends_one_connection_only(threads, request_):
    """The kernel does not take it, memory is used up, and there is no descriptor for a file."""

    def full():
        from spyglass_systemd.backends.wsgi.outlet import Outlet

        def put(self, data):
            if data[9:12] in (b"100", b"400", b"500"):
                raise OSError(24, "Too many open files")
            real(self, data)

        real, Outlet.put = Outlet.put, put

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/fail":
            raise ZeroDivisionError
        start_response("200 OK", [])
        return [b"fine"]

    with serving(app, threads=threads, prepare=full) as worker:
        with worker.connect() as client, contextlib.suppress(ConnectionResetError):
            client.send(request_)
            assert client.is_at_its_end()
        assert worker.ask().body == b"fine"
