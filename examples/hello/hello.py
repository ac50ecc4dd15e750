"""The smallest WSGI app, and a factory that makes one: `hello:app` or `hello:make()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = f"Hello, {environ['PATH_INFO'].strip('/') or 'world'}!\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]


def make() -> WSGIApplication:
    """Called once, before the workers are forked: the place to read files and build what all of them share."""
    greeting = b"Hello from a factory!\n"

    def made(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(greeting)))])
        return [greeting]

    return made
