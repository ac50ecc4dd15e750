"""Raw sockets: for anything that is not HTTP. A handler gets the connection as it was accepted."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_COROUTINE = 0x80  # inspect.CO_COROUTINE


def serve(listeners: tuple[Listener, ...], app: Any, gate: Gate, settings: Settings) -> None:
    """Serve `handler(connection, address)`, a socketserver.BaseRequestHandler, or `async handler(reader, writer)`."""
    code = getattr(getattr(app, "__func__", app), "__code__", None)
    if code is not None and code.co_flags & _COROUTINE:
        from spyglass_systemd.backends.raw.streams import serve as serve_streams  # noqa: PLC0415  # asyncio is 40 ms

        serve_streams(listeners, app, gate, settings)
    else:
        from spyglass_systemd.backends.raw.threads import serve as serve_threads  # noqa: PLC0415

        serve_threads(listeners, app, gate, settings)
