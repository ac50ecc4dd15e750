"""The access log of an ASGI app: Combined Log Format plus ` ms=12 worker=1`. Installed only where the option is set.

Knows the messages between app and server (ASGI specification), no connection.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.access import AccessLog

_FIELDS = {b"referer": "HTTP_REFERER", b"user-agent": "HTTP_USER_AGENT"}


class Logged:
    """An ASGI 3 app around an ASGI 3 app; a line when a response, or a WebSocket, is over."""

    def __init__(self, app: Any, log: AccessLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status, size, over = 0, 0, False

        def write() -> None:
            nonlocal over
            if not over:
                over = True
                self._log.add(_environ(scope), _asked(scope), status, size, (time.monotonic() - began) * 1000)
                self._log.flush()

        async def logged(message: Any) -> None:
            nonlocal status, size
            kind = message["type"]
            if kind.endswith("http.response.start"):  # or websocket.http.response.start, a refusal
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and not status:
                status = 403  # ASGI: closed before it was accepted
            size += len(message.get("body", b""))
            await send(message)
            if kind == "http.response.body" and not message.get("more_body"):
                write()

        try:
            await self._app(scope, receive, logged)
        except BaseException:
            status = status or 500  # which uvicorn answers
            raise
        finally:
            write()


def _environ(scope: Any) -> dict[str, str]:
    environ = {_FIELDS[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _FIELDS}
    return environ | {"REMOTE_ADDR": scope["client"][0] if scope.get("client") else ""}


def _asked(scope: Any) -> str:
    """The request line."""
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target = target.partition(b"?")[0] + b"?" + scope["query_string"]
    return f"{scope.get('method', 'GET')} {target.decode('latin-1')} HTTP/{scope['http_version']}"
