"""What an app speaks, told by its shape."""

from __future__ import annotations

import functools
import socketserver

import pytest

from spyglass_systemd.protocols.kinds import is_asgi2, kind_of, shape_of
from spyglass_systemd.words.errors import AppError


def wsgi(environ, start_response):
    """WSGI."""


def defaulted(environ, start_response, *, debug=False, **more):
    """WSGI."""


def anything(*args):
    """As good as WSGI."""


async def asgi(scope, receive, send):
    """ASGI 3."""


async def any_coroutine(*args):
    """ASGI 3."""


def returning(scope, receive, send):
    """ASGI 3: gives a coroutine."""
    return asgi(scope, receive, send)


def asgi2(scope):
    """ASGI 2."""


async def stream(reader, writer):
    """Raw."""


def handler(connection, address):
    """Raw, and nobody can tell."""


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Wsgi:
    def __call__(self, environ, start_response):
        """WSGI."""

    method = __call__


class Asgi:
    async def __call__(self, scope, receive, send):
        """ASGI 3."""

    method = __call__


class Asgi2:
    def __init__(self, scope):
        """ASGI 2."""

    async def __call__(self, receive, send):
        """ASGI 2."""


class Endpoint:
    def __init__(self, scope, receive, send):
        """ASGI 3, as a class that is awaited."""

    def __await__(self):
        """ASGI 3."""


class Iterated:
    def __init__(self, environ, start_response):
        """WSGI, as a class (PEP 3333)."""

    def __iter__(self):
        """WSGI."""


class Handler(socketserver.StreamRequestHandler):
    """Raw."""


class Proxy:
    """Has every attribute there is."""

    def __getattr__(self, name):
        return Proxy()

    def __call__(self, environ, start_response):
        """WSGI."""


@pytest.mark.parametrize(
    ("app", "kind"),
    [
        (wsgi, "wsgi"),
        (defaulted, "wsgi"),
        (anything, "wsgi"),
        (decorated(wsgi), "wsgi"),
        (Wsgi(), "wsgi"),
        (Wsgi().method, "wsgi"),
        (Iterated, "wsgi"),
        (Proxy(), "wsgi"),
        (print, "wsgi"),
        (asgi, "asgi"),
        (any_coroutine, "asgi"),
        (returning, "asgi"),
        (asgi2, "asgi"),
        (decorated(asgi), "asgi"),
        (functools.partial(asgi, {}), "raw"),
        (functools.partial(functools.partial(wsgi), {}), "asgi"),
        (functools.partial(print, 1), "wsgi"),
        (Asgi(), "asgi"),
        (Asgi().method, "asgi"),
        (Asgi2, "asgi"),
        (Endpoint, "asgi"),
        (stream, "raw"),
        (Handler, "raw"),
    ],
)
def test_an_app_is_told_by_what_it_is_called_with(app, kind):
    assert kind_of(app, "blog:app") == kind


def careless(conn, _addr):
    """Raw, and nobody can tell."""


@pytest.mark.parametrize(("app", "names"), [(handler, "connection, address"), (careless, "conn, _addr")])
def test_a_handler_of_connections_is_not_guessed_at(app, names):
    with pytest.raises(AppError, match=rf"blog:handler\({names}\) may be WSGI or a raw handler") as caught:
        kind_of(app, "blog:handler")
    assert "--kind" in caught.value.hint


def test_a_factory_that_was_not_called_is_told_from_an_app():
    with pytest.raises(AppError, match="blog:make takes no argument") as caught:
        kind_of(lambda: wsgi, "blog:make")
    assert caught.value.hint == "then write blog:make()"


def test_a_function_of_three_is_asgi_whatever_it_is_for():
    assert kind_of(Wsgi.__call__, "blog:app") == "asgi"


def plain_four(a, b, c, d):
    """Nothing we know."""


async def four(a, b, c, d):
    """Nothing we know."""


async def none():
    """Nothing we know."""


@pytest.mark.parametrize(
    ("app", "message"),
    [(plain_four, "takes a, b, c, d, and no kind"), (four, "takes a, b, c, d"), (none, "takes no argument")],
)
def test_what_no_kind_is_called_like_is_refused(app, message):
    with pytest.raises(AppError, match=message):
        kind_of(app, "blog:app")


@pytest.mark.parametrize("app", [Wsgi, Asgi, Proxy, object])
def test_a_class_whose_instances_are_the_app_is_refused_with_the_way_to_write_it(app):
    with pytest.raises(AppError, match="blog:App is a class") as caught:
        kind_of(app, "blog:App")
    assert "write blog:App()" in caught.value.hint


@pytest.mark.parametrize(
    ("app", "old"),
    [(asgi2, True), (Asgi2, True), (asgi, False), (Asgi(), False), (Endpoint, False), (returning, False)],
)
def test_asgi_2_is_told_from_3(app, old):
    assert is_asgi2(app) is old


def test_a_coroutine_is_told_from_a_class_of_coroutines():
    assert shape_of(stream).is_coroutine
    assert not shape_of(Asgi2).is_coroutine
