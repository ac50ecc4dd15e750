"""Configuration files: any bytes are settings that go together, or an error that a person can read."""

from __future__ import annotations

import os

from spyglass_systemd.protocols import config
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.options import settle

MAX = 2000  # bytes of one input
_FD = os.memfd_create("config")
_PATH = f"/proc/self/fd/{_FD}"


def check(data):
    """Raises whatever should not be."""
    os.ftruncate(_FD, 0)
    os.pwrite(_FD, data, 0)
    try:
        settings = settle({}, config.read(_PATH))
    except SpyglassError as error:
        assert error.exit_code in (64, 78)
        assert error.message.isprintable(), error.message
        assert error.hint.isprintable(), error.hint
        return
    assert repr(settings).isprintable()
    assert settings.app or settings.listeners
    for shorter, longer in (
        (settings.keepalive, settings.idle),
        (settings.keepalive, settings.doze),
        (settings.doze, settings.idle),
    ):
        assert shorter is None or longer is None or shorter < longer
    for spans in ("keepalive", "header_timeout", "request_timeout", "drain", "idle", "watch"):
        span = getattr(settings, spans)
        assert span is None or 0 <= span < 1e13, (spans, span)


def seeds():
    """A line of each kind."""
    lines = [
        'app = "blog:app"',
        "workers = 3",
        'idle = "5min"',
        "idle = false",
        'idle = "off"\ndoze = 1.5',
        "preload = false",
        'pythonpath = ["a", "b"]',
        '[environment]\nA = "b"\nC = 3',
        '[listeners.admin]\napp = "a:b"\nkind = "raw"\nroot_path = "/x"',
        "keepalive = 400",
        'trusted_proxies = ["10.0.0.0/8", "unix"]\ntrusted_fields = ["forwarded", "x-forwarded-prefix"]',
        'spool = "64KiB"\nbody_limit = "off"',
        "[[app]]",
        "app = 1979-05-27T07:32:00Z",
        "wrokers = 1",
        "a.b.c = {d = [1, 2.0, inf]}",
        "name = '''a\nb'''",
        'listen = ["unix:/run/x", "*:80"]',
    ]
    return [line.encode() for line in lines] + [('app = "a:b"\n' + line).encode() for line in lines[1:]]
