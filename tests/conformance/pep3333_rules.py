"""The rules of PEP 3333 that a server must keep, as a table: an app, a request, the bytes that come of it.

A row is a rule, the section of the PEP, the app, what is sent, what is said, and what becomes of the connection.
"""

from __future__ import annotations

import io
import sys
import tempfile
from typing import Any, NamedTuple

from http_rules import CLOSED, OPEN
from talk import DATE

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nab\ncd\nefghi"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nab\ncd\n\r\n5\r\nefghi\r\n0\r\n\r\n"
FAILED = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 26\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n" + DATE + b"\r\n500 Internal Server Error\n"
)


class Rule(NamedTuple):
    name: str
    section: str
    app: Any
    sent: bytes
    said: bytes
    end: str


def says(body, *fields, status=b"200 OK", end=b""):
    """A whole response: its fields, Date behind them, then what becomes of the connection."""
    return b"HTTP/1.1 %b\r\n%b%b%b\r\n%b" % (status, b"".join(f + b"\r\n" for f in fields), DATE, end, body)


def length(count):
    return b"Content-Length: %d" % count


CHUNKS = b"Transfer-Encoding: chunked"
CLOSE = b"Connection: close\r\n"


def gives(body, *headers, status="200 OK"):
    """An app that calls start_response once and returns `body()`."""

    def app(_environ, start_response):
        start_response(status, list(headers))
        return body()

    return app


class Body:
    """Yields what it is given, raises an exception among it; all that were made are in `made`, with their closes."""

    made: list[Body] = []  # noqa: RUF012

    def __init__(self, *things, on_close=None, on_iter=None):
        self.things, self.closed, self.on_close, self.on_iter = iter(things), 0, on_close, on_iter
        self.made.append(self)

    def __iter__(self):
        if self.on_iter:
            raise self.on_iter
        return self

    def __next__(self):
        thing = next(self.things)
        if isinstance(thing, BaseException):
            raise thing
        return thing

    def close(self):
        self.closed += 1
        if self.on_close:
            raise self.on_close


def caught(error):
    try:
        raise error
    except type(error):
        return sys.exc_info()


def twice(_environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"x"]


def again(_environ, start_response):
    start_response("200 OK", [("Content-Length", "9"), ("A", "b")])
    start_response("503 Sorry", [("B", "c")], caught(KeyError("mine")))
    return [b"sorry"]


def again_without_a_first(_environ, start_response):
    start_response("503 Sorry", [], caught(KeyError("mine")))
    return [b"sorry"]


def too_late(_environ, start_response):
    start_response("200 OK", [])(b"x")
    start_response("500 Oops", [], caught(KeyError("mine")))
    return [b"never"]


def too_late_in_an_iterable(_environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"x"
    start_response("500 Oops", [], caught(KeyError("mine")))
    yield b"never"


def late(_environ, start_response):
    start_response("201 Created", [])
    yield b"x"


def later(_environ, start_response):
    yield b""
    start_response("201 Created", [])
    yield b"x"


def latest(_environ, start_response):
    yield b"x"
    start_response("201 Created", [])


def writes(_environ, start_response):
    write = start_response("200 OK", [])
    write(b"he")
    write(b"")
    write(b"llo")
    return [b"!"]


def writes_text(_environ, start_response):
    start_response("200 OK", [])("text")
    return []


def writes_more_than_it_said(_environ, start_response):
    write = start_response("200 OK", [("Content-Length", "3")])
    write(b"hello")
    write(b"more")
    return [b"!"]


def raises(_environ, _start_response):
    raise ZeroDivisionError


def exits(_environ, _start_response):
    sys.exit(3)


def raises_behind_start_response(_environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    raise ZeroDivisionError


def reads(how):
    """An app that says what it read."""

    def app(environ, start_response):
        start_response("200 OK", [])
        return [repr(how(environ["wsgi.input"])).encode()]

    return app


def wraps(body):
    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](body(), 3)

    return app


def on_disk():
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the server closes it
    file.write(b"..hello")
    file.seek(2)
    return file


def rule(name, section, app, sent, said, end=OPEN):  # noqa: PLR0917  # a row
    return Rule(name, section, app, sent, said, end)


def fails(name, section, app, sent=GET):
    return Rule(name, section, app, sent, FAILED, CLOSED)


START = [
    rule("start_response is called before the first chunk", "start_response", late, GET,
         says(b"1\r\nx\r\n0\r\n\r\n", CHUNKS, status=b"201 Created")),
    rule("an empty chunk does not begin the response", "Details", later, GET,
         says(b"1\r\nx\r\n0\r\n\r\n", CHUNKS, status=b"201 Created")),
    fails("a chunk before start_response", "Details", latest),
    fails("no start_response", "Details", lambda _e, _s: [b"x"]),
    fails("no start_response and nothing else", "Details", lambda _e, _s: []),
    fails("start_response twice", "start_response", twice),
    rule("twice with exc_info replaces the head", "start_response", again, GET,
         says(b"sorry", b"B: c", length(5), status=b"503 Sorry")),
    rule("exc_info the first time", "start_response", again_without_a_first, GET,
         says(b"sorry", length(5), status=b"503 Sorry")),
    rule("exc_info behind the head raises, and the response breaks off", "start_response", too_late, GET,
         says(b"1\r\nx\r\n", CHUNKS), CLOSED),
    rule("so it does in an iterable", "start_response", too_late_in_an_iterable, GET,
         says(b"x", length(9)), CLOSED),
    fails("a status of bytes", "start_response", gives(lambda: [b"x"], status=b"200 OK")),
    fails("a status that is a number", "start_response", gives(lambda: [b"x"], status=200)),
    fails("a status of two digits", "start_response", gives(lambda: [b"x"], status="20 OK")),
    fails("a status of four digits", "start_response", gives(lambda: [b"x"], status="2000 OK")),
    fails("a status of letters", "start_response", gives(lambda: [b"x"], status="OK")),
    fails("a status beyond 599", "start_response", gives(lambda: [b"x"], status="600 What")),
    fails("a status that is not final", "Other HTTP", gives(lambda: [b"x"], status="100 Continue")),
    fails("a status that switches protocols", "Other HTTP", gives(list, status="101 Switching Protocols")),
    fails("a status with CRLF", "start_response", gives(lambda: [b"x"], status="200 OK\r\nSet-Cookie: a=b")),
    fails("a status with LF", "start_response", gives(lambda: [b"x"], status="200 OK\nSet-Cookie: a=b")),
    fails("a status with NUL", "start_response", gives(lambda: [b"x"], status="200 O\0K")),
    fails("a status beyond latin-1", "Unicode", gives(lambda: [b"x"], status="200 \u20ac")),
    rule("a status without a reason", "start_response", gives(lambda: [b"x"], status="200"), GET,
         says(b"x", length(1), status=b"200 ")),
    rule("a status of latin-1", "Unicode", gives(lambda: [b"x"], status="200 \xe9"), GET,
         says(b"x", length(1), status=b"200 \xe9")),
]  # fmt: skip
HEADERS = [
    rule("fields go out as they are", "start_response", gives(list, ("x-A", "b c"), ("x-A", "d")), GET,
         says(b"", b"x-A: b c", b"x-A: d", length(0))),
    rule("a value of latin-1", "Unicode", gives(list, ("A", "\xe9")), GET, says(b"", b"A: \xe9", length(0))),
    rule("a Date of the app's is the only one", "Other HTTP", gives(list, ("Date", DATE[6:-2].decode())), GET,
         b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Length: 0\r\n\r\n"),
    fails("CRLF in a value", "start_response", gives(list, ("A", "b\r\nSet-Cookie: c=d"))),
    fails("LF in a value", "start_response", gives(list, ("A", "b\nc: d"))),
    fails("CR in a value", "start_response", gives(list, ("A", "b\rc"))),
    fails("NUL in a value", "start_response", gives(list, ("A", "b\0c"))),
    fails("CRLF in a name", "start_response", gives(list, ("A: b\r\nC", "d"))),
    fails("a colon in a name", "start_response", gives(list, ("A:", "b"))),
    fails("a space in a name", "start_response", gives(list, ("A B", "c"))),
    fails("an empty name", "start_response", gives(list, ("", "b"))),
    fails("a name of bytes", "start_response", gives(list, (b"A", "b"))),
    fails("a value of bytes", "start_response", gives(list, ("A", b"b"))),
    fails("a value that is a number", "start_response", gives(list, ("Content-Length", 5))),
    fails("a value beyond latin-1", "Unicode", gives(list, ("A", "\u20ac"))),
    fails("a field of three", "start_response", gives(list, ("A", "b", "c"))),
    fails("no fields at all", "start_response", lambda _e, start: start("200 OK", None) and []),
    *(rule(f"{name} is the server's", "Other HTTP", gives(lambda: [b"x"], (name, value)), GET, says(b"x", length(1)))
      for name, value in (("Connection", "keep-alive"), ("Connection", "upgrade"), ("Keep-Alive", "timeout=5"),
                          ("Transfer-Encoding", "chunked"), ("transfer-encoding", "gzip"), ("TE", "trailers"),
                          ("Trailer", "A"), ("Upgrade", "h2c"), ("Proxy-Connection", "close"))),
    rule("Connection: close is heard", "Other HTTP", gives(lambda: [b"x"], ("Connection", "close")), GET,
         says(b"x", length(1), end=CLOSE), CLOSED),
]  # fmt: skip
LENGTHS = [
    rule("a list has a length", "Content-Length", gives(lambda: [b"he", b"", b"llo"]), GET, says(b"hello", length(5))),
    rule("an iterable has chunks", "Content-Length", gives(lambda: Body(b"he", b"", b"llo")), GET,
         says(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", CHUNKS)),
    rule("an iterable of nothing has a length", "Content-Length", gives(lambda: Body(b"")), GET, says(b"", length(0))),
    rule("the app's length is kept", "Content-Length", gives(lambda: Body(b"he", b"llo"), ("Content-Length", "5")), GET,
         says(b"hello", length(5))),
    rule("more than it says is cut", "Content-Length", gives(lambda: [b"hello", b"all"], ("Content-Length", "5")), GET,
         says(b"hello", length(5))),
    rule("more, chunk by chunk", "Content-Length",
         gives(lambda: Body(b"hel", b"lo, a", b"ll"), ("Content-Length", "5")), GET, says(b"hello", length(5))),
    rule("more, that looks like a response", "Content-Length",
         gives(lambda: Body(b"x", says(b"evil", length(4))), ("Content-Length", "1")), GET, says(b"x", length(1))),
    rule("more, by write", "The write", writes_more_than_it_said, GET, says(b"hel", length(3))),
    fails("less than it says, in a list", "Content-Length", gives(lambda: [b"hell"], ("Content-Length", "5"))),
    fails("nothing where it says something", "Content-Length", gives(Body, ("Content-Length", "5"))),
    rule("less than it says ends the connection", "Content-Length",
         gives(lambda: Body(b"hell"), ("Content-Length", "5")), GET, says(b"hell", length(5)), CLOSED),
    fails("a length that is no number", "Content-Length", gives(lambda: [b"x"], ("Content-Length", "one"))),
    fails("a length below zero", "Content-Length", gives(lambda: [b"x"], ("Content-Length", "-1"))),
    fails("a length with white space", "Content-Length", gives(lambda: [b"x"], ("Content-Length", " 1"))),
    fails("an empty length", "Content-Length", gives(lambda: [b"x"], ("Content-Length", ""))),
    fails("two lengths", "Content-Length", gives(lambda: [b"x"], ("Content-Length", "1"), ("content-length", "2"))),
    rule("HEAD has the fields of GET and no body", "Content-Length", gives(lambda: [b"hello"]), HEAD,
         says(b"", length(5))),
    rule("HEAD of an iterable", "Content-Length", gives(lambda: Body(b"he", b"llo")), HEAD, says(b"")),
    rule("204 has no body and no length", "Content-Length",
         gives(lambda: [b"hello"], ("Content-Length", "5"), status="204 No Content"), GET,
         says(b"", status=b"204 No Content")),
    rule("304 has no body and may have a length", "Content-Length",
         gives(lambda: Body(b"hello"), ("Content-Length", "5"), status="304 Not Modified"), GET,
         says(b"", length(5), status=b"304 Not Modified")),
    rule("HTTP/1.0 has no chunks: the end of the connection ends the body", "Content-Length",
         gives(lambda: Body(b"he", b"llo")), OLD, says(b"hello", end=CLOSE), CLOSED),
]  # fmt: skip
STREAMS = [
    rule("write sends before what is returned", "The write", writes, GET,
         says(b"2\r\nhe\r\n3\r\nllo\r\n1\r\n!\r\n0\r\n\r\n", CHUNKS)),
    fails("write of text", "The write", writes_text),
    fails("a chunk of text", "Details", gives(lambda: Body("text"))),
    fails("a list of text", "Details", gives(lambda: ["text"])),
    fails("text for a list", "Details", gives(lambda: "text")),
    fails("a chunk of numbers", "Details", gives(lambda: [1])),
    fails("nothing returned", "Details", gives(lambda: None)),
    rule("bytes in place of a list of bytes", "Details", gives(lambda: b"text"), GET,
         FAILED, CLOSED),
    rule("a chunk of text behind one of bytes breaks off", "Details", gives(lambda: Body(b"x", "text")), GET,
         says(b"1\r\nx\r\n", CHUNKS), CLOSED),
]  # fmt: skip
ERRORS = [
    fails("an app that raises", "Error Handling", raises),
    fails("an app that exits", "Error Handling", exits),
    fails("raises behind start_response", "Error Handling", raises_behind_start_response),
    fails("raises in __iter__", "Error Handling", gives(lambda: Body(on_iter=ZeroDivisionError()))),
    fails("raises at the first chunk", "Error Handling", gives(lambda: Body(ZeroDivisionError()))),
    fails("raises behind an empty chunk", "Error Handling", gives(lambda: Body(b"", ZeroDivisionError()))),
    fails("raises GeneratorExit", "Error Handling", gives(lambda: Body(GeneratorExit()))),
    rule("raises behind a chunk: no last chunk, and the end", "Error Handling",
         gives(lambda: Body(b"x", ZeroDivisionError())), GET, says(b"1\r\nx\r\n", CHUNKS), CLOSED),
    rule("raises within its length: the end", "Error Handling",
         gives(lambda: Body(b"x", ZeroDivisionError()), ("Content-Length", "5")), GET, says(b"x", length(5)), CLOSED),
    rule("raises behind its length: the end", "Error Handling",
         gives(lambda: Body(b"x", ZeroDivisionError()), ("Content-Length", "1")), GET, says(b"x", length(1)), CLOSED),
    rule("raises in close: the response stands", "Error Handling",
         gives(lambda: Body(b"x", on_close=ZeroDivisionError())), GET, says(b"1\r\nx\r\n0\r\n\r\n", CHUNKS)),
    rule("exits in close: the response stands", "Error Handling",
         gives(lambda: Body(b"x", on_close=SystemExit(1))), GET, says(b"1\r\nx\r\n0\r\n\r\n", CHUNKS)),
    rule("raises for HEAD", "Error Handling", raises, HEAD, FAILED[: FAILED.index(b"\r\n\r\n") + 4], CLOSED),
]  # fmt: skip


def read(name, how, expected):
    body = repr(expected).encode()
    return [
        rule(name, "Input and Error", reads(how), POST, says(body, length(len(body)))),
        rule(f"{name}, chunked", "Input and Error", reads(how), CHUNKED, says(body, length(len(body)))),
    ]


INPUT = [
    *read("read to the end", lambda f: f.read(), b"ab\ncd\nefghi"),
    *read("read of -1", lambda f: f.read(-1), b"ab\ncd\nefghi"),
    *read("read of some", lambda f: [f.read(4), f.read(4), f.read(4)], [b"ab\nc", b"d\nef", b"ghi"]),
    *read("read of 0", lambda f: [f.read(0), f.read(1)], [b"", b"a"]),
    *read("read of more than there is", lambda f: [f.read(100), f.read(100), f.read()], [b"ab\ncd\nefghi", b"", b""]),
    *read("readline", lambda f: [f.readline() for _ in range(4)], [b"ab\n", b"cd\n", b"efghi", b""]),
    *read("readline of some", lambda f: [f.readline(2), f.readline(5), f.readline(-1)], [b"ab", b"\n", b"cd\n"]),
    *read("readlines", lambda f: f.readlines(), [b"ab\n", b"cd\n", b"efghi"]),
    *read("readlines with a hint", lambda f: [f.readlines(1), f.readlines()], [[b"ab\n"], [b"cd\n", b"efghi"]]),
    *read("iteration", list, [b"ab\n", b"cd\n", b"efghi"]),
    *read("a line, then the rest", lambda f: [f.readline(), f.read(), f.readline(), list(f)],
          [b"ab\n", b"cd\nefghi", b"", []]),
    *read("what is not read is no request", lambda _: 0, 0),
    rule("without a body there is the end", "Input and Error",
         reads(lambda f: [f.read(), f.read(1), f.readline(), list(f)]), GET, says(b"[b'', b'', b'', []]", length(19))),
]  # fmt: skip
FILES = [
    rule("what only reads is read in blocks", "File Handling", wraps(lambda: io.BytesIO(b"hello")), GET,
         says(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", CHUNKS)),
    rule("HEAD of a file", "File Handling", wraps(on_disk), HEAD, says(b"", length(5))),
]  # fmt: skip
RULES = [*START, *HEADERS, *LENGTHS, *STREAMS, *ERRORS, *INPUT, *FILES]
