"""LISTEN_*, as whoever starts us sets them: the listeners that were meant, or an error that a person can read."""

from __future__ import annotations

import contextlib
import errno
import os
import socket

import spyglass_systemd.sd as port
from spyglass_systemd.protocols import activation
from spyglass_systemd.sd import cysystemd
from spyglass_systemd.words.errors import ActivationError

MAX = 300  # bytes of one input
NAMES = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
LISTENER = socket.create_server(("127.0.0.1", 0)).detach()
DATAGRAM = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach()
KINDS = (LISTENER, DATAGRAM, socket.socket().detach(), os.memfd_create("file"), LISTENER)  # they live as long as we do


class Handed:
    """Descriptors of several kinds, counted and named as libsystemd does it."""

    def __init__(self, environ):
        self._environ = environ

    def listen_fds_with_names(self):
        count, kinds = int(self._environ["LISTEN_FDS"]), KINDS
        if count > len(kinds):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        names = cysystemd._split(self._environ.get("LISTEN_FDNAMES", ":".join(["unknown"] * count)))
        if len(names) != count:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return tuple((kind, name) for kind, name in zip(kinds, names, strict=False))


def check(data):
    """Raises whatever should not be. `data` is the values, between NULs; `@` for the pid is ours."""
    told = [value.decode("utf-8", "surrogateescape") for value in data.split(b"\0")]
    environ = dict(zip(NAMES, told, strict=False))
    if environ.get("LISTEN_PID") == "@":
        environ["LISTEN_PID"] = str(os.getpid())
    before, port._chosen = port._chosen, Handed(dict(environ))
    try:
        with contextlib.suppress(ActivationError):
            try:
                listeners = activation.take(environ, os.getpid())
            except ActivationError as error:
                assert error.message.isprintable(), error.message
                raise
            assert listeners
            for listener in listeners:
                assert listener.fd == LISTENER
                assert repr(listener)
    finally:
        port._chosen = before
    assert not environ


def seeds():
    """Right, and wrong in each of its variables."""
    return [
        b"1\0@",
        b"1\0@\0http",
        b"2\0@\0http:other",
        b"5\0@\0a:stored:stored:stored:b",
        b"3\0@",
        b"9\0@",
        b"1\0001",
        b"x\0@",
        b"1\0@\0a\\:b",
        b"",
        b"0",
        b"1",
        b"4294967297\0@",
    ]
