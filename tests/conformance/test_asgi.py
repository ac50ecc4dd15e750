"""What uvicorn, in our ASGI worker, makes of the table: the same as ours, or listed; and what an app may not say."""

from __future__ import annotations

import itertools

import pytest
import uvicorn
from asgi_talk import Counter, echo
from differences import BEGIN, END, PAGE, SERVERS, listed, outcome
from http_rules import CLOSED, RULES
from hypothesis import given, settings
from streams import mutated, ours
from talk import answers

from spyglass_systemd.backends.wsgi.target import unquote


class Recorder:
    """An ASGI app that remembers its requests, as streams.told tells them."""

    def __init__(self):
        self.requests = []

    async def __call__(self, scope, receive, send):
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        query = scope["query_string"].decode("latin-1")
        path = unquote(scope["raw_path"].decode("latin-1"))  # its bytes; uvicorn reads them as UTF-8
        self.requests.append((scope["method"], path + ("?" + query if query else ""), body.decode("latin-1")))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


BY_NAME = {rule.name: rule for rule in RULES}
LISTED = PAGE.read_text().partition(BEGIN)[2].partition(END)[0].strip().splitlines()


def test_every_difference_is_listed_and_every_listed_one_is_there():
    found = listed().strip().splitlines()
    missing, vanished = set(found) - set(LISTED), set(LISTED) - set(found)
    hint = "\n".join(["to be listed:", *sorted(missing), "no longer so:", *sorted(vanished)])
    assert found == LISTED, f"run tests/conformance/differences.py and read what it changes\n{hint}"


@pytest.mark.parametrize("turns", range(10))
@pytest.mark.parametrize("server", SERVERS)
def test_what_was_forgotten_is_not_taken_up_in_the_middle(server, turns):
    """What was sent ahead had no room: a body that goes on where its head was forgotten is no request."""
    traps = [b"GET /trap HTTP/1.1\r\nHost: a.example\r\n\r\n" * 20] * 10
    ahead = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n" * 3
    ahead += b"POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % (10 * len(traps[0]))
    recorder = Recorder()
    for before in range(3):
        pieces = [ahead + b"".join(traps[:before]), *traps[before:]]
        answers, _ = Counter(recorder, server, room=700, body_limit=None).talk(pieces, turns=turns)
        assert b" 400 " not in answers
    assert {target for _, target, _ in recorder.requests} <= {"/", "/up"}


def test_the_list_names_the_version_it_was_made_with():
    assert f"uvicorn {uvicorn.__version__}" in PAGE.read_text()


@pytest.mark.parametrize("server", SERVERS)
def test_it_is_the_same_byte_by_byte(server):
    other = [
        rule.name
        for rule in RULES
        if not any(f"| {rule.name} |" in line for line in LISTED) and outcome(server, rule.sent, 1) != rule[3:]
    ]
    assert other == []


@pytest.mark.parametrize("server", SERVERS)
def test_changed_a_little_it_is_divided_as_the_wsgi_worker_divides_it_or_refused(server):
    @given(mutated())
    @settings(max_examples=150)
    def check(data):
        mine, closed = ours(data)
        app = Recorder()
        _, end = Counter(app, server, line_limit=8192, header_limit=65536, header_count=100).talk([data])
        for here, there in itertools.zip_longest(mine, app.requests):
            if here is None or there is None:
                assert closed if here is None else end == CLOSED, (data, here, there)
                break
            assert here == there, data

    check()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (200, [(b"location", b"/\r\nset-cookie: a=b")]),
        (200, [(b"location", b"/\nset-cookie: a=b")]),
        (200, [(b"location", b"/\0")]),
        (200, [(b"a\r\nset-cookie", b"b")]),
        (1000, []),
        ("200 OK\r\nset-cookie: a=b", []),
    ],
)
def test_a_head_that_would_split_a_response_is_a_500(server, status, fields):
    async def app(_scope, receive, send):
        assert await receive()
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": b"x"})

    data, _ = Counter(app, server).talk([b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"])
    (answer,) = answers(data)
    assert answer.code == 500
    assert b"set-cookie" not in data


TWICE = [b"GET /%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % n for n in range(2)]
CHUNKED = (b"transfer-encoding", b"chunked")


def saying(status, fields, *pieces):
    """An app that says this once, and then that all is well."""
    said = iter([(status, fields, pieces)])

    async def app(_scope, _receive, send):
        code, headers, bodies = next(said, (200, [(b"content-length", b"4")], (b"fine",)))
        await send({"type": "http.response.start", "status": code, "headers": headers})
        for body in bodies:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("status", "fields", "pieces", "body"),
    [
        (304, [(b"content-length", b"3")], [b"abc"], b""),
        (304, [(b"content-length", b"3")], [], b""),
        (304, [], [b"abc"], b""),
        (304, [CHUNKED], [b"abc"], b""),
        (204, [(b"content-length", b"3")], [b"abc"], b""),
        (204, [(b"content-length", b"0")], [], b""),
        (204, [CHUNKED], [b"abc"], b""),
        (200, [(b"content-length", b"3"), CHUNKED], [b"abc"], b"abc"),
        (200, [CHUNKED, (b"Content-Length", b"3")], [b"abc"], b"abc"),
        (200, [CHUNKED], [b"a", b"bc"], b"abc"),
        (200, [(b"Transfer-Encoding", b"Chunked")], [b"a", b"", b"bc"], b"abc"),
        (200, [(b"transfer-encoding", b"gzip, chunked")], [b"abc"], b"abc"),
        (200, [(b"transfer-encoding", b"identity")], [b"abc"], b"abc"),
        (200, [CHUNKED, CHUNKED], [b"abc"], b"abc"),
        (200, [(b"content-length", b"3"), (b"content-length", b"3")], [b"a", b"bc"], b"abc"),
        (200, [(b"content-length", b"3"), (b"content-length", b"4")], [b"abc"], None),
        (200, [(b"content-length", b"+3")], [b"abc"], None),
        (200, [(b"content-length", b"3, 3")], [b"abc"], b"abc"),
        (101, [], [b"abc"], None),
        (103, [(b"content-length", b"3")], [b"abc"], None),
    ],
)
def test_what_an_app_says_never_moves_the_border_between_answers(server, status, fields, pieces, body):
    """A 500, or a break, in place of what cannot be sent; never something that is read as the next answer."""
    data, _ = Counter(saying(status, fields, *pieces), server).talk(TWICE)
    first, *others = answers(data)
    if first.code == status:
        assert body is not None
        assert first.body == body
        if server == "httptools":  # h11 leaves it
            assert (status == 204) <= (b"content-length" not in first.fields)
    else:
        assert first.code == 500
    assert [other.body for other in others] in ([], [b"fine"])
    if server == "httptools" and body is not None and fields != [(b"content-length", b"3, 3")]:
        assert first.code == status
        assert others


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("field", [[], [CHUNKED]])
def test_http_1_0_is_answered_without_chunks_up_to_the_end_of_the_connection(server, field):
    data, end = Counter(saying(200, field, b"abc", b"def"), server).talk([b"GET / HTTP/1.0\r\n\r\n"])
    (answer,) = answers(data)
    assert b"transfer-encoding" not in answer.fields
    assert (answer.body, end) == (b"abcdef", CLOSED)


HEAD = b"HEAD / HTTP/1.1\r\n"


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("code", "pieces"),
    [
        (400, [HEAD + b"Host: a b\r\n\r\n"]),
        (400, [b"\r\n" + HEAD + b"Host: a b\r\n\r\n"]),
        (400, [HEAD[:3], HEAD[3:] + b"Host: a b\r\n\r\n"]),
        (417, [HEAD + b"Host: a\r\nExpect: x\r\n\r\n"]),
        (431, [HEAD + b"A: " + b"x" * 9000]),
        (400, [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HEAD + b"\r\n"]),
        (505, [b"HEAD / HTTP/1.7\r\n\r\n"]),
    ],
)
def test_the_refusal_of_a_head_request_has_no_body(server, code, pieces):
    data, end = Counter(echo, server, line_limit=8192, header_limit=65536).talk(pieces)
    last = data[data.rindex(b"HTTP/1.1 ") :]
    assert last.startswith(b"HTTP/1.1 %d " % code)
    assert last.endswith(b"\r\n\r\n")
    assert end == CLOSED


@pytest.mark.parametrize("server", SERVERS)
def test_fields_that_can_be_read_only_once_are_sent(server):
    async def app(_scope, _receive, send):
        fields = iter([(b"content-length", b"1"), (b"a", b"b")])
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": b"x"})

    data, _ = Counter(app, server).talk([b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"])
    (answer,) = answers(data)
    assert (answer.fields[b"a"], answer.body) == (b"b", b"x")


@pytest.mark.parametrize("server", SERVERS)
def test_a_trailer_is_no_header(server):
    """Whoever looked at the head has not seen it: a proxy, or our own filter of X-Forwarded-For."""
    head = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
    seen = []

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        seen.extend(scope["headers"])
        await echo(scope, receive, send)

    for pieces in ([head + b"0\r\nX-Real-IP: 6.6.6.6\r\n\r\n"], [head, b"0\r\nX-Real-IP: 6.6.6.6\r\n\r\n"]):
        Counter(app, server).talk(pieces)
    assert seen
    assert b"x-real-ip" not in dict(seen)
