"""An app that runs the Python which a client posts, and answers with what that says: one JSON a line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

IMPORTED_BY = os.getpid()
ENVIRON = dict(os.environ)  # as the import found it
KEPT = []  # what a request leaves behind


def app(environ, start_response):
    """Runs it."""
    lines = []

    def say(thing):
        lines.append(json.dumps(thing).encode() + b"\n")

    exec(environ["wsgi.input"].read(), globals() | {"say": say, "environ": environ})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(b"".join(lines))))])
    return lines


__all__ = ["app", "signal", "socket", "subprocess", "sys", "time"]
