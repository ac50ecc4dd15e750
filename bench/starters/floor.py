"""The floor: the least a Python process can do to answer the connection that activated it.

    python -I -S floor.py APP_DIR SITE_PACKAGES MODULE

No server, no loop, no parser: accepts one connection on fd 3, reads once, calls MODULE.app once, sends head and body,
ends at once.
"""

import sys

sys.path[:0] = sys.argv[1:3]

import io  # noqa: E402  # the path comes first
import os  # noqa: E402
import socket  # noqa: E402

app = __import__(sys.argv[3]).app
head: list[str] = []


def start_response(status, headers, _exc_info=None):
    head.append(f"HTTP/1.1 {status}\r\n")
    head.extend(f"{name}: {value}\r\n" for name, value in headers)


connection, _ = socket.socket(fileno=3).accept()
connection.recv(65536)
environ = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.input": io.BytesIO(),
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": True,
}
body = b"".join(app(environ, start_response))
connection.sendall("".join(head).encode("latin-1") + b"Connection: close\r\n\r\n" + body)
connection.close()
os._exit(0)
