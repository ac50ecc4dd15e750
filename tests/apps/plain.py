"""The WSGI app beside `pushy`: answers, or waits."""

from __future__ import annotations

from pathlib import Path


def app(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        with Path(environ["QUERY_STRING"]).open():
            pass
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
