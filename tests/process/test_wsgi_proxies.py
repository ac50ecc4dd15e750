"""The WSGI worker behind proxies: what their fields and PROXY headers do to an environ, and a client's do not."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest
from wsgi_worker import serving

from spyglass_systemd.backends.base import FINAL
from spyglass_systemd.backends.proxy import SIGNATURE
from spyglass_systemd.words.reports import Said

SPOOFED = b"""\
X-Forwarded-For: 127.0.0.1
X-Forwarded-Proto: https
X-Forwarded-Host: evil.example
X-Forwarded-Prefix: /evil
X-Forwarded-Port: 1
X-Forwarded-Ssl: on
X_Forwarded_For: 127.0.0.1
X-Real-IP: 127.0.0.1
Forwarded: for=127.0.0.1;host=evil.example
""".replace(b"\n", b"\r\n")
KEYS = (
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SCRIPT_NAME",
    "PATH_INFO",
    "SERVER_NAME",
    "SERVER_PORT",
    "HTTP_HOST",
    "wsgi.url_scheme",
)
ALL = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")
V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n"
V2 = SIGNATURE + b"\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(15) + b"\1\x12\x67\1\xbb"


def app(environ, start_response):
    told = {key: value for key, value in environ.items() if key in KEYS or "FORWARDED" in key or "REAL" in key}
    start_response("200 OK", [])
    return [json.dumps(told).encode()]


def ask(worker, fields=b"", before=b"", host=b"a.example"):
    """What the app sees of one request."""
    with worker.connect() as client:
        client.send(before + b"GET /x HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n" + fields + b"\r\n")
        response = client.response()
        assert response.code == 200
        return json.loads(response.body)


def claims(told):
    return {key: value for key, value in told.items() if key not in KEYS}


@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8", "unix")])
def test_what_an_untrusted_client_claims_never_reaches_the_app(proxies):
    with serving(app, trusted_proxies=proxies, trusted_fields=ALL) as worker:
        told = ask(worker, SPOOFED)
    assert claims(told) == {}
    assert told["REMOTE_ADDR"] == "127.0.0.1"
    assert told["REMOTE_PORT"].isdecimal()
    assert (told["HTTP_HOST"], told["wsgi.url_scheme"], told["SCRIPT_NAME"]) == ("a.example", "http", "")


def test_a_client_on_a_unix_socket_is_not_trusted_unless_unix_is():
    with serving(app, family=socket.AF_UNIX, trusted_proxies=("127.0.0.1",)) as worker:
        told = ask(worker, SPOOFED)
    assert claims(told) == {}
    assert told["REMOTE_ADDR"] == ""


@pytest.mark.parametrize(
    ("family", "proxy"), [(socket.AF_INET, "127.0.0.0/8"), (socket.AF_INET6, "::1"), (socket.AF_UNIX, "unix")]
)
def test_a_trusted_proxy_says_who_asks_for_what(family, proxy):
    fields = (
        b"X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b.example:8443\r\n"
    )
    with serving(app, family=family, trusted_proxies=(proxy,), trusted_fields=ALL, root_path="/mounted") as worker:
        told = ask(worker, fields + b"X-Forwarded-Prefix: /blog\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Port: 1\r\n")
    assert told == {
        "REMOTE_ADDR": "203.0.113.7",
        "SCRIPT_NAME": "/blog",
        "PATH_INFO": "/x",
        "SERVER_NAME": "b.example",
        "SERVER_PORT": "8443",
        "HTTP_HOST": "b.example:8443",
        "wsgi.url_scheme": "https",
        "HTTP_X_FORWARDED_FOR": "203.0.113.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "b.example:8443",
        "HTTP_X_FORWARDED_PREFIX": "/blog",
        "HTTP_X_REAL_IP": "203.0.113.7",
    }


def test_by_default_a_trusted_proxy_is_asked_for_client_and_scheme_only():
    with serving(app, trusted_proxies=("127.0.0.1",)) as worker:
        told = ask(worker, SPOOFED.replace(b"For: 127.0.0.1", b"For: 203.0.113.7", 1))
    assert claims(told) == {
        "HTTP_X_FORWARDED_FOR": "203.0.113.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_REAL_IP": "203.0.113.7",
    }
    assert (told["HTTP_HOST"], told["SERVER_NAME"], told["SERVER_PORT"]) == ("a.example", "a.example", "443")
    assert told["SCRIPT_NAME"] == ""


def test_a_trusted_proxy_may_speak_the_standard():
    with serving(app, trusted_proxies=("127.0.0.1",), trusted_fields=("forwarded",)) as worker:
        told = ask(
            worker, b'Forwarded: for="[2001:db8::7]:1";proto=https;host=b.example\r\nX-Forwarded-For: 6.6.6.6\r\n'
        )
    assert claims(told) == {"HTTP_X_FORWARDED_FOR": "2001:db8::7"}
    assert (told["REMOTE_ADDR"], told["HTTP_HOST"], told["wsgi.url_scheme"]) == ("2001:db8::7", "b.example", "https")


def test_a_proxy_that_says_nothing_asks_for_itself_and_one_that_hides_its_client_does_not():
    with serving(app, trusted_proxies=("127.0.0.1",)) as worker:
        assert ask(worker)["REMOTE_ADDR"] == "127.0.0.1"
        assert ask(worker, b"X-Forwarded-For: unknown\r\n")["REMOTE_ADDR"] == ""


def test_each_request_of_a_connection_has_its_own_client():
    with serving(app, trusted_proxies=("127.0.0.1",)) as worker, worker.connect() as client:
        for address in ("203.0.113.7", "203.0.113.8"):
            client.send(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\r\n".encode())
            assert json.loads(client.response().body)["REMOTE_ADDR"] == address
        client.get()
        assert json.loads(client.response().body)["REMOTE_ADDR"] == "127.0.0.1"


def test_the_access_log_knows_the_client():
    with serving(app, trusted_proxies=("127.0.0.1",), access_log=True) as worker:
        ask(worker, b"X-Forwarded-For: 203.0.113.7\r\n")
        worker.eventually(lambda: worker.logged)
        assert worker.logged.startswith("203.0.113.7 - - [")


# PROXY protocol


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_proxy_header_names_the_client(family, threads):
    with serving(app, family=family, proxy_protocol=True, threads=threads) as worker:
        first, second = ask(worker, SPOOFED, before=V1), ask(worker, before=V2)
    assert (first["REMOTE_ADDR"], first["REMOTE_PORT"], claims(first)) == ("203.0.113.7", "4711", {})
    assert (second["REMOTE_ADDR"], second["REMOTE_PORT"]) == ("2001:db8::7", "4711")


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\0\0\0"])
def test_a_proxy_that_speaks_for_itself_is_the_client(header):
    with serving(app, proxy_protocol=True) as worker:
        assert ask(worker, before=header)["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize("header", [V1, V2])
def test_a_header_that_comes_byte_by_byte_is_waited_for(header):
    with serving(app, proxy_protocol=True) as worker, worker.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(header)):
            client.send(header[at : at + 1])
        client.get()
        assert json.loads(client.response().body)["REMOTE_PORT"] == "4711"
        client.get(close=True)  # and it is said once a connection
        assert json.loads(client.response().body)["REMOTE_PORT"] == "4711"


@pytest.mark.parametrize(
    "begins", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", V1[:20] + b"\r\n", b"\x16\3\1", V2[:12] + b"\x11" + V2[13:]]
)
def test_a_connection_without_a_good_header_is_closed_unanswered(begins):
    with serving(app, proxy_protocol=True) as worker:
        with worker.connect() as client:
            client.send(begins)
            assert client.is_at_its_end()
        assert "PROXY" in worker.hear(Said).text
        assert ask(worker, before=V1)["REMOTE_ADDR"] == "203.0.113.7"
        assert worker.row.requests == 1


@pytest.mark.parametrize("begins", [b"", V1[:10], V2[:14], V1])
def test_a_header_is_waited_for_as_long_as_a_head(begins):
    with serving(app, proxy_protocol=True, header_timeout=0.2) as worker, worker.connect() as client:
        client.send(begins)
        assert client.is_at_its_end()


@pytest.mark.parametrize("begins", [b"", V1[:10], V1])
def test_a_client_that_goes_before_its_request_is_forgotten(begins):
    with serving(app, proxy_protocol=True) as worker:
        with worker.connect() as client:
            client.send(begins)
        worker.eventually(lambda: worker.row.accepted and not worker.row.open)


def test_only_a_trusted_proxy_may_introduce_where_some_are_named():
    with serving(app, proxy_protocol=True, trusted_proxies=("10.0.0.0/8",)) as worker, worker.connect() as client:
        client.send(V1 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.is_at_its_end()
        assert "trusted_proxies" in worker.hear(Said).text


def test_what_a_client_behind_a_proxy_header_claims_is_his_own():
    with serving(app, proxy_protocol=True, trusted_proxies=("127.0.0.1",), trusted_fields=ALL) as worker:
        told = ask(worker, SPOOFED, before=V1)
        assert (told["REMOTE_ADDR"], claims(told), told["HTTP_HOST"]) == ("203.0.113.7", {}, "a.example")
        through = V1.replace(b"203.0.113.7", b"127.0.0.1")  # another proxy of ours
        assert ask(worker, b"X-Forwarded-For: 203.0.113.9\r\n", before=through)["REMOTE_ADDR"] == "203.0.113.9"


def test_who_has_only_introduced_himself_is_answered_before_the_worker_leaves():
    with serving(app, proxy_protocol=True) as worker, worker.connect() as client:
        client.send(V1)
        worker.eventually(lambda: worker.row.open)
        worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        client.get()
        response = client.response()
        assert (response.code, response.header("Connection")) == (200, "close")
        with contextlib.suppress(OSError):
            client.half_close()
