"""What all connections of a worker share: the app, the limits, the clock, what is counted. Knows no connection."""

from __future__ import annotations

import os
import sys
import time

from spyglass_systemd.backends.budget import WAITING, Budget
from spyglass_systemd.backends.trouble import tried
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.files import FileWrapper
from spyglass_systemd.backends.wsgi.framing import Rules
from spyglass_systemd.backends.wsgi.response import Date
from spyglass_systemd.words.listener import AF_UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.access import AccessLog
    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.backends.wsgi.exchange import Exchange
    from spyglass_systemd.backends.wsgi.framing import Framing
    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.policy.forwarded import Trust
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings

_OURS = __file__.rpartition("/")[0]


class Service:
    """What every connection and every exchange may ask for.

    `introduced`: every connection begins with a PROXY header; `trust`: whose, None where that is all the same.
    `closing`: no way back, every answer is the last one of its connection. `progress(exchange)` is called when an app
    has yielded something; it returns true when the app should give way to others. `wrote(exchange)` is called when it
    has called `write`, `waits(exchange)` when it has yielded nothing yet, and returns true as `progress` does.
    """

    __slots__ = (
        "_body_limit",
        "_limits",
        "_spool",
        "access",
        "budget",
        "closing",
        "date",
        "gate",
        "header_timeout",
        "introduced",
        "keepalive",
        "max_connections",
        "max_pipelined",
        "min_rate",
        "progress",
        "screen",
        "threads",
        "trust",
        "waits",
        "write_timeout",
        "wrote",
    )

    def __init__(self, gate: Gate, settings: Settings, access: AccessLog | None) -> None:
        self.gate = gate
        self.access = access
        self._limits = Limits(settings.line_limit, settings.header_limit, settings.header_count)
        self._body_limit = settings.body_limit
        self._spool = settings.spool
        self.budget = Budget(max(WAITING, 2 * settings.spool))
        self.header_timeout = settings.header_timeout
        self.write_timeout = settings.write_timeout
        self.min_rate = settings.min_rate
        self.keepalive = settings.keepalive
        self.max_connections = settings.max_connections
        self.max_pipelined = settings.max_pipelined
        self.threads = settings.threads
        self.introduced = settings.proxy_protocol
        self.screen = settings.screen
        self.trust: Trust | None = None
        if settings.trusted_proxies:
            from spyglass_systemd.policy.forwarded import Trust  # noqa: PLC0415  # for those who have a proxy

            self.trust = Trust(settings.trusted_proxies, settings.trusted_fields)
        self.date = Date()
        self.closing = False
        # Whoever runs the app puts his own here.
        self.progress: Callable[[Exchange], bool] = lambda _: False
        self.waits: Callable[[Exchange], bool] = lambda _: False
        self.wrote: Callable[[Exchange], object] = lambda _: None

    def rules(self, lead: Lead) -> Rules:
        """What is read of a request to one app."""
        believe = None
        if self.trust is not None:
            from spyglass_systemd.backends.wsgi.origin import believer  # noqa: PLC0415  # as above

            believe = believer(self.trust)
        return Rules(
            self._limits, self._body_limit, self._spool, lead.root_path.rstrip("/"), budget=self.budget, believe=believe
        )

    def environ(self, lead: Lead) -> dict[str, Any]:
        """What is the same in every environ of one listener."""
        listener = lead.listener
        address = listener.address
        if listener.family == AF_UNIX or not isinstance(address, tuple):
            host, port = "localhost", "80"
        else:
            host, port = address[0], str(address[1])
            if host in ("0.0.0.0", "::"):  # noqa: S104  # an address to listen on is none to connect to
                host = os.uname().nodename or "localhost"
        return {
            "SCRIPT_NAME": lead.root_path.rstrip("/"),
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "SERVER_SOFTWARE": "spyglass",
            "REMOTE_ADDR": "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": self.threads > 1,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }

    def log(self, framing: Framing, code: int, size: int, began_ns: int) -> None:
        """A line for the access log; `began_ns` 0 for what never came to the app."""
        if self.access is not None:
            request, environ = framing.request, framing.environ
            asked = f"{request.method} {request.target} {request.version}" if request else ""
            ms = (time.monotonic_ns() - began_ns) / 1e6 if began_ns else 0.0
            self.access.add(environ, asked, code, size, ms)

    def blame(self, request: Request, error: BaseException) -> None:
        """An app's exception, to stderr: its traceback from the app's first frame."""
        self.tell(f"{request.method} {request.target}: the app failed\n{tried(error, _story)}")

    def tell(self, text: str) -> None:
        """To stderr. Where that is broken nobody can be told, and the request is not to suffer for it."""
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # a closed pipe; a closed file; None
            pass


def _story(error: BaseException) -> str:
    """Its traceback without our frames. Raises what an exception of an app's own may raise when it is looked at."""
    import traceback  # noqa: PLC0415  # 4 ms that only a broken app pays

    trace = error.__traceback__
    while trace is not None and trace.tb_next and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))
