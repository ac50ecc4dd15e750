"""The storm's app: says which process answers and whose child it is, so that a client sees each wake by itself."""

from __future__ import annotations

import os


def app(_environ, start_response):
    body = b"%d %d\n" % (os.getppid(), os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
