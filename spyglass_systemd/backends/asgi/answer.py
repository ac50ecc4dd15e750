"""An ASGI app's answer as bytes of HTTP/1, in place of uvicorn's own where that reads by httptools. Knows no socket.

By the rules of the WSGI worker: what an app says never moves the border between two answers (RFC 9112, section 6).
"""

from __future__ import annotations

import http
import types

from spyglass_systemd.backends.wsgi.bounds import TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# ### Why is uvicorn's not used?
# Because by httptools it sends what it is given: a body behind a 304, which the next client of a proxy takes for his
# answer; a length and chunks in one head; chunks to HTTP/1.0. To look at each message before it costs a request more
# than all that we do with it. To write the head ourselves costs less than uvicorn's: a name is checked when it is seen
# first, and all values in one look. With h11, uvicorn's is used: h11 has these rules.

_START, _BODY = "http.response.start", "http.response.body"
_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
_TOKEN = "".join(sorted(TOKEN)).encode()
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 64
_MOST_DIGITS = 18  # of a Content-Length: what clients count in 64 bits
_BODILESS = (204, 304)

_PLAIN, _LENGTH, _CONNECTION, _CODING = range(4)  # what a field means to us
_SPECIAL = {b"content-length": _LENGTH, b"connection": _CONNECTION, b"transfer-encoding": _CODING}
_names: dict[bytes, tuple[bytes, int]] = {}


def _line(code: int) -> bytes:
    try:
        return f"HTTP/1.1 {code} {http.HTTPStatus(code).phrase}\r\n".encode()
    except ValueError:
        return f"HTTP/1.1 {code} \r\n".encode()


_lines = {code: _line(code) for code in range(200, 600)}  # 1xx is not the app's to send


def answering(uvicorns: Any) -> Any:
    """The `on_headers_complete` of uvicorn's protocol by httptools, with our answer in place of its own."""
    made = uvicorns.on_headers_complete
    cycle = type("Answer", (Answer, made.__globals__["RequestResponseCycle"]), {})
    names = {**made.__globals__, "RequestResponseCycle": cycle}
    return types.FunctionType(made.__code__, names, made.__name__, made.__defaults__, made.__closure__)


class Answer:
    """What is put before uvicorn's RequestResponseCycle, whose attributes these are."""

    flow: Any
    transport: Any
    scope: Any
    message_event: Any
    on_response: Callable[[], None]
    default_headers: list[tuple[bytes, bytes]]
    disconnected: bool
    keep_alive: bool
    waiting_for_100_continue: bool
    response_started: bool
    response_complete: bool
    chunked_encoding: bool | None
    expected_content_length: int | None
    _mute: bool  # ours: no body is sent, whatever the app says

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started:
            if kind != _START:
                raise RuntimeError(f"the first message of an answer is {_START}, not {kind}")
            head = self._begin(message["status"], message.get("headers", ()))
            self.response_started = True
            self.waiting_for_100_continue = False
            self.transport.write(head)
            return
        if kind != _BODY or self.response_complete:
            raise RuntimeError(f"no {kind} comes behind {'the end' if self.response_complete else _START}")
        more = message.get("more_body", False)
        if self.chunked_encoding:
            self._chunk(message.get("body", b""), more=more)
        elif not self._mute:
            self._say(message.get("body", b""), more=more)
        if not more:
            self._end()
        elif self.flow.write_paused and not self.disconnected:
            # Now, and not when the app has the next piece in its hands: who is slow costs one piece, and not two.
            del message
            await self.flow.drain()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _begin(self, status: Any, headers: Any) -> bytes:
        """The head. Raises RuntimeError for what could split an answer, KeyError for a status that is none."""
        lines = [_lines[status]]
        length, closes = None, False
        for name, value in [*self.default_headers, *headers]:
            start, meaning = _names.get(name) or _learn(name)
            if meaning:
                if meaning == _CODING:
                    continue
                if meaning == _CONNECTION:
                    closes = closes or b"close" in value.lower()
                else:
                    number = _number(value)
                    if status == 204 or number == length:  # RFC 9110, 8.6: it has none, and nobody has two
                        continue
                    if length is not None:
                        raise RuntimeError("more than one Content-Length")
                    length = number
            lines += start, value, b"\r\n"
        if closes:
            self.keep_alive = False
        elif not self.keep_alive:
            lines += b"connection: ", b"close", b"\r\n"
        head = b"".join(lines)
        if len(head.translate(None, _TEXT)) != (len(lines) - 1) // 3 * 2 + 2:
            raise RuntimeError(f"a control character in a header: {lines!r}")
        self._mute = status in _BODILESS or self.scope["method"] == "HEAD"
        self.expected_content_length = length
        self.chunked_encoding = length is None and not self._mute and self.scope["http_version"] == "1.1"
        return head + (b"transfer-encoding: chunked\r\n\r\n" if self.chunked_encoding else b"\r\n")

    def _say(self, body: bytes, *, more: bool) -> None:
        left = self.expected_content_length
        if left is not None:  # else it ends with the connection, as for HTTP/1.0
            left -= len(body)
            if left < 0:
                raise RuntimeError("an answer that is longer than its Content-Length")
            self.expected_content_length = left
        self.transport.write(body)
        if left and not more:
            raise RuntimeError("an answer that is shorter than its Content-Length")

    def _chunk(self, body: bytes, *, more: bool) -> None:
        piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        self.transport.write(piece if more else piece + b"0\r\n\r\n")


def _learn(name: Any) -> tuple[bytes, int]:
    if not name or name.translate(None, _TOKEN):
        raise RuntimeError(f"no valid name of a header: {name!r}")
    lower = bytes(name.lower())
    known = lower + b": ", _SPECIAL.get(lower, _PLAIN)
    if len(_names) >= _MOST_REMEMBERED:
        _names.clear()
    if len(name) <= _LONGEST_REMEMBERED:
        _names[name] = known
    return known


def _number(value: bytes) -> int:
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        raise RuntimeError(f"Content-Length must be a number of up to {_MOST_DIGITS} digits, not {value!r}")
    return int(value)
