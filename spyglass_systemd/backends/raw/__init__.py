"""Raw sockets: for anything that is not HTTP. A handler gets the connection as it was accepted."""

from __future__ import annotations

from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings

_COROUTINE = 0x80  # inspect.CO_COROUTINE


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve `handler(connection, address)`, a socketserver.BaseRequestHandler, or `async handler(reader, writer)`.

    Raises AppError for handlers of both sorts in one worker.
    """
    sorts = {_is_coroutine(lead.app) for lead in leads}
    if len(sorts) > 1:
        raise AppError(
            "raw handlers of both sorts, blocking and async, cannot share a worker",
            hint="write them all in one way, or run them as two services",
        )
    if sorts.pop():
        from spyglass_systemd.backends.raw.streams import serve as serve_streams  # noqa: PLC0415  # asyncio is 40 ms

        serve_streams(leads, gate, settings)
    else:
        from spyglass_systemd.backends.raw.threads import serve as serve_threads  # noqa: PLC0415

        serve_threads(leads, gate, settings)


def _is_coroutine(app: Any) -> bool:
    code = getattr(getattr(app, "__func__", app), "__code__", None)
    return bool(code is not None and code.co_flags & _COROUTINE)
