"""Scopes in, scopes out: what proxies say, and what others claim."""

from __future__ import annotations

import pytest

from spyglass_systemd.backends.asgi import names
from spyglass_systemd.backends.asgi.origin import origins
from spyglass_systemd.words.options import Settings

FIELDS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")


def seen(*headers, kind="http", proxies=("unix",), root="", uvicorn=None, monkeypatch=None, **scope):
    """The scope that the app is called with."""
    if uvicorn:
        monkeypatch.setattr(names, "version", lambda: uvicorn)
    scope = {"type": kind, "client": None, "scheme": {"http": "http", "websocket": "ws"}[kind], "server": None} | scope
    scope |= {"root_path": root, "path": f"{root}/x", "raw_path": f"{root}/x".encode(), "headers": list(headers)}
    made = origins(lambda scope, *_: scope, Settings(app="a:b", trusted_proxies=proxies, trusted_fields=FIELDS))
    return made(scope, None, None)


def test_a_scope_without_claims_is_as_it_came():
    headers = [(b"host", b"a"), (b"x-other", b"1"), (b"with_underscore", b"2")]
    assert seen(*headers)["headers"] == headers


@pytest.mark.parametrize(
    "name", [b"forwarded", b"x-forwarded-for", b"x_forwarded_for", b"x-forwarded_for", b"x_real-ip", b"x-forwarded-ssl"]
)
@pytest.mark.parametrize("proxies", [(), ("10.0.0.0/8",)])
def test_claims_of_the_untrusted_are_gone_however_they_are_spelt(name, proxies):
    scope = seen((b"host", b"a"), (name, b"127.0.0.1"), proxies=proxies, client=("192.0.2.1", 1))
    assert scope["headers"] == [(b"host", b"a")]
    assert scope["client"] == ("192.0.2.1", 1)


def test_one_with_underscores_is_not_taken_for_the_field_of_a_proxy():
    scope = seen((b"x_forwarded_for", b"192.0.2.1"))
    assert (scope["client"], scope["headers"]) == (None, [])


@pytest.mark.parametrize(
    ("kind", "proto", "scheme", "port"),
    [
        ("http", b"https", "https", 443),
        ("websocket", b"https", "wss", 443),
        ("http", b"ws", "http", 80),
        ("websocket", b"http", "ws", 80),
    ],
)
def test_a_scheme_is_that_of_the_scope(kind, proto, scheme, port):
    scope = seen((b"x-forwarded-proto", proto), (b"host", b"a.example"), kind=kind)
    assert (scope["scheme"], scope["server"]) == (scheme, ("a.example", port))


def test_a_scheme_without_a_host_says_nothing_of_the_server():
    assert seen((b"x-forwarded-proto", b"https"))["server"] is None


def test_a_host_stands_in_place_of_the_other():
    scope = seen((b"host", b"inner"), (b"x-forwarded-host", b"[::1]:81"))
    assert scope["server"] == ("::1", 81)
    assert scope["headers"] == [(b"host", b"[::1]:81"), (b"x-forwarded-host", b"[::1]:81")]


@pytest.mark.parametrize(
    ("uvicorn", "path"),
    [("0.17.6", "/x"), ("0.25.0", "/x"), ("0.26.0", "/blog/x"), ("1.0", "/blog/x"), ("unknown", "/blog/x")],
)
def test_a_prefix_is_in_the_path_where_uvicorn_has_it_there(monkeypatch, uvicorn, path):
    scope = seen((b"x-forwarded-prefix", b"/blog"), uvicorn=uvicorn, monkeypatch=monkeypatch)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/blog", path, path.encode())


def test_a_prefix_stands_in_place_of_root_path():
    scope = seen((b"x-forwarded-prefix", b"/blog"), root="/mounted")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/blog", "/blog/x", b"/blog/x")


def test_a_client_that_is_hidden_is_nobody():
    assert seen((b"x-forwarded-for", b"unknown"), client=("127.0.0.1", 1), proxies=("127.0.0.1",))["client"] is None
