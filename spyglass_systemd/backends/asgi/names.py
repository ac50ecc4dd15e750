"""The names of uvicorn that we rely on, in one place: each is tested with every version we claim. Serves nothing.

uvicorn is run without its Server: the accept and the end of a connection must be ours. What remains is its Config, its
HTTP and WebSocket protocols, and the two sets through which they tell what they do.
"""

from __future__ import annotations

import inspect
import sys

from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.words.options import Settings

_INSTALL = "pip install 'spyglass-systemd[asgi]' into the app's environment, or on Debian `apt install python3-uvicorn`"


def config(app: Any, settings: Settings, root_path: str) -> Any:
    """A loaded uvicorn.Config for `app`, an ASGI 3 or ASGI 2 callable; it adds nothing to what the app says.

    Raises AppError where uvicorn is not installed.
    """
    try:
        from uvicorn.config import Config  # noqa: PLC0415  # the error says what to install
    except ImportError as error:
        raise AppError(f"an ASGI app needs uvicorn, which does not import: {error}", hint=_INSTALL) from None
    made = Config(
        app=app,
        http="h11" if _forced_h11() else "httptools",
        ws="auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        interface="asgi2" if _is_asgi2(app) else "asgi3",
        proxy_headers=False,
        server_header=False,
        root_path=root_path,
        timeout_keep_alive=settings.keepalive,  # type: ignore[arg-type]  # whole seconds only in its annotation
    )
    made.load()
    return made


def _forced_h11() -> bool:
    """Whether httptools is missing: then h11, which uvicorn always brings."""
    try:
        import httptools  # noqa: F401, PLC0415  # a test hides it to serve by h11
    except ImportError:
        return True
    return False


def _is_asgi2(app: Any) -> bool:
    """ASGI 2 is called with the scope alone and gives the coroutine function: asgiref, ASGI 3's legacy section."""
    called = app.__init__ if inspect.isclass(app) else app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004
    return not inspect.iscoroutinefunction(called)


class State:
    """What uvicorn calls its server state, with our sets in it."""

    def __init__(self, connections: set[Any], tasks: set[Any]) -> None:
        self.total_requests = 0
        self.connections = connections
        self.tasks = tasks
        self.default_headers: list[tuple[bytes, bytes]] = []


def protocol_factory(config: Any, state: State, app_state: dict[str, Any]) -> Callable[[], Any]:
    """Makes the protocol of one connection. `app_state` (lifespan state) is passed where this uvicorn knows it."""
    protocol = config.http_protocol_class
    extra = {"app_state": app_state} if "app_state" in inspect.signature(protocol.__init__).parameters else {}
    return lambda: protocol(config=config, server_state=state, **extra)


def cycle_of(protocol: Any) -> Any:
    """The request that an HTTP connection is at, or was at last; None before the first and for a WebSocket."""
    return getattr(protocol, "cycle", None)


def is_websocket(protocol: Any) -> bool:
    """Whether the connection has been upgraded."""
    return not hasattr(protocol, "cycle")


def is_answering(protocol: Any) -> bool:
    """Whether a request of an HTTP connection has been given to the app and is not answered yet."""
    cycle = cycle_of(protocol)
    return cycle is not None and not cycle.response_complete


def make_last(protocol: Any) -> None:
    """The answer under way says `Connection: close`, if its head is not out yet; the connection ends after it."""
    cycle_of(protocol).keep_alive = False


def close(protocol: Any) -> None:
    """Close a connection that has nothing to say; what is in its buffer still goes out."""
    transport = protocol.transport
    if transport is not None and not transport.is_closing():
        transport.close()


def version() -> str:
    """The installed uvicorn's version, for messages."""
    module = sys.modules.get("uvicorn")
    return str(getattr(module, "__version__", "unknown"))
