"""Debian's older parser of HTTP beside the one that is installed, in one process. Knows no request."""

from __future__ import annotations

import contextlib
import importlib
import sys

from spyglass_systemd.backends.wsgi import head

DEBIANS = "/usr/lib/python3/dist-packages"
_NAMES = ("HttpRequestParser", "HttpParserError", "HttpParserInvalidMethodError", "HttpParserUpgrade")
OURS = {name: getattr(head, name) for name in _NAMES}


def _debians():
    """Its names; none where it is not installed, or for another Python than ours."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "httptools"}
    sys.path.insert(0, DEBIANS)
    try:
        old = importlib.import_module("httptools")
        return {name: getattr(old, name) for name in _NAMES} if old.__file__.startswith(DEBIANS) else None
    except ImportError:
        return None
    finally:
        sys.path.remove(DEBIANS)
        for name in [name for name in sys.modules if name.partition(".")[0] == "httptools"]:
            del sys.modules[name]
        sys.modules.update(kept)


OLDER = _debians()


@contextlib.contextmanager
def using(names):
    """Heads are parsed by this one."""
    vars(head).update(names)
    try:
        yield
    finally:
        vars(head).update(OURS)
