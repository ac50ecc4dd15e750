"""The rules of RFC 9110 and 9112 that a server must keep, as a table: bytes in, answers out. Knows no server.

A row is a rule, its section, what is sent, the answers, and what becomes of the connection. An answer is a status code,
or what `echo` says of a request that came to the app: its method and target, ` host=` where that is not a.example,
` a=` where there is a field A, and its body behind a `|`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

OPEN, CLOSED, WAITS = "open", "closed", "waits"  # for the next request; by the server; for the rest of this one
LINE_LIMIT, HEAD_LIMIT, FIELDS = 1024, 4096, 20  # with which the table is served


class Rule(NamedTuple):
    """One row. `sent` is whole: behind it the next request may follow."""

    name: str
    section: str
    sent: bytes
    answers: tuple[Any, ...]
    end: str


HOST = b"Host: a.example\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def taken(name: str, section: str, sent: bytes, *answers: Any, end: str = OPEN) -> Rule:
    """A request, or several, that come to the app."""
    return Rule(name, section, sent, answers, end)


def refused(name: str, section: str, sent: bytes, code: int = 400) -> Rule:
    """Bytes that are answered by the server, once, and end the connection."""
    return Rule(name, section, sent, (code,), CLOSED)


def line(text: bytes) -> bytes:
    """A request with this request line."""
    return text + b"\r\n" + HOST + b"\r\n"


def field(text: bytes) -> bytes:
    """A request with this field."""
    return GET + text + b"\r\n\r\n"


def host(text: bytes) -> bytes:
    """A request with this Host."""
    return b"GET / HTTP/1.1\r\nHost:" + text + b"\r\n\r\n"


def chunks(text: bytes) -> bytes:
    """A request with this chunked body."""
    return CHUNKED + text


MESSAGES = [  # RFC 9112, section 2
    taken("a request", "9112 2.1", line(b"GET /x?y=z HTTP/1.1"), "GET /x?y=z"),
    taken("an empty line before a request is ignored", "9112 2.2", b"\r\n" + GET + b"\r\n", "GET /"),
    taken("two empty lines before a request are ignored", "9112 2.2", b"\r\n\r\n" + GET + b"\r\n", "GET /"),
    refused("a LF alone before a request is none", "9112 2.2", b"\n" + GET + b"\r\n"),
    refused("a CR alone before a request is none", "9112 2.2", b"\r" + GET + b"\r\n"),
    refused("a LF alone ends no request line", "9112 2.2", b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
    refused("a LF alone ends no field", "9112 2.2", GET + b"A: b\nB: c\r\n\r\n"),
    refused("a LF alone ends no head", "9112 2.2", b"GET / HTTP/1.1\nHost: a.example\n\n"),
    refused("a head does not end in CRLF LF", "9112 2.2", GET + b"A: b\r\n\n"),
    refused("a head does not end in LF CRLF", "9112 2.2", GET + b"A: b\n\r\n"),
    refused("a CR alone is in no value", "9112 2.2", field(b"A: b\rc")),
    refused("a CR alone begins no field", "9112 2.2", field(b"A: b\rTransfer-Encoding: chunked")),
    refused("a CR alone is in no name", "9112 2.2", field(b"A\rB: c")),
    refused("a CR alone is in no request line", "9112 2.2", line(b"GET /a\rb HTTP/1.1")),
    refused("two CR before a LF are one too many", "9112 2.2", field(b"A: b\r")),
    refused("white space before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n"),
    refused("a tab before the first field", "9112 2.2", b"GET / HTTP/1.1\r\n\tHost: a.example\r\n\r\n"),
    refused("a TLS handshake", "9112 2.2", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    refused("HTTP/0.9", "9112 2.3", b"GET /\r\n\r\n"),
    refused("HTTP/0.9 by its number", "9112 2.3", line(b"GET / HTTP/0.9"), 505),
    refused("HTTP/2 by its preface", "9113 3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    refused("HTTP/2 by its number", "9110 2.5", line(b"GET / HTTP/2.0"), 505),
    refused("HTTP/3 by its number", "9110 2.5", line(b"GET / HTTP/3.0"), 505),
    refused("HTTP/1.2 may mean anything", "9110 2.5", line(b"GET / HTTP/1.2"), 505),
    refused("a version in small letters", "9112 2.3", line(b"GET / http/1.1")),
    refused("a version of three digits", "9112 2.3", line(b"GET / HTTP/1.10")),
    refused("a version of four digits", "9112 2.3", line(b"GET / HTTP/11.11")),
    refused("a version without a dot", "9112 2.3", line(b"GET / HTTP/11")),
    refused("a version without a minor", "9112 2.3", line(b"GET / HTTP/1.")),
    refused("a version without its name", "9112 2.3", line(b"GET / 1.1")),
    refused("another protocol", "9112 2.3", line(b"GET / RTSP/1.0")),
    refused("another protocol of four letters", "9112 2.3", line(b"GET / HTTQ/1.1")),
    refused("white space in a version", "9112 2.3", line(b"GET / HTTP/ 1.1")),
]
REQUEST_LINES = [  # RFC 9112, section 3
    refused("two spaces before the target", "9112 3", line(b"GET  / HTTP/1.1")),
    refused("two spaces before the version", "9112 3", line(b"GET /  HTTP/1.1")),
    refused("a space behind the version", "9112 3", line(b"GET / HTTP/1.1 ")),
    refused("a space before the method", "9112 3", line(b" GET / HTTP/1.1")),
    refused("tabs for spaces", "9112 3", line(b"GET\t/\tHTTP/1.1")),
    refused("a space in the target", "9112 3.2", line(b"GET /a b HTTP/1.1")),
    refused("a tab in the target", "9112 3.2", line(b"GET /a\tb HTTP/1.1")),
    refused("a NUL in the target", "9112 3.2", line(b"GET /a\0b HTTP/1.1")),
    refused("a control character in the target", "9112 3.2", line(b"GET /a\x01b HTTP/1.1")),
    refused("a DEL in the target", "9112 3.2", line(b"GET /a\x7fb HTTP/1.1")),
    refused("no target", "9112 3", line(b"GET  HTTP/1.1")),
    refused("no method", "9112 3", line(b"/ HTTP/1.1")),
    refused("only a method", "9112 3", line(b"GET")),
    refused("a method that is no token", "9112 3.1", line(b"GE(T / HTTP/1.1")),
    refused("a method of obs-text", "9112 3.1", line(b"G\xc9T / HTTP/1.1")),
    refused("a method is written in capitals", "9110 9.1", line(b"get / HTTP/1.1"), 501),
    refused("a method half in capitals", "9110 9.1", line(b"Get / HTTP/1.1"), 501),
    refused("a method nobody knows", "9110 9.1", line(b"FROB / HTTP/1.1"), 501),
    refused("a method with more behind it", "9110 9.1", line(b"GETX / HTTP/1.1"), 501),
    taken("a method of WebDAV is the app's", "9110 9.1", line(b"PROPFIND / HTTP/1.1"), "PROPFIND /"),
    taken("a method with a hyphen is the app's", "9110 9.1", line(b"M-SEARCH / HTTP/1.1"), "M-SEARCH /"),
    taken("PUT is the app's", "9110 9.3.4", line(b"PUT / HTTP/1.1"), "PUT /"),
    taken("PATCH is the app's", "5789 2", line(b"PATCH / HTTP/1.1"), "PATCH /"),
    taken("DELETE is the app's", "9110 9.3.5", line(b"DELETE / HTTP/1.1"), "DELETE /"),
    taken("TRACE is the app's", "9110 9.3.8", line(b"TRACE / HTTP/1.1"), "TRACE /"),
    taken("HEAD is the app's", "9110 9.3.2", line(b"HEAD / HTTP/1.1"), "HEAD /"),
    refused("CONNECT is a proxy's", "9110 9.3.6", b"CONNECT a.example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    refused("CONNECT without a port is nobody's", "9112 3.2.3", line(b"CONNECT / HTTP/1.1"), 501),
    refused("a request line too long", "9112 3", line(b"GET /" + b"x" * LINE_LIMIT + b" HTTP/1.1"), 414),
    taken("a long request line", "9112 3", line(b"GET /" + b"x" * 900 + b" HTTP/1.1"), "GET /" + "x" * 900),
]
TARGETS = [  # RFC 9112, sections 3.2 and 3.3
    taken("a path of escapes", "9110 4.2", line(b"GET /%41%2F%c3%a9 HTTP/1.1"), "GET /A/%C3%A9"),
    taken("what is no escape stays", "3986 2.1", line(b"GET /%zz%4 HTTP/1.1"), "GET /%25zz%254"),
    taken("an escaped NUL is the app's to refuse", "3986 2.1", line(b"GET /%00 HTTP/1.1"), "GET /%00"),
    taken("escaped CRLF end nothing", "3986 2.1", line(b"GET /%0d%0aA:%20b HTTP/1.1"), "GET /%0D%0AA%3A%20b"),
    taken("bytes of UTF-8 in a path, as curl sends them", "9112 3.2", line(b"GET /\xc3\xa9 HTTP/1.1"), "GET /%C3%A9"),
    taken("two slashes are a path, no host", "9112 3.2.1", line(b"GET //b/c HTTP/1.1"), "GET //b/c"),
    taken("dots are the app's", "9112 3.2.1", line(b"GET /../a/./b HTTP/1.1"), "GET /../a/./b"),
    taken("escaped dots are the app's", "9112 3.2.1", line(b"GET /%2e%2e/a HTTP/1.1"), "GET /../a"),
    taken("a query is not decoded", "9112 3.2.1", line(b"GET /?%41+b HTTP/1.1"), "GET /?%41+b"),
    taken("a query has a question mark", "3986 3.4", line(b"GET /?a?b HTTP/1.1"), "GET /?a?b"),
    taken("an empty query", "3986 3.4", line(b"GET /a? HTTP/1.1"), "GET /a"),
    refused("a fragment", "9112 3.2", line(b"GET /a#b HTTP/1.1")),
    refused("a path without a slash", "9112 3.2.1", line(b"GET a/b HTTP/1.1")),
    refused("only a query", "9112 3.2.1", line(b"GET ?a HTTP/1.1")),
    refused("a backslash", "9112 3.2.1", line(b"GET \\a HTTP/1.1")),
    taken("the absolute form", "9112 3.2.2", line(b"GET http://b.example/x?y HTTP/1.1"), "GET /x?y host=b.example"),
    taken(
        "the host of the absolute form counts, not Host",
        "9112 3.2.2",
        line(b"GET http://b.example:81/ HTTP/1.1"),
        "GET / host=b.example:81",
    ),
    taken(
        "the absolute form in capitals", "3986 3.1", line(b"GET HTTP://b.example/x HTTP/1.1"), "GET /x host=b.example"
    ),
    taken(
        "the absolute form without a path", "9112 3.2.2", line(b"GET http://b.example HTTP/1.1"), "GET / host=b.example"
    ),
    taken(
        "the absolute form with only a query",
        "9112 3.2.2",
        line(b"GET http://b.example?y HTTP/1.1"),
        "GET /?y host=b.example",
    ),
    taken(
        "the absolute form with a host of IPv6",
        "9112 3.2.2",
        line(b"GET http://[::1]:8/ HTTP/1.1"),
        "GET / host=[::1]:8",
    ),
    refused("the absolute form without a host", "9110 4.2.1", line(b"GET http:///x HTTP/1.1")),
    refused("the absolute form with a user", "9110 4.2.4", line(b"GET http://u@b.example/ HTTP/1.1")),
    refused("the absolute form with a password", "9110 4.2.4", line(b"GET http://u:p@b.example/ HTTP/1.1")),
    refused("the absolute form with a bad port", "9112 3.2.2", line(b"GET http://b.example:x/ HTTP/1.1")),
    refused("the absolute form of another scheme", "9112 3.2.2", line(b"GET ftp://b.example/ HTTP/1.1")),
    refused("the absolute form of a scheme that is no web's", "9112 3.2.2", line(b"GET file:///etc/passwd HTTP/1.1")),
    refused("the absolute form without a Host", "9112 3.2.2", b"GET http://b.example/ HTTP/1.1\r\n\r\n"),
    refused("the authority form of GET", "9112 3.2.3", line(b"GET a.example:80 HTTP/1.1")),
    taken("the asterisk form", "9112 3.2.4", line(b"OPTIONS * HTTP/1.1"), "OPTIONS *"),
    refused("the asterisk form of GET", "9112 3.2.4", line(b"GET * HTTP/1.1")),
    refused("the asterisk form with more", "9112 3.2.4", line(b"OPTIONS *a HTTP/1.1")),
    refused("the asterisk form with a query", "9112 3.2.4", line(b"OPTIONS *?a HTTP/1.1")),
]
HOSTS = [  # RFC 9112, section 3.2; RFC 9110, section 7.2
    refused("no Host", "9112 3.2", b"GET / HTTP/1.1\r\n\r\n"),
    refused("no Host beside other fields", "9112 3.2", b"GET / HTTP/1.1\r\nA: b\r\n\r\n"),
    refused("two Hosts", "9112 3.2", GET + b"Host: b.example\r\n\r\n"),
    refused("two Hosts that are the same", "9112 3.2", GET + HOST + b"\r\n"),
    refused("two Hosts, one empty", "9112 3.2", b"GET / HTTP/1.1\r\nHost:\r\n" + HOST + b"\r\n"),
    taken("a Host may be empty", "9110 7.2", host(b""), "GET / host="),
    taken("with a port", "9110 7.2", host(b" a.example:8080"), "GET / host=a.example:8080"),
    taken("with an empty port", "3986 3.2.3", host(b" a.example:"), "GET / host=a.example:"),
    taken("of IPv4", "9110 7.2", host(b" 127.0.0.1"), "GET / host=127.0.0.1"),
    taken("of IPv6", "9110 7.2", host(b" [2001:db8::1]:80"), "GET / host=[2001:db8::1]:80"),
    taken("with an underscore, as containers have it", "3986 3.2.2", host(b" my_app"), "GET / host=my_app"),
    refused("with a path", "9112 3.2", host(b" a.example/b")),
    refused("with a query", "9112 3.2", host(b" a.example?b")),
    refused("with a fragment", "9112 3.2", host(b" a.example#b")),
    refused("with a user", "9112 3.2", host(b" u@a.example")),
    refused("with a scheme", "9112 3.2", host(b" http://a.example")),
    refused("with a space", "9112 3.2", host(b" a.example b.example")),
    refused("with a tab", "9112 3.2", host(b" a.example\tb.example")),
    refused("with a comma and another", "9112 3.2", host(b" a.example, b.example")),
    refused("with obs-text", "9112 3.2", host(b" \xe9.example")),
    refused("with a quote", "9112 3.2", host(b' a"b')),
    refused("with an angle bracket", "9112 3.2", host(b" a<b>")),
    refused("with a backslash", "9112 3.2", host(b" a\\b")),
    refused("with two ports", "9112 3.2", host(b" a.example:80:81")),
    refused("with a port of letters", "9112 3.2", host(b" a.example:b")),
    refused("with a port below zero", "9112 3.2", host(b" a.example:-1")),
    refused("with a port too long", "9112 3.2", host(b" a.example:123456")),
    refused("of nothing but a port", "9112 3.2", host(b" :80")),
    refused("of half a bracket", "9112 3.2", host(b" [::1")),
    refused("of the other half", "9112 3.2", host(b" ::1]")),
    refused("with more behind a bracket", "9112 3.2", host(b" [::1]a")),
    refused("HTTP/1.0 with a bad one", "9112 3.2", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"),
    taken("HTTP/1.0 without one", "9112 3.2", b"GET / HTTP/1.0\r\n\r\n", "GET / host=", end=CLOSED),
]
FIELDS_OF_HEADS = [  # RFC 9112, section 5; RFC 9110, section 5
    taken("white space around a value", "9112 5", field(b"A: \t b c \t"), "GET / a=b c"),
    taken("none before a value", "9112 5", field(b"A:b"), "GET / a=b"),
    taken("an empty value", "9112 5", field(b"A:"), "GET / a="),
    taken("a value of white space", "9112 5", field(b"A: \t "), "GET / a="),
    taken("a colon in a value", "9112 5", field(b"A: b:c"), "GET / a=b:c"),
    taken("a quoted value", "9110 5.6.4", field(b'A: "b, \\"c"'), 'GET / a="b, \\"c"'),
    taken("a name in any case", "9110 5.1", b"GET / HTTP/1.1\r\nhOST: a.example\r\na: b\r\n\r\n", "GET / a=b"),
    taken("a name of every kind of character", "9110 5.6.2", field(b"!#$%&'*+-.^`|~09azAZ: b\r\nA: c"), "GET / a=c"),
    taken("a field that comes twice", "9110 5.3", field(b"A: b\r\nA: c"), "GET / a=b,c"),
    taken("obs-text in a value", "9110 5.5", field(b"A: \xe9\xff"), "GET / a=\xe9\xff"),
    taken("a tab in a value", "9110 5.5", field(b"A: b\tc"), "GET / a=b\tc"),
    refused("a space before the colon", "9112 5.1", field(b"A : b")),
    refused("a tab before the colon", "9112 5.1", field(b"A\t: b")),
    refused(
        "a space before the colon of Transfer-Encoding",
        "9112 5.1",
        POST + b"Transfer-Encoding : chunked\r\n\r\n" + LAST,
    ),
    refused("a space before the colon of Content-Length", "9112 5.1", POST + b"Content-Length : 5\r\n\r\nhello"),
    refused("a field that goes on in the next line", "9112 5.2", field(b"A: b\r\n c")),
    refused("a field that goes on behind a tab", "9112 5.2", field(b"A: b\r\n\tc")),
    refused("a field that goes on and looks like another", "9112 5.2", field(b"A: b\r\n Transfer-Encoding: chunked")),
    refused("a Host that goes on", "9112 5.2", b"GET / HTTP/1.1\r\nHost: a.\r\n example\r\n\r\n"),
    refused("an empty line that goes on", "9112 5.2", GET + b" \r\n\r\n"),
    refused("a field without a colon", "9112 5", field(b"A")),
    refused("a field without a name", "9112 5", field(b": b")),
    refused("a space in a name", "9110 5.6.2", field(b"A B: c")),
    refused("a bracket in a name", "9110 5.6.2", field(b"A(: b")),
    refused("a slash in a name", "9110 5.6.2", field(b"A/B: c")),
    refused("a quote in a name", "9110 5.6.2", field(b'A": b')),
    refused("an at sign in a name", "9110 5.6.2", field(b"A@: b")),
    refused("obs-text in a name", "9110 5.6.2", field(b"\xe9: b")),
    refused("a NUL in a name", "9110 5.6.2", field(b"A\0: b")),
    refused("a DEL in a name", "9110 5.6.2", field(b"A\x7f: b")),
    refused("a NUL in a value", "9110 5.5", field(b"A: b\0c")),
    refused("a control character in a value", "9110 5.5", field(b"A: b\x01c")),
    refused("a form feed in a value", "9110 5.5", field(b"A: b\x0cc")),
    refused("an escape in a value", "9110 5.5", field(b"A: \x1b[2J")),
    refused("a DEL in a value", "9110 5.5", field(b"A: b\x7fc")),
    refused("a field too long", "9110 5.4", field(b"A: " + b"x" * LINE_LIMIT), 431),
    refused("a name too long", "9110 5.4", field(b"A" * LINE_LIMIT + b": b"), 431),
    refused("a head too long", "9110 5.4", field(b"\r\n".join([b"B: " + b"x" * 900] * 5)), 431),
    refused("too many fields", "9110 5.4", field(b"\r\n".join([b"B: c"] * (FIELDS + 1))), 431),
    taken(
        "as many as there may be",
        "9110 5.4",
        field(b"\r\n".join([b"A: c"] * (FIELDS - 1))),
        "GET / a=" + ",".join(["c"] * (FIELDS - 1)),
    ),
]
TE = b"Transfer-Encoding: "
CL = b"Content-Length: "
LENGTHS = [  # RFC 9112, section 6
    taken("without a length there is no body", "9112 6.3", POST + b"\r\n", "POST /"),
    taken("a length", "9112 6.2", POST + CL + b"5\r\n\r\nhello", "POST /|hello"),
    taken("a length of nothing", "9112 6.2", POST + CL + b"0\r\n\r\n", "POST /"),
    taken("zeros before a length", "9110 8.6", POST + CL + b"0005\r\n\r\nhello", "POST /|hello"),
    taken("GET may have a body", "9110 9.3.1", GET + CL + b"5\r\n\r\nhello", "GET /|hello"),
    taken(
        "a body may look like a request",
        "9112 6.3",
        POST + CL + b"%d\r\n\r\n" % len(GET) + GET,
        f"POST /|{GET.decode()}",
    ),
    taken("a body that has not come is waited for", "9112 6.3", POST + CL + b"6\r\n\r\nhello", end=WAITS),
    refused("a length of nothing written", "9112 6.3", POST + CL + b"\r\n\r\n"),
    refused("a length below zero", "9112 6.3", POST + CL + b"-5\r\n\r\nhello"),
    refused("a length with a sign", "9112 6.3", POST + CL + b"+5\r\n\r\nhello"),
    refused("a length with a point", "9112 6.3", POST + CL + b"5.0\r\n\r\nhello"),
    refused("a length in hex", "9112 6.3", POST + CL + b"0x5\r\n\r\nhello"),
    refused("a length with an underscore", "9112 6.3", POST + CL + b"1_0\r\n\r\nhellohello"),
    refused("a length with a space in it", "9112 6.3", POST + CL + b"5 5\r\n\r\nhello"),
    refused("a length in letters", "9112 6.3", POST + CL + b"five\r\n\r\nhello"),
    refused("a length of other digits", "9112 6.3", POST + CL + b"\xb2\r\n\r\nhe"),
    refused("a length with a semicolon", "9112 6.3", POST + CL + b"5;a\r\n\r\nhello"),
    refused("a length that is larger than all", "9110 8.6", POST + CL + b"9" * 19 + b"\r\n\r\n", 413),
    refused("a length that overflows", "9110 8.6", POST + CL + b"18446744073709551621\r\n\r\nhello"),
    refused("a length of a thousand digits", "9110 8.6", POST + CL + b"0" * 1000 + b"5\r\n\r\nhello", 413),
    refused("two lengths", "9112 6.3", POST + CL + b"5\r\n" + CL + b"6\r\n\r\nhello!"),
    refused("two lengths that are the same", "9112 6.3", POST + CL + b"5\r\n" + CL + b"5\r\n\r\nhello"),
    refused("two lengths, one of nothing", "9112 6.3", POST + CL + b"\r\n" + CL + b"5\r\n\r\nhello"),
    refused("a list of lengths", "9112 6.3", POST + CL + b"5, 6\r\n\r\nhello!"),
    refused("a list of lengths that are the same", "9112 6.3", POST + CL + b"5, 5\r\n\r\nhello"),
    refused("a list with nothing in it", "9112 6.3", POST + CL + b"5,\r\n\r\nhello"),
    taken("chunked", "9112 6.1", CHUNKED + b"5\r\nhello\r\n" + LAST, "POST /|hello"),
    taken(
        "chunked in any case",
        "9110 5.6.2",
        POST + b"transfer-encoding: ChUnKeD\r\n\r\n5\r\nhello\r\n" + LAST,
        "POST /|hello",
    ),
    refused("chunked beside a length", "9112 6.3", POST + CL + b"5\r\n" + TE + b"chunked\r\n\r\n" + LAST),
    refused("chunked before a length", "9112 6.3", POST + TE + b"chunked\r\n" + CL + b"5\r\n\r\n" + LAST),
    refused("chunked beside a length of nothing", "9112 6.3", POST + CL + b"0\r\n" + TE + b"chunked\r\n\r\n" + LAST),
    refused("chunked in HTTP/1.0", "9112 6.1", b"POST / HTTP/1.0\r\n" + HOST + TE + b"chunked\r\n\r\n" + LAST),
    refused("chunked twice", "9112 6.1", POST + TE + b"chunked, chunked\r\n\r\n" + LAST),
    refused("chunked twice, in two fields", "9112 6.1", POST + TE + b"chunked\r\n" + TE + b"chunked\r\n\r\n" + LAST),
    refused("chunked not last", "9112 6.3", POST + TE + b"chunked, gzip\r\n\r\n" + LAST),
    refused(
        "chunked not last, in two fields", "9112 6.3", POST + TE + b"chunked\r\n" + TE + b"identity\r\n\r\n" + LAST
    ),
    refused("chunked with nothing behind it", "9112 6.1", POST + TE + b"chunked,\r\n\r\n" + LAST),
    refused("chunked with nothing before it", "9112 6.1", POST + TE + b", chunked\r\n\r\n" + LAST),
    refused("chunked behind another coding", "9112 6.1", POST + TE + b"gzip, chunked\r\n\r\n" + LAST, 501),
    refused("chunked behind another field", "9112 6.1", POST + TE + b"gzip\r\n" + TE + b"chunked\r\n\r\n" + LAST, 501),
    refused("another coding", "9112 6.1", POST + TE + b"gzip\r\n\r\n" + LAST),
    refused("identity, which is none any more", "9112 6.1", POST + TE + b"identity\r\n\r\n" + LAST),
    refused("a coding of nothing", "9112 6.1", POST + TE + b"\r\n\r\n" + LAST),
    refused("something like chunked", "9112 6.1", POST + TE + b"xchunked\r\n\r\n" + LAST),
    refused("chunked with something behind it", "9112 6.1", POST + TE + b"chunkedx\r\n\r\n" + LAST),
    refused("chunked with a parameter", "9112 6.1", POST + TE + b"chunked;a=b\r\n\r\n" + LAST),
    refused("chunked in quotes", "9112 6.1", POST + TE + b'"chunked"\r\n\r\n' + LAST),
    refused("chunked behind a vertical tab", "9112 6.1", POST + TE + b"\x0bchunked\r\n\r\n" + LAST),
    refused("chunked before a NUL", "9112 6.1", POST + TE + b"chunked\0\r\n\r\n" + LAST),
    refused("chunked with a LF in it", "9112 6.1", POST + TE + b"\nchunked\r\n\r\n" + LAST),
]
CHUNKS = [  # RFC 9112, section 7.1
    taken("chunks", "9112 7.1", chunks(b"5\r\nhello\r\n6\r\n, dear\r\n" + LAST), "POST /|hello, dear"),
    taken("no chunk but the last", "9112 7.1", chunks(LAST), "POST /"),
    taken(
        "a size in hex of either case",
        "9112 7.1",
        chunks(b"a\r\n0123456789\r\nB\r\n0123456789a\r\n" + LAST),
        "POST /|01234567890123456789a",
    ),
    taken("zeros before a size", "9112 7.1", chunks(b"0005\r\nhello\r\n000\r\n\r\n"), "POST /|hello"),
    taken("an extension", "9112 7.1.1", chunks(b"5;a=b\r\nhello\r\n" + LAST), "POST /|hello"),
    taken("extensions, one in quotes", "9112 7.1.1", chunks(b'5;a;b="c;d"\r\nhello\r\n0;e\r\n\r\n'), "POST /|hello"),
    taken("trailers are dropped", "9112 7.1.2", chunks(b"5\r\nhello\r\n0\r\nA: b\r\nB: c\r\n\r\n"), "POST /|hello"),
    taken(
        "trailers that must not be there are dropped",
        "9110 6.5.1",
        chunks(b"0\r\nHost: b\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"),
        "POST /",
    ),
    taken("CRLF in a chunk is data", "9112 7.1", chunks(b"5\r\n\r\n0\r\n\r\n" + LAST), "POST /|\r\n0\r\n"),
    taken("a chunk that has not come is waited for", "9112 7.1", chunks(b"6\r\nhello"), end=WAITS),
    taken("a last chunk that has not come is waited for", "9112 7.1", chunks(b"5\r\nhello\r\n"), end=WAITS),
    taken("the end of trailers is waited for", "9112 7.1", chunks(b"0\r\nA: b\r\n"), end=WAITS),
    refused("a chunk without a size", "9112 7.1", chunks(b"\r\nhello\r\n" + LAST)),
    refused("a size with 0x", "9112 7.1", chunks(b"0x5\r\nhello\r\n" + LAST)),
    refused("a size with a sign", "9112 7.1", chunks(b"+5\r\nhello\r\n" + LAST)),
    refused("a size below zero", "9112 7.1", chunks(b"-5\r\nhello\r\n" + LAST)),
    refused("a size below zero that is zero", "9112 7.1", chunks(b"-0\r\n\r\n")),
    refused("a size with an underscore", "9112 7.1", chunks(b"1_0\r\n0123456789abcdef\r\n" + LAST)),
    refused("a size of other letters", "9112 7.1", chunks(b"5g\r\nhello\r\n" + LAST)),
    refused("a space before a size", "9112 7.1", chunks(b" 5\r\nhello\r\n" + LAST)),
    refused("a space behind a size", "9112 7.1", chunks(b"5 \r\nhello\r\n" + LAST)),
    refused("a tab behind a size", "9112 7.1", chunks(b"5\t\r\nhello\r\n" + LAST)),
    refused("a space before an extension", "9112 7.1.1", chunks(b"5 ;a=b\r\nhello\r\n" + LAST)),
    refused("a NUL behind a size", "9112 7.1", chunks(b"5\0\r\nhello\r\n" + LAST)),
    refused("a size that overflows 64 bits", "9112 7.1", chunks(b"10000000000000005\r\nhello\r\n" + LAST)),
    refused("a size that overflows 128 bits", "9112 7.1", chunks(b"f" * 40 + b"\r\nhello\r\n" + LAST)),
    refused("a size that is almost all there is", "9112 7.1", chunks(b"f" * 16 + b"\r\nhello\r\n" + LAST)),
    refused("a size that ends in LF", "9112 7.1", chunks(b"5\nhello\r\n" + LAST)),
    refused("a size that ends in CR", "9112 7.1", chunks(b"5\rhello\r\n" + LAST)),
    refused("a chunk that ends in LF", "9112 7.1", chunks(b"5\r\nhello\n" + LAST)),
    refused("a chunk that ends in CR and more", "9112 7.1", chunks(b"5\r\nhello\rx" + LAST)),
    refused("a chunk that does not end", "9112 7.1", chunks(b"5\r\nhello" + LAST)),
    refused("a chunk longer than its size", "9112 7.1", chunks(b"4\r\nhello\r\n" + LAST)),
    refused("a chunk shorter than its size", "9112 7.1", chunks(b"6\r\nhello\r\n" + LAST + b"\r\n")),
    refused("a CR in an extension", "9112 7.1.1", chunks(b"5;a\rb\r\nhello\r\n" + LAST)),
    refused("a LF in an extension", "9112 7.1.1", chunks(b"5;a\nhello\r\n" + LAST)),
    refused("a NUL in an extension", "9112 7.1.1", chunks(b"5;a\0b\r\nhello\r\n" + LAST)),
    refused("an extension without an end", "9112 7.1.1", chunks(b"5;" + b"x" * 5000)),
    refused("extensions in place of a body", "9112 7.1.1", chunks((b"1;" + b"x" * 1000 + b"\r\na\r\n") * 6)),
    refused("a last chunk that ends in LF", "9112 7.1", chunks(b"0\n\r\n")),
    refused("trailers that end in LF", "9112 7.1.2", chunks(b"0\r\n\n")),
    refused("a trailer that ends in LF", "9112 7.1.2", chunks(b"0\r\nA: b\n\r\n")),
    refused("a NUL in a trailer", "9112 7.1.2", chunks(b"0\r\nA: \0\r\n\r\n")),
    refused("a trailer without a colon", "9112 7.1.2", chunks(b"0\r\nA\r\n\r\n")),
    refused("a space before the colon of a trailer", "9112 7.1.2", chunks(b"0\r\nA : b\r\n\r\n")),
    refused("a trailer that goes on in the next line", "9112 7.1.2", chunks(b"0\r\nA: b\r\n c\r\n\r\n")),
    refused("trailers without an end", "9110 6.5", chunks(b"0\r\n" + b"A: 0123456789\r\n" * 400), 431),
]
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
CONNECTIONS = [  # RFC 9112, section 9; RFC 9110, sections 7.6 and 7.8
    taken("HTTP/1.1 stays", "9112 9.3", GET + b"\r\n" + NEXT, "GET /", "GET /next"),
    taken("HTTP/1.1 goes when it says so", "9112 9.6", GET + b"Connection: close\r\n\r\n", "GET /", end=CLOSED),
    taken("close in any case", "9110 7.6.1", GET + b"Connection: CLOSE\r\n\r\n", "GET /", end=CLOSED),
    taken("close among other options", "9110 7.6.1", GET + b"Connection: a,close , b\r\n\r\n", "GET /", end=CLOSED),
    taken(
        "close in a second field",
        "9110 7.6.1",
        GET + b"Connection: a\r\nConnection: close\r\n\r\n",
        "GET /",
        end=CLOSED,
    ),
    taken("an option that looks like close", "9110 7.6.1", GET + b"Connection: closed\r\n\r\n", "GET /"),
    taken(
        "what follows the last request is not read",
        "9112 9.6",
        GET + b"Connection: close\r\n\r\n" + NEXT,
        "GET /",
        end=CLOSED,
    ),
    taken("HTTP/1.0 goes", "9112 9.3", b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", "GET /", end=CLOSED),
    taken(
        "HTTP/1.0 stays when it says so",
        "9112 C.2.2",
        b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
        "GET /",
    ),
    taken(
        "keep-alive in any case",
        "9112 C.2.2",
        b"GET / HTTP/1.0\r\n" + HOST + b"Connection: Keep-Alive\r\n\r\n",
        "GET /",
    ),
    taken(
        "HTTP/1.0 goes when it says both",
        "9112 9.3",
        b"GET / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive, close\r\n\r\n",
        "GET /",
        end=CLOSED,
    ),
    taken(
        "a body of HTTP/1.0",
        "9112 9.3",
        b"POST / HTTP/1.0\r\n" + HOST + CL + b"5\r\n\r\nhello",
        "POST /|hello",
        end=CLOSED,
    ),
    taken(
        "requests in one breath are answered in order",
        "9112 9.3.2",
        line(b"GET /1 HTTP/1.1")
        + POST
        + CL
        + b"5\r\n\r\nhello"
        + CHUNKED
        + b"2\r\nhi\r\n"
        + LAST
        + line(b"HEAD /4 HTTP/1.1")
        + NEXT,
        "GET /1",
        "POST /|hello",
        "POST /|hi",
        "HEAD /4",
        "GET /next",
    ),
    Rule(
        "a refusal comes behind the answers before it",
        "9112 9.3.2",
        line(b"GET /1 HTTP/1.1") + line(b"GET /2 HTTP/1.1") + b"GET / HTTP/1.1\r\n\r\n" + NEXT,
        ("GET /1", "GET /2", 400),
        CLOSED,
    ),
    taken("an empty line between requests", "9112 2.2", GET + b"\r\n\r\n" + NEXT, "GET /", "GET /next"),
    taken(
        "an offer of h2c is not taken",
        "9110 7.8",
        GET
        + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        + NEXT,
        "GET /",
        "GET /next",
    ),
    taken(
        "an offer of h2c with a body is not taken",
        "9110 7.8",
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + CL + b"5\r\n\r\nhello" + NEXT,
        "POST /|hello",
        "GET /next",
    ),
    taken(
        "an offer of TLS is not taken",
        "9110 7.8",
        GET + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n" + NEXT,
        "GET /",
        "GET /next",
    ),
    taken(
        "an offer that Connection does not name is not taken",
        "9110 7.8",
        GET + b"Upgrade: websocket\r\n\r\n" + NEXT,
        "GET /",
        "GET /next",
    ),
    taken(
        "the preface of HTTP/2 behind an offer is no request",
        "9113 3.4",
        GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /",
        505,
        end=CLOSED,
    ),
]
UPGRADES = [  # where the app does not speak it
    taken(
        "an offer of a WebSocket is not taken",
        "9110 7.8",
        GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + NEXT,
        "GET /",
        "GET /next",
    ),
]
EXPECTATIONS = [  # RFC 9110, section 10.1.1
    taken(
        "100-continue, and the body waits",
        "9110 10.1.1",
        POST + b"Expect: 100-continue\r\n" + CL + b"5\r\n\r\n",
        100,
        end=WAITS,
    ),
    taken(
        "100-continue in any case",
        "9110 10.1.1",
        POST + b"Expect: 100-CONTINUE\r\n" + CL + b"5\r\n\r\n",
        100,
        end=WAITS,
    ),
    taken(
        "100-continue before chunks",
        "9110 10.1.1",
        POST + b"Expect: 100-continue\r\n" + TE + b"chunked\r\n\r\n",
        100,
        end=WAITS,
    ),
    taken("without a body there is nothing to wait for", "9110 10.1.1", GET + b"Expect: 100-continue\r\n\r\n", "GET /"),
    taken(
        "HTTP/1.0 expects nothing",
        "9110 10.1.1",
        b"POST / HTTP/1.0\r\n" + HOST + b"Expect: 100-continue\r\n" + CL + b"5\r\n\r\nhello",
        "POST /|hello",
        end=CLOSED,
    ),
    refused("another expectation", "9110 10.1.1", GET + b"Expect: cake\r\n\r\n", 417),
    refused(
        "another beside 100-continue", "9110 10.1.1", POST + b"Expect: 100-continue, cake\r\n" + CL + b"5\r\n\r\n", 417
    ),
]
GROUPS = {
    "message": MESSAGES,
    "request line": REQUEST_LINES,
    "target": TARGETS,
    "Host": HOSTS,
    "field": FIELDS_OF_HEADS,
    "length": LENGTHS,
    "chunk": CHUNKS,
    "connection": CONNECTIONS,
    "upgrade": UPGRADES,
    "Expect": EXPECTATIONS,
}
RULES = [rule._replace(name=f"{group}: {rule.name}") for group, rules in GROUPS.items() for rule in rules]

HEAD = b"HEAD / HTTP/1.1\r\n" + HOST
# RFC 9110, section 9.3.2: what answers a HEAD has no body, whoever answers. Their refusals do not fit into the rows
# above, where an answer is as long as it says.
REFUSED_HEADS = [
    refused("a head that is no good", "9110 9.3.2", HEAD + b"A : b\r\n\r\n"),
    refused("no Host", "9110 9.3.2", b"HEAD / HTTP/1.1\r\n\r\n"),
    refused("no Host that is one", "9110 9.3.2", b"HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    refused("an empty line before it", "9110 9.3.2", b"\r\nHEAD / HTTP/1.1\r\n\r\n"),
    refused("another expectation", "9110 9.3.2", HEAD + b"Expect: cake\r\n\r\n", 417),
    refused("another version", "9110 9.3.2", line(b"HEAD / HTTP/2.0"), 505),
    refused("a target that is too long", "9110 9.3.2", line(b"HEAD /" + b"a" * LINE_LIMIT + b" HTTP/1.1"), 414),
    refused("a field that is too long", "9110 9.3.2", HEAD + b"A: " + b"a" * LINE_LIMIT + b"\r\n\r\n", 431),
    refused("too many fields", "9110 9.3.2", HEAD + b"A: b\r\n" * FIELDS + b"\r\n", 431),
    refused("a body that is none", "9110 9.3.2", HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n"),
]
