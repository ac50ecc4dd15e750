"""The storm's app: says which process answers and whose child it is, so that a client sees each wake by itself.
Takes as many milliseconds as the query says."""

from __future__ import annotations

import os
import time


def app(environ, start_response):
    time.sleep(int(environ["QUERY_STRING"] or 0) / 1000)
    body = b"%d %d\n" % (os.getppid(), os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
