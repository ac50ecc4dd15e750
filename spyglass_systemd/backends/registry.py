"""From the kind of an app to the backend that serves it; a backend is imported when it is asked for. Serves nothing."""

from __future__ import annotations

from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def backend(kind: str) -> Callable[..., Any]:
    """The `serve(leads, gate, settings)` for `kind`. Raises AppError where it is not served, or lacks a library."""
    try:
        return _backend(kind)
    except ImportError as error:
        raise AppError(
            f"{kind} cannot be served: {error}",
            hint="install spyglass-systemd with what it needs into the app's environment",
        ) from None


def _backend(kind: str) -> Callable[..., Any]:
    if kind == "wsgi":
        from spyglass_systemd.backends.wsgi.loop import serve  # noqa: PLC0415  # the backend that is used, no other

        return serve
    if kind == "asgi":
        from spyglass_systemd.backends.asgi import names  # noqa: PLC0415
        from spyglass_systemd.backends.asgi import serve as asgi  # noqa: PLC0415

        names.prepare()
        return asgi.serve
    if kind == "raw":
        from spyglass_systemd.backends.raw import serve as serve_raw  # noqa: PLC0415

        return serve_raw
    if kind == "unknown":  # each worker will find out
        return _nothing
    raise AppError(f"there is no kind {kind!r}", hint="kind is one of auto, wsgi, asgi, raw")


def _nothing(*_: object) -> None:
    """What is asked for and never called."""
