"""The names of uvicorn that we rely on, in one place: each is tested with every version we claim. Serves nothing.

uvicorn is run without its Server: the accept and the end of a connection must be ours. What remains is its Config, its
HTTP and WebSocket protocols, and the two sets through which they tell what they do.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys

from spyglass_systemd.backends.trouble import tellable
from spyglass_systemd.protocols import kinds
from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

    from spyglass_systemd.words.options import Settings

_INSTALL = "pip install 'spyglass-systemd[asgi]' into the app's environment, or on Debian `apt install python3-uvicorn`"


def prepare() -> None:
    """Import what a worker will need, once for all workers: in the Template. Raises AppError without uvicorn."""
    try:
        import uvicorn.config  # noqa: PLC0415  # the error says what to install
        import uvicorn.protocols.http.auto  # noqa: F401, PLC0415
    except ImportError as error:
        raise AppError(f"an ASGI app needs uvicorn, which does not import: {error}", hint=_INSTALL) from None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401, PLC0415  # optional


def config(app: Any, settings: Settings, root_path: str, http: str = "") -> Any:
    """A loaded uvicorn.Config for `app`, an ASGI 3 or ASGI 2 callable; it adds nothing to what the app says.

    `http` is h11 or httptools, else the fastest that is installed.
    """
    import logging  # noqa: PLC0415  # uvicorn has it

    from uvicorn.config import Config  # noqa: PLC0415  # after `prepare`

    made = Config(
        app=app,
        http=http or ("h11" if _forced_h11() else "httptools"),
        ws="none",
        ws_max_size=settings.message_limit,
        lifespan="off",
        log_config=None,
        log_level=settings.log_level,  # without one, each connection is a line that nobody sees
        access_log=False,
        interface="asgi2" if kinds.is_asgi2(app) else "asgi3",
        proxy_headers=False,
        server_header=False,
        root_path=root_path,
        timeout_keep_alive=settings.keepalive,  # type: ignore[arg-type]  # whole seconds only in its annotation
    )
    made.load()
    logging.getLogger("uvicorn.error").addFilter(tellable)
    if any(importlib.util.find_spec(library) for library in ("websockets", "wsproto")):
        made.ws_protocol_class = _websocket  # type: ignore[assignment]  # it is only called
    return made


def _websocket(**arguments: Any) -> Any:
    """The protocol of an upgraded connection."""
    from spyglass_systemd.backends.asgi.upgraded import websocket  # noqa: PLC0415  # for the first one

    return websocket(**arguments)


def _forced_h11() -> bool:
    """Whether httptools is missing: then h11, which uvicorn always brings."""
    try:
        import httptools  # noqa: F401, PLC0415  # a test hides it to serve by h11
    except ImportError:
        return True
    return False


def app_state(uvicorns: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The lifespan's state as an argument of uvicorn's protocol, where this uvicorn knows it."""
    return {"app_state": state} if "app_state" in inspect.signature(uvicorns.__init__).parameters else {}


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


def is_mute(protocol: Any) -> bool:
    """Whether the head of its answer has just been refused: uvicorn sees to that when it has begun to say it."""
    error = sys.exc_info()[1]
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        told = trace.tb_frame.f_locals
        message = told.get("message")
        if told.get("self") is cycle_of(protocol) and message and message["type"] == "http.response.start":
            return True
        trace = trace.tb_next
    return False


def is_httptools(uvicorns: Any) -> bool:
    """Whether this class of uvicorn's reads by httptools."""
    return hasattr(uvicorns, "on_headers_complete")


def ends_with_connection(protocol: Any) -> bool:
    """Whether an answer has begun that its client takes for whole when the connection ends."""
    cycle = cycle_of(protocol)
    return bool(cycle.response_started) and cycle.scope["http_version"] == "1.0"


def waiting(protocol: Any) -> int:
    """Bytes of a body that the app has not taken yet. What it has answered without taking, it never will: that goes."""
    cycle = cycle_of(protocol)
    if cycle is None:
        return 0
    if cycle.response_complete:
        cycle.body = type(cycle.body)()  # bytes, in older versions
    return len(cycle.body)


def is_receiving(protocol: Any) -> bool:
    """Whether the request that an HTTP connection is at has not arrived whole."""
    cycle = cycle_of(protocol)
    return cycle is not None and bool(cycle.more_body)


def is_kept_alive(protocol: Any) -> bool:
    """Whether an HTTP connection waits for its next request, and nothing of that has come."""
    return cycle_of(protocol) is not None and protocol.timeout_keep_alive_task is not None


def make_last(protocol: Any) -> None:
    """The answer under way says `Connection: close`, if its head is not out yet; the connection ends after it."""
    cycle = cycle_of(protocol)
    if cycle.keep_alive:
        cycle.keep_alive = False  # which older versions do not say to the client
        if not cycle.response_started:
            cycle.default_headers = [*cycle.default_headers, (b"connection", b"close")]


def unsent(protocol: Any) -> int:
    """Bytes that the client has not taken yet."""
    transport = protocol.transport
    return 0 if transport is None else int(transport.get_write_buffer_size())


def taken(protocol: Any) -> int:
    """Bytes that the client has taken since the connection was made, or that the kernel keeps for him."""
    transport = protocol.transport
    return int(transport.written) - unsent(protocol) if transport is not None else 0


def is_waiting_for_body(protocol: Any) -> bool:
    """Whether a body is expected, and it is not the app who is slow to read it."""
    return is_receiving(protocol) and not protocol.flow.read_paused


def refuse(protocol: Any, code: int, why: str, *, mute: bool = False) -> None:
    """The server's own answer, and the end, where no answer of the app is on its way.

    `mute`: a request that uvicorn has not seen asked for a head only.
    """
    from spyglass_systemd.backends.wsgi import refusal  # noqa: PLC0415  # for an error only

    transport = protocol.transport
    if transport is not None and not transport.is_closing():
        date = b"".join(b"%b: %b\r\n" % field for field in protocol.server_state.default_headers)
        body = cycle_of(protocol).scope["method"] != "HEAD" if is_answering(protocol) else not mute
        transport.write(refusal.answer(code, why, date, body=body))
        transport.close()


def give_up(protocol: Any, loop: asyncio.AbstractEventLoop, code: int, why: str) -> None:
    """End a request that the app is at: it hears of a disconnect, the client of `code` where nothing else is out."""
    cycle = cycle_of(protocol)
    if cycle.response_started:
        abort(protocol)
        return
    refuse(protocol, code, why)
    loop.call_soon(_disconnect, cycle)


def _disconnect(cycle: Any) -> None:
    cycle.disconnected = True
    cycle.message_event.set()


async def end_response(protocol: Any) -> None:
    """The last chunk in the app's place; its next send is nobody's, and receive tells it of the disconnect.

    What has not begun is answered 503. What has a length that it did not reach is cut: HTTP has no other way.
    """
    cycle = cycle_of(protocol)
    cycle.keep_alive = False
    if not cycle.response_started:
        headers = [(b"content-length", b"0"), (b"connection", b"close")]
        await cycle.send({"type": "http.response.start", "status": 503, "headers": headers})
    await cycle.send({"type": "http.response.body", "body": b"", "more_body": False})


def end_websocket(protocol: Any) -> None:
    """Close with 1012, service restart (IANA). uvicorn before 0.18 would cut it."""
    protocol.transport.expects_more()  # the client's close frame, as RFC 6455 has it
    legacy = getattr(protocol, "fail_connection", None)
    if legacy is not None and protocol.handshake_completed_event.is_set():
        protocol.ws_server.closing = True
        legacy(1012)
    else:
        protocol.shutdown()


def close(protocol: Any) -> None:
    """Close a connection that has nothing to say; what is in its buffer still goes out."""
    if protocol.transport is not None:
        protocol.transport.close()


def hang_up(send: Any) -> None:
    """Cut the connection whose app is called with this `send`."""
    send.__self__.transport.abort()


def abort(protocol: Any) -> None:
    """Cut a connection whose client takes nothing."""
    if protocol.transport is not None:
        protocol.transport.abort()


def paths_have_root(installed: str) -> bool:
    """Whether the path of a scope begins with its root_path, as ASGI has it: from uvicorn 0.26 on."""
    major, _, rest = installed.partition(".")
    minor = rest.partition(".")[0]
    return not (major == "0" and minor.isdecimal() and int(minor) < 26)


def version() -> str:
    """The installed uvicorn's version, for messages."""
    module = sys.modules.get("uvicorn")
    return str(getattr(module, "__version__", "unknown"))
