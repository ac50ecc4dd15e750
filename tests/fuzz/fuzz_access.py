"""Lines of the access log: one line whatever a client sends, its quotes are ours, and it fits into one write."""

from __future__ import annotations

import re

from spyglass_systemd.backends.access import AccessLog

MAX = 8000  # bytes of one input
WHOLE = 4096  # PIPE_BUF: what a pipe keeps together, pipe(7)
QUOTED = r'"(?:[^"\\]|\\.)*"'
LINE = re.compile(rf"(?:[^\"\\]|\\.)+ - - \[[^]]+\] {QUOTED} 200 12 {QUOTED} {QUOTED} ms=3 worker=1\n")


def check(data):
    """Raises whatever should not be. `data` is address, request, referer, agent, between NULs."""
    for coding, errors in (("latin-1", "strict"), ("utf-8", "surrogateescape")):
        words = [*data.decode(coding, errors).split("\0"), "", "", "", ""]
        log = AccessLog(-1, 1)
        environ = {"REMOTE_ADDR": words[0], "HTTP_REFERER": words[2], "HTTP_USER_AGENT": words[3]}
        log.add(environ, words[1], 200, 12, 3.0)
        (line,) = log._lines
        text = line.decode("ascii")
        assert text[:-1].isprintable(), text
        assert LINE.fullmatch(text), text
        assert len(line) <= WHOLE, len(line)


def seeds():
    """Good and bad ones."""
    return [
        b"1.2.3.4\0GET / HTTP/1.1\0http://a/\0curl",
        b'\0GET /" 200 1 "-"\\ HTTP/1.1\0\x1b[31m\0"\\"',
        b"\n\0\r\n\0\xff\xfe\0\xc3\xa9",
        b"a\0" + b"\xff" * 1100 + b"\0" + b"\x01" * 1100 + b"\0" + b"\\" * 1100,
    ]
