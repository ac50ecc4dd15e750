"""From the kind of an app to the backend that serves it; a backend is imported when it is asked for. Serves nothing."""

from __future__ import annotations

from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def backend(kind: str) -> Callable[..., Any]:
    """The `serve(listeners, app, gate, settings)` for `kind`. Raises AppError for a kind that is not served."""
    if kind == "wsgi":
        from spyglass_systemd.backends.wsgi.loop import serve  # noqa: PLC0415  # the backend that is used, no other

        return serve
    if kind == "asgi":
        from spyglass_systemd.backends.asgi.serve import serve as serve_asgi  # noqa: PLC0415

        return serve_asgi
    raise AppError(
        f"this version serves WSGI apps; the app is of kind {kind!r}",
        hint="name a WSGI callable; if it is one and was taken for something else, set kind = wsgi",
    )
