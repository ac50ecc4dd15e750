"""What a process stands on and cannot exchange while it runs: its Python, its environment, our code. Imports nothing.

A reload loads the app anew, in a process that is forked from an old one. What that one has in memory stays as it is.
"""

from __future__ import annotations

import os
import sys

_OURS = os.path.dirname(os.path.dirname(__file__))


def take() -> dict[str, tuple[object, ...]]:
    """By what a person calls each of them, what tells it from the one that may stand there later."""
    return {
        f"the Python {sys.executable}": (_file(sys.executable), _file(os.__file__)),
        f"the environment {sys.prefix}": (_folder(sys.prefix), _file(f"{sys.prefix}/pyvenv.cfg")),
        "spyglass-systemd": (_file(f"{_OURS}/__init__.py"), _file(__file__)),
    }


def changed(before: dict[str, tuple[object, ...]]) -> tuple[str, ...]:
    """Those that are not what they were when `before` was taken."""
    now = take()
    return tuple(name for name, marks in before.items() if now.get(name) != marks)


def _file(path: str) -> tuple[int, ...]:
    """It is made anew by an upgrade, and a symbolic link that leads elsewhere leads to another one."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _folder(path: str) -> tuple[int, ...]:
    """Not its times: what is put into it is no reason."""
    return _file(path)[:2]
