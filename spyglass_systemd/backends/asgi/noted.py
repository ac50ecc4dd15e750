"""Writes down which request begins, for the log: should the loop never turn again, it is most likely that one's doing.

Every request passes here, so it is a function: to call an instance takes longer than what is done.
"""

from __future__ import annotations

from spyglass_systemd.protocols.witness import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def noted(app: Any, place: memoryview) -> Any:
    """An ASGI 3 app around an ASGI 3 app, for requests and WebSockets; `place` as of protocols/witness.py."""

    def called(scope: Any, receive: Any, send: Any) -> Any:
        try:
            line = f"{scope['method']} {scope['path']}\n".encode()
            place[: len(line)] = line
        except (KeyError, ValueError):  # a WebSocket; no text, or more than there is place for
            note(place, f"{scope.get('method', 'WEBSOCKET')} {scope['path']}".encode("utf-8", "replace"))
        return app(scope, receive, send)

    return called
