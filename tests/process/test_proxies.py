"""Behind proxies: a real nginx, and clients that say what a proxy of the other sort says. ASGI, raw, all together."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest
from harness import LIMIT, Connection
from nginx import running
from websockets.sync.client import ClientConnection, unix_connect

from spyglass_systemd.backends.proxy import SIGNATURE

V1 = b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n"
V2 = SIGNATURE + b"\x21\x21\0\x24" + socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(15) + b"\1\x12\x67\1\xbb"
FIELDS = "x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-prefix"
TRUSTED = ["--trusted-proxies", "unix", "--trusted-fields", FIELDS]
SPOOFED = """\
X-Forwarded-For: 127.0.0.1
X-Forwarded-Proto: https
X-Forwarded-Host: evil.example
X-Forwarded-Prefix: /evil
X_Forwarded_For: 127.0.0.1
X-Real-IP: 127.0.0.1
Forwarded: for=127.0.0.1;host=evil.example
""".replace("\n", "\r\n")
MINE = """\
X-Forwarded-For: 6.6.6.6, 203.0.113.7
X-Forwarded-Proto: https
X-Forwarded-Host: a.example:8443
X-Forwarded-Prefix: /blog
X-Real-IP: 6.6.6.6
Forwarded: for=6.6.6.6
""".replace("\n", "\r\n")


@pytest.fixture
def asked(service, listener):
    """Serves one of the apps that say who asked, on a Unix socket or another."""

    def asked(kind, *options, on="path"):
        made = service("--workers", "1", "--kind", {"stream": "raw"}.get(kind, kind), *options,
                       spec=f"asked:{kind}", listeners=[listener(on)])  # fmt: skip
        made.start()
        return made

    return asked


def get(address, fields="", before=b""):
    """The app's answer to one request."""
    with Connection(address) as connection:
        head = f"GET /x%20y HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n{fields}\r\n"
        connection.send(before + head.encode())
        answer = connection.read()
    assert answer.status == 200, answer
    return json.loads(answer.body)


# ASGI


def test_what_a_client_claims_never_reaches_an_asgi_app(asked):
    told = get(asked("asgi", on="v4").addresses[0], SPOOFED)
    assert (told["client"][0], told["scheme"], told["root_path"], told["path"]) == ("127.0.0.1", "http", "", "/x y")
    assert told["headers"] == {"host": "b.example", "connection": "close"}


def test_a_trusted_proxy_is_heard_by_an_asgi_app(asked):
    told = get(asked("asgi", *TRUSTED, "--root-path", "/mounted").addresses[0], MINE)
    assert told["client"] == ["203.0.113.7", 0]
    assert (told["scheme"], told["server"]) == ("https", ["a.example", 8443])
    assert (told["root_path"], told["path"], told["raw_path"]) == ("/blog", "/blog/x y", "/blog/x%20y")
    assert told["headers"] == {
        "host": "a.example:8443",
        "connection": "close",
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "a.example:8443",
        "x-forwarded-prefix": "/blog",
        "x-real-ip": "203.0.113.7",
    }


def test_a_hidden_client_is_nobody_to_an_asgi_app(asked):
    assert get(asked("asgi", *TRUSTED).addresses[0], "X-Forwarded-For: _hidden\r\n")["client"] is None


def test_a_websocket_knows_who_asks_too(asked):
    service = asked("asgi", *TRUSTED)
    fields = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    with unix_connect(service.addresses[0], "ws://test/ws", additional_headers=fields, open_timeout=LIMIT) as client:
        told = json.loads(client.recv(LIMIT))
    assert (told["client"], told["scheme"]) == (["203.0.113.7", 0], "wss")


@pytest.mark.parametrize("on", ["path", "v4"])
def test_a_proxy_header_names_the_client_to_an_asgi_app(asked, on):
    service = asked("asgi", "--proxy-protocol", on=on)
    assert get(service.addresses[0], SPOOFED, before=V1)["client"] == ["203.0.113.7", 4711]
    assert get(service.addresses[0], before=V2)["client"] == ["2001:db8::7", 4711]
    assert get(service.addresses[0], before=b"PROXY UNKNOWN\r\n")["client"] in (
        None,
        ["127.0.0.1", pytest.approx(0, abs=65535)],
    )


def test_a_proxy_header_names_the_client_of_a_websocket(asked):
    service = asked("asgi", "--proxy-protocol")
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(service.addresses[0])
    sock.sendall(V1)
    with unix_connect(sock=sock, path=None, uri="ws://test/ws", open_timeout=LIMIT) as client:
        assert isinstance(client, ClientConnection)
        assert json.loads(client.recv(LIMIT))["client"] == ["203.0.113.7", 4711]


# Raw


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("kind", ["raw", "stream"])
def test_a_raw_handler_gets_what_is_behind_the_header_and_not_a_byte_less(asked, kind, header):
    address = asked(kind, "--proxy-protocol").addresses[0]
    client = ["203.0.113.7" if header == V1 else "2001:db8::7", 4711]
    for pieces in (
        [header + b"hello\n"],
        [header, b"hello\n"],
        [*map(bytes, zip(header, strict=True)), b"hel", b"lo\n"],
    ):
        with Connection(address) as connection:
            for piece in pieces:
                connection.send(piece)
            told = json.loads(connection.sock.makefile("rb").read())
            assert told[:2] == [client, "hello\n"]
            assert told[2:] in ([], [client])


@pytest.mark.parametrize("kind", ["raw", "stream"])
def test_a_raw_handler_is_not_called_without_a_header(asked, kind):
    service = asked(kind, "--proxy-protocol", "--log-level", "debug", "--header-timeout", "200ms")
    for begins in (b"hello\n", V1[:20] + b"\r\n", V1[:20], b""):
        with Connection(service.addresses[0]) as connection:
            connection.send(begins)
            with contextlib.suppress(ConnectionResetError):  # it may lie unread
                assert connection.sock.recv(100) == b""
    with Connection(service.addresses[0]) as connection:
        connection.send(V1[:20])
    service.log.until("no PROXY header")
    assert "handler_failed" not in service.log
    with Connection(service.addresses[0]) as connection:
        assert b"203.0.113.7" in connection.send(V1 + b"x\n").sock.makefile("rb").read()
    assert service.stop() == 0


@pytest.mark.parametrize("kind", ["raw", "stream", "asgi", "wsgi"])
def test_only_a_trusted_peer_may_introduce(asked, kind):
    service = asked(kind, "--proxy-protocol", "--trusted-proxies", "127.0.0.1", "--log-level", "debug")
    with Connection(service.addresses[0]) as connection, contextlib.suppress(ConnectionError):
        connection.send(V1 + b"GET / HTTP/1.0\r\n\r\n")
        assert connection.sock.recv(100) == b""
    service.log.until("none of the trusted_proxies")
    assert service.stop() == 0


@pytest.mark.parametrize("kind", ["raw", "stream", "asgi", "wsgi"])
def test_who_says_nothing_is_not_waited_for_for_ever(asked, kind):
    service = asked(kind, "--proxy-protocol", "--header-timeout", "200ms")
    with Connection(service.addresses[0]) as connection:
        assert connection.sock.recv(100) == b""
        service.has_open(0)
    assert service.stop() == 0


@pytest.mark.parametrize("kind", ["raw", "stream", "asgi", "wsgi"])
def test_times_are_borne_that_are_longer_than_poll_can_wait(asked, kind):
    """Its milliseconds are a C int: more than 24 days is an OverflowError, and was the end of the worker."""
    long = ("--header-timeout", "90d", "--max-stream-idle", "90d", "--request-timeout", "90d", "--drain", "90d")
    service = asked(kind, "--proxy-protocol", *long)
    with Connection(service.addresses[0]) as connection:
        service.has_open(1)
        end = b"x\n" if kind in ("raw", "stream") else b"GET / HTTP/1.0\r\n\r\n"
        assert b"203.0.113.7" in connection.send(V1 + end).sock.makefile("rb").read()
    assert service.stop() == 0
    assert "worker_died" not in service.log


# A broken app


@pytest.mark.parametrize("header", [V1, V2])
def test_a_broken_app_behind_a_proxy_header_is_answered_for(service, header):
    made = service("--proxy-protocol", "--kind", "wsgi", app="raise RuntimeError")
    made.start(waiting="").close()
    made.log.until(" failed ")
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for begins in ([header + request], [header[:9], header[9:], request.replace(b"GET", b"HEAD")]):
        with made.connect() as connection:
            for piece in begins:
                connection.send(piece)
            assert connection.read().status == 503
    with made.connect() as connection:
        connection.send(request)
        with contextlib.suppress(ConnectionResetError):
            assert connection.sock.recv(100) == b""
    assert made.stop() in (0, 69)


# nginx

HTTP = """
    upstream app {{ server unix:{app}; }}
    server {{
        listen unix:{directory}/plain;
        location / {{
            proxy_pass http://app;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
        location /blog/ {{
            proxy_pass http://app/;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For 203.0.113.7;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Prefix /blog;
        }}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://app; include {directory}/proxy_params; }}
    }}
"""
DEBIANS_PARAMS = """
proxy_set_header Host $http_host;
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_set_header X-Forwarded-Proto $scheme;
"""


@pytest.fixture
def nginx(tmp_path):
    """Runs nginx before a service: `address = nginx(service)`."""
    with contextlib.ExitStack() as stack:

        def nginx(service):
            directory = tmp_path / "nginx"
            directory.mkdir()
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                address = free.getsockname()
            (directory / "proxy_params").write_text(DEBIANS_PARAMS)
            http = HTTP.format(directory=directory, app=service.addresses[0], port=address[1])
            stack.enter_context(running(directory, http, lambda: _accepts(address)))
            return str(directory / "plain"), address

        yield nginx


def _accepts(address):
    with contextlib.suppress(OSError), socket.create_connection(address):
        return True
    return False


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_behind_nginx_with_debians_proxy_params(asked, nginx, kind):
    service = asked(kind, "--trusted-proxies", "unix")
    _, address = nginx(service)
    told = get(address, SPOOFED.replace("127.0.0.1", "6.6.6.6"))
    if kind == "wsgi":
        assert told == {
            "REMOTE_ADDR": "127.0.0.1",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/x y",
            "HTTP_HOST": "b.example",
            "wsgi.url_scheme": "http",
            "HTTP_X_FORWARDED_FOR": "127.0.0.1",
            "HTTP_X_FORWARDED_PROTO": "http",
            "HTTP_X_REAL_IP": "127.0.0.1",
        }
    else:
        assert (told["client"], told["scheme"], told["root_path"], told["path"]) == (
            ["127.0.0.1", 0],
            "http",
            "",
            "/x y",
        )
        assert told["headers"]["host"] == "b.example"
        assert not {"x-forwarded-host", "x-forwarded-prefix", "forwarded", "x_forwarded_for"} & set(told["headers"])
    service.stop()


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_behind_nginx_at_a_prefix(asked, nginx, kind):
    service = asked(kind, *TRUSTED)
    address, _ = nginx(service)
    with Connection(address) as connection:
        connection.send(f"GET /blog/x HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n{SPOOFED}\r\n".encode())
        told = json.loads(connection.read().body)
    if kind == "wsgi":
        told = [told[key] for key in ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "PATH_INFO")]
        assert told == ["203.0.113.7", "https", "b.example", "/blog", "/x"]
    else:
        assert told["client"] == ["203.0.113.7", 0]
        assert (told["scheme"], told["headers"]["host"]) == ("https", "b.example")
        assert (told["root_path"], told["path"]) == ("/blog", "/blog/x")
    service.stop()


def test_a_sleeping_app_is_woken_through_nginx_and_falls_asleep_behind_it(service, nginx):
    made = service("--idle", "300ms", "--keepalive", "100ms", "--trusted-proxies", "unix", spec="asked:wsgi")
    made.start()
    _, address = nginx(made)
    assert get(address)["REMOTE_ADDR"] == "127.0.0.1"
    assert made.wait() == 0
    made.start()
    assert get(address)["REMOTE_ADDR"] == "127.0.0.1"
    assert made.wait() == 0
