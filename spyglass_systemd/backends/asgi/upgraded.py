"""The protocol of a connection that has become a WebSocket: uvicorn's, with a bound for what waits of a message.

Imported for the first one: every other wake would wait 20 ms for it.
"""

from __future__ import annotations

from uvicorn.protocols.websockets import auto

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TOO_BIG = 1009  # RFC 6455, section 7.4.1

# ### Who keeps the bound?
# `websockets` does, in all its versions, packed messages included; it is told by uvicorn's `ws_max_size`. wsproto
# unpacks whatever it is given, in one go: so that is not offered. And the pieces of a message that come from it older
# versions of uvicorn keep without a bound: there we look at what is kept. Of messages that wait behind one another,
# older `websockets` hold as many as 32: here it is one, and a client who sends more waits.


def websocket(**arguments: Any) -> Any:
    """Made as uvicorn's HTTP protocols make theirs."""
    config = arguments["config"]
    uvicorns: Any = auto.AutoWebSocketsProtocol
    if uvicorns.__module__.endswith("wsproto_impl"):
        config.ws_per_message_deflate = False
    made = uvicorns(**arguments)
    if hasattr(made, "max_queue"):
        made.max_queue = 1
    if isinstance(getattr(made, "bytes", None), bytes):  # what wsproto's keeps in older versions, and `text`
        _bound(made, config.ws_max_size)
    return made


def _bound(protocol: Any, size: int) -> None:
    read = protocol.data_received

    def data_received(data: bytes) -> None:
        read(data)
        if len(protocol.bytes) + len(protocol.text) > size:
            _close(protocol)

    protocol.data_received = data_received


def _close(protocol: Any) -> None:
    from wsproto.events import CloseConnection  # noqa: PLC0415  # there if we are

    protocol.bytes, protocol.text = b"", ""
    protocol.queue.put_nowait({"type": "websocket.disconnect", "code": _TOO_BIG})
    protocol.transport.write(protocol.conn.send(CloseConnection(code=_TOO_BIG)))
    protocol.transport.expects_more()  # what is on its way of the message, and the client's close frame
    protocol.transport.close()
