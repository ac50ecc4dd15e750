"""Raw sockets: for anything that is not HTTP. A handler gets the connection as it was accepted."""

from __future__ import annotations

from spyglass_systemd.protocols import kinds
from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve `handler(connection, address)`, a socketserver.BaseRequestHandler, or `async handler(reader, writer)`.

    Raises AppError for handlers of both sorts in one worker.
    """
    sorts = {kinds.shape_of(lead.app).is_coroutine and not isinstance(lead.app, type) for lead in leads}
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
