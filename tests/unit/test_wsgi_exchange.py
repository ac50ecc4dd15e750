"""PEP 3333 between an app and an outlet that only remembers."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import types
from wsgiref.validate import validator

import pytest

from spyglass_systemd.backends.wsgi.exchange import Exchange
from spyglass_systemd.backends.wsgi.files import FileWrapper
from spyglass_systemd.backends.wsgi.head import Request

DATE = b"Date: today\r\n"


class Memory:
    """An outlet that takes everything."""

    def __init__(self):
        self.puts, self.full, self.gone = [], False, False

    def put(self, data):
        assert data, "an empty send"
        self.puts.append(data)

    say = put

    def put_file(self, fd, offset, count):
        self.puts.append(os.pread(fd, count, offset))
        os.close(fd)

    @property
    def all(self):
        return b"".join(self.puts)


class Answer:
    """The response of `app` to one request, and what was said about it."""

    def __init__(self, app, method="GET", minor=1, *, keep=None, closing=False, full=False):
        self.told, self.blamed, self.chunks = [], [], 0
        self.outlet = Memory()
        self.outlet.full = full
        self.request = Request(method, "/", f"HTTP/1.{minor}", minor)
        if keep is not None:
            self.request.keep = keep
        service = types.SimpleNamespace(
            closing=closing,
            date=types.SimpleNamespace(line=lambda: DATE),
            progress=self.progress,
            wrote=self.progress,
            waits=lambda _: False,
            tell=self.told.append,
            blame=lambda _, error: self.blamed.append(error),
        )
        self.exchange = Exchange(service, app, environ(method), self.request, self.outlet)
        self.exchange.call()

    def progress(self, exchange):
        assert exchange is self.exchange
        self.chunks += 1
        return False

    @property
    def head(self):
        return self.outlet.all.partition(b"\r\n\r\n")[0].split(b"\r\n")

    @property
    def body(self):
        return self.outlet.all.partition(b"\r\n\r\n")[2]


def environ(method="GET"):
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "a",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def app_of(body, headers=(), status="200 OK"):
    def app(_environ, start_response):
        start_response(status, list(headers))
        return body

    return app


def caught(error):
    """What sys.exc_info() says in an `except`."""
    return type(error), error, error.__traceback__


class Iterable:
    """Yields what it is given, raises an exception that it is given, counts how often it is closed."""

    def __init__(self, *things, close=None):
        self.things, self.closed, self.error = iter(things), 0, close

    def __iter__(self):
        return self

    def __next__(self):
        thing = next(self.things)
        if isinstance(thing, BaseException):
            raise thing
        return thing

    def close(self):
        self.closed += 1
        if self.error:
            raise self.error


# ### Framing


@pytest.mark.parametrize("body", [[b"hello"], (b"hello",), [b"he", b"", b"llo"], [b"hello", b""]])
def test_a_list_has_a_length_and_goes_out_in_one(body):
    answer = Answer(app_of(body, [("A", "b")]))
    assert answer.outlet.puts == [b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\nDate: today\r\n\r\nhello"]
    assert (answer.exchange.done, answer.exchange.keep, answer.exchange.broken) == (True, True, False)
    assert (answer.exchange.sent, answer.exchange.code, answer.chunks) == (5, 200, 0)


def test_nothing_has_a_length_too():
    assert Answer(app_of([])).body == b""
    assert b"Content-Length: 0" in Answer(app_of([])).head
    assert b"Content-Length: 0" in Answer(app_of(iter([]))).head
    assert b"Content-Length: 0" in Answer(app_of(iter([b"", b""]))).head


def test_what_is_large_is_not_copied():
    large = bytes(100_000)
    assert Answer(app_of([large])).outlet.puts[1] is large
    puts = Answer(app_of(iter([large]))).outlet.puts
    assert puts[1] is large
    assert puts[2:] == [b"\r\n", b"0\r\n\r\n"]


def test_chunks_go_out_as_they_come():
    answer = Answer(app_of(iter([b"hello", b"", b"world!"])))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: today\r\n\r\n"
    assert answer.outlet.puts == [head + b"5\r\nhello\r\n", b"6\r\nworld!\r\n", b"0\r\n\r\n"]
    assert (answer.exchange.sent, answer.exchange.keep, answer.chunks) == (11, True, 2)


def test_the_head_waits_for_the_first_byte():
    seen = []

    def app(_environ, start_response):
        start_response("200 OK", [])
        seen.append(len(answer.outlet.puts) if answer else 0)
        yield b""
        seen.append(len(answer.outlet.puts) if answer else 0)
        yield b"x"

    answer = None
    answer = Answer(app)
    assert seen == [0, 0]


def test_http_1_0_gets_no_chunks():
    answer = Answer(app_of(iter([b"hello", b"world!"])), minor=0, keep=True)
    assert answer.outlet.puts == [b"HTTP/1.1 200 OK\r\nDate: today\r\nConnection: close\r\n\r\nhello", b"world!"]
    assert not answer.exchange.keep
    assert answer.exchange.endless


def test_http_1_0_may_stay_where_the_length_is_known():
    answer = Answer(app_of([b"hello"]), minor=0, keep=True)
    assert b"Connection: keep-alive" in answer.head
    assert answer.exchange.keep
    assert b"Connection: close" in Answer(app_of([b"hello"]), minor=0).head


def test_a_client_that_goes_is_told_that_we_heard():
    answer = Answer(app_of([b"hello"]), keep=False)
    assert b"Connection: close" in answer.head
    assert not answer.exchange.keep


def test_while_closing_every_answer_is_the_last():
    answer = Answer(app_of([b"hello"]), closing=True)
    assert b"Connection: close" in answer.head
    assert not answer.exchange.keep


def test_an_app_may_want_the_connection_closed():
    answer = Answer(app_of([b"hello"], [("Connection", "close")]))
    assert answer.head.count(b"Connection: close") == 1
    assert not answer.exchange.keep


def test_an_apps_date_is_the_only_one():
    assert [line for line in Answer(app_of([], [("date", "x")])).head if b"ate:" in line] == [b"date: x"]


@pytest.mark.parametrize("body", [[b"hello"], iter([b"he", b"llo"]), FileWrapper(io.BytesIO(b"hello"))])
def test_head_gets_the_fields_of_get_and_no_body(body):
    answer = Answer(app_of(body, [("Content-Length", "5")]), method="HEAD")
    assert answer.outlet.all == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: today\r\n\r\n"
    assert (answer.exchange.keep, answer.exchange.broken, answer.exchange.sent, answer.told) == (True, False, 0, [])


def test_head_claims_no_length_that_get_might_not_have():
    for body in ([], iter([]), iter([b"hello"])):
        head = Answer(app_of(body), method="HEAD").outlet.all
        assert head == b"HTTP/1.1 200 OK\r\nDate: today\r\n\r\n"
    assert b"Content-Length: 5" in Answer(app_of([b"hello"]), method="HEAD").head


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("body", [[b"hello"], iter([b"hello"]), []])
def test_a_status_without_a_body_has_none(status, body):
    answer = Answer(app_of(body, status=status))
    assert answer.outlet.all == f"HTTP/1.1 {status}\r\nDate: today\r\n\r\n".encode()
    assert answer.exchange.keep
    assert not answer.exchange.broken


# ### Content-Length that lies


@pytest.mark.parametrize("body", [[b"hello, all"], iter([b"hello, all"]), iter([b"hell", b"o, a", b"ll"])])
def test_more_than_promised_is_cut_and_told(body):
    answer = Answer(app_of(body, [("Content-Length", "5")]))
    assert answer.body == b"hello"
    assert answer.told
    assert answer.exchange.keep
    assert not answer.exchange.broken


def test_less_than_promised_breaks_the_connection_where_it_is_too_late():
    answer = Answer(app_of(iter([b"hell"]), [("Content-Length", "5")]))
    assert answer.body == b"hell"
    assert answer.exchange.broken
    assert "1 bytes less" in answer.told[0]


@pytest.mark.parametrize("body", [[b"hell"], [], iter([])])
def test_less_than_promised_is_an_error_where_it_is_not(body):
    answer = Answer(app_of(body, [("Content-Length", "5")]))
    assert answer.head[0] == b"HTTP/1.1 500 Internal Server Error"
    assert isinstance(answer.blamed[0], ValueError)
    assert answer.exchange.code == 500
    assert not answer.exchange.keep


# ### start_response and write


def test_write_sends_before_what_is_returned():
    def app(_environ, start_response):
        write = start_response("200 OK", [])
        write(b"hello")
        write(b"")
        write(b", ")
        return [b"world"]

    answer = Answer(app)
    assert answer.body == b"5\r\nhello\r\n2\r\n, \r\n5\r\nworld\r\n0\r\n\r\n"
    assert b"Transfer-Encoding: chunked" in answer.head
    assert answer.chunks == 3


def test_write_after_the_end_is_refused():
    kept = []

    def app(_environ, start_response):
        kept.append(start_response("200 OK", []))
        return [b"x"]

    answer = Answer(app)
    with pytest.raises(AssertionError, match="after the response was done"):
        kept[0](b"y")
    assert answer.body == b"x"


def test_write_to_a_client_that_is_gone_raises_and_is_nobodys_fault():
    seen = []

    def app(_environ, start_response):
        write = start_response("200 OK", [])
        write(b"x")
        answer.outlet.gone = True
        try:
            write(b"y")
        except BrokenPipeError as error:
            seen.append(error)
            raise

    answer = Answer.__new__(Answer)
    answer.__init__(app)
    assert len(seen) == 1
    assert answer.blamed == []
    assert answer.exchange.broken
    assert answer.exchange.done


def test_start_response_may_be_called_late():
    def app(_environ, start_response):
        start_response("201 Created", [])
        yield b"x"

    assert Answer(app).head[0] == b"HTTP/1.1 201 Created"


def test_start_response_twice_is_an_error():
    def app(_environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return [b"x"]

    answer = Answer(app)
    assert answer.exchange.code == 500
    assert isinstance(answer.blamed[0], AssertionError)


def test_start_response_twice_with_an_error_replaces_the_head():
    def app(_environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        start_response("503 Sorry", [("A", "b")], caught(KeyError("x")))
        return [b"sorry"]

    answer = Answer(app)
    assert answer.head[0] == b"HTTP/1.1 503 Sorry"
    assert answer.body == b"sorry"
    assert not answer.blamed


def test_start_response_with_an_error_that_comes_too_late_raises_it():
    def app(_environ, start_response):
        start_response("200 OK", [])(b"x")
        start_response("500 Oops", [], caught(KeyError("mine")))
        return []

    answer = Answer(app)
    assert isinstance(answer.blamed[0], KeyError)
    assert answer.exchange.broken
    assert not answer.body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("body", [[b"x"], iter([b"x"]), iter([]), []])
def test_without_start_response_there_is_no_response(body):
    answer = Answer(lambda _environ, _start_response: body)
    assert answer.exchange.code == 500
    assert answer.head[0] == b"HTTP/1.1 500 Internal Server Error"


@pytest.mark.parametrize("body", [["x"], iter(["x"]), [1], [b"x", "x"], iter([bytearray(b"x")]), None, 5])
def test_a_body_that_is_no_bytes_is_an_error(body):
    answer = Answer(app_of(body))
    assert isinstance(answer.blamed[0], TypeError)
    assert answer.exchange.code == 500


def test_a_500_says_nothing_of_the_app():
    def app(_environ, _start_response):
        raise ZeroDivisionError("my secret")

    answer = Answer(app)
    assert b"secret" not in answer.outlet.all
    assert answer.body == b"500 Internal Server Error\n"
    assert Answer(app, method="HEAD").body == b""


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_whatever_an_app_raises_ends_one_request_only(error):
    iterable = Iterable(error)
    answer = Answer(app_of(iterable))
    assert answer.exchange.code == 500
    assert iterable.closed == 1
    late = Iterable(b"x", error)
    answer = Answer(app_of(late))
    assert answer.blamed == [error]
    assert answer.exchange.broken
    assert late.closed == 1
    assert not answer.body.endswith(b"0\r\n\r\n")


# ### close


def test_close_is_called_once_when_all_is_said():
    iterable = Iterable(b"a", b"b")
    Answer(app_of(iterable))
    assert iterable.closed == 1


def test_an_error_in_close_is_told_and_the_response_stands():
    error = ValueError()
    answer = Answer(app_of(Iterable(b"a", close=error)))
    assert answer.blamed == [error]
    assert answer.body == b"1\r\na\r\n0\r\n\r\n"
    assert answer.exchange.keep
    assert not answer.exchange.broken


def test_a_list_with_a_close_is_closed():
    class Closable(list):
        closed = 0

        def close(self):
            self.closed += 1

    body = Closable([b"x"])
    Answer(app_of(body))
    assert body.closed == 1


def test_a_full_outlet_suspends_the_app():
    iterable = Iterable(b"a", b"b", b"c")
    answer = Answer(app_of(iterable), full=True)
    assert answer.chunks == 0
    assert not answer.exchange.done
    assert not iterable.closed
    answer.exchange.call()
    answer.outlet.full = False
    answer.exchange.call()
    assert answer.body == b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
    assert iterable.closed == 1


def test_an_exchange_nobody_wants_is_closed_where_it_stands():
    iterable = Iterable(b"a", b"b")
    answer = Answer(app_of(iterable), full=True)
    answer.exchange.close()
    assert iterable.closed == 1
    assert answer.exchange.done


# ### wsgi.file_wrapper


def test_a_file_is_sent_from_where_it_stands(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    file = (tmp_path / "x").open("rb")
    file.read(3)
    answer = Answer(app_of(FileWrapper(file)))
    assert answer.body == b"3456789"
    assert b"Content-Length: 7" in answer.head
    assert file.closed


def test_a_file_is_cut_at_its_content_length(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    answer = Answer(app_of(FileWrapper((tmp_path / "x").open("rb")), [("Content-Length", "4")]))
    assert answer.body == b"0123"
    assert answer.exchange.sent == 4


def test_a_file_shorter_than_its_content_length_is_an_error(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    answer = Answer(app_of(FileWrapper((tmp_path / "x").open("rb")), [("Content-Length", "11")]))
    assert answer.exchange.code == 500


def test_a_temporary_file_is_a_file():
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"hello")
        file.flush()
        file.seek(1)
        assert FileWrapper(file).stretch()[1:] == (1, 4)


def test_only_a_file_whose_bytes_are_those_of_its_descriptor_is_sent_by_the_kernel(tmp_path):
    with gzip.open(tmp_path / "x", "wb") as file:
        file.write(b"hello")
    answer = Answer(app_of(FileWrapper(gzip.GzipFile(tmp_path / "x"))))
    assert answer.body == b"5\r\nhello\r\n0\r\n\r\n"
    reader, writer = os.pipe()
    os.write(writer, b"hello")
    os.close(writer)
    assert Answer(app_of(FileWrapper(os.fdopen(reader, "rb")))).body == b"5\r\nhello\r\n0\r\n\r\n"
    assert Answer(app_of(FileWrapper(io.BytesIO(b"hello")))).body == b"5\r\nhello\r\n0\r\n\r\n"


def test_an_empty_file_is_an_empty_body(tmp_path):
    (tmp_path / "x").touch()
    answer = Answer(app_of(FileWrapper((tmp_path / "x").open("rb"))))
    assert b"Content-Length: 0" in answer.head
    assert answer.exchange.done


def test_a_file_that_does_not_say_how_large_it_is_is_read():
    answer = Answer(app_of(FileWrapper(open("/proc/version", "rb"))))  # noqa: PTH123, SIM115  # the server closes it
    assert b"Transfer-Encoding: chunked" in answer.head
    assert b"Linux" in answer.body
    assert answer.exchange.done


def test_a_wrapper_without_a_close_has_none():
    assert not hasattr(FileWrapper(types.SimpleNamespace(read=lambda _: b"")), "close")


# ### The validator of the standard library


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("body", [[b"hello"], [b"he", b"llo"], [], (b"x",)])
def test_the_validator_of_the_standard_library_agrees(method, body):
    answer = Answer(validator(app_of(body, [("Content-Type", "text/plain")])), method=method)
    assert answer.blamed == []
    assert answer.head[0] == b"HTTP/1.1 200 OK"
