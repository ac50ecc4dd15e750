"""One request given to the app, and the app's response, by PEP 3333. Knows no socket: it has an outlet."""

from __future__ import annotations

import os

from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.files import FileWrapper
from spyglass_systemd.backends.wsgi.response import UNKNOWN, prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context
    from types import TracebackType
    from typing import Any, BinaryIO

    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.backends.wsgi.outlet import Outlet
    from spyglass_systemd.backends.wsgi.response import Head
    from spyglass_systemd.backends.wsgi.service import Service

_SMALL = 64 * 1024  # bytes up to which it is cheaper to copy than to call the kernel twice


class Exchange:
    """One request and its response.

    `call` runs the app until its response is `done` or the outlet is full; then it is called again when the outlet is
    empty. `keep`: the response said that the connection stays; `broken`: it ended before its time, which the client
    must see; `sent`: bytes of body.
    """

    __slots__ = (
        "_app",
        "_chunked",
        "_environ",
        "_head",
        "_iterator",
        "_left",
        "_mute",
        "_outlet",
        "_overrun",
        "_result",
        "_service",
        "begun",
        "broken",
        "context",
        "done",
        "input",
        "keep",
        "request",
        "sent",
        "since_ns",
    )

    def __init__(
        self, service: Service, app: Callable[..., Any], environ: dict[str, Any], request: Request, outlet: Outlet
    ) -> None:
        self._service = service
        self._app = app
        self._environ = environ
        self.request = request
        self._outlet = outlet
        self._head: Head | None = None
        self._result: Any = None
        self._iterator: Iterator[bytes] | None = None
        self._left = UNKNOWN  # bytes of body that the head promised and that have not come
        self._chunked = False
        self._overrun = False
        self._mute = False  # no body goes out, whatever the app yields
        self.input: BinaryIO | None = None  # a body that lies in a file, to be closed
        self.keep = request.keep
        self.begun = False
        self.done = False
        self.broken = False
        self.sent = 0
        self.context: Context | None = None  # where it is called, so that suspended ones do not see each other's
        self.since_ns = 0  # since when the app runs without having yielded anything

    @property
    def endless(self) -> bool:
        """Only the end of the connection is the end of the body."""
        return self.begun and self._left == UNKNOWN and not self._chunked and not self._mute

    @property
    def code(self) -> int:
        """The status that was sent."""
        return self._head.code if self._head else 500

    def call(self) -> None:
        """Run the app; never raises."""
        try:
            if self._iterator is None:
                result = self._result = self._app(self._environ, self.start_response)
                kind = type(result)
                if (kind is list or kind is tuple) and not self.begun:
                    self._send_whole(result)
                elif kind is not FileWrapper or self.begun or not self._send_file(result):
                    self._iterator = iter(result)
            if self._iterator is not None:
                for chunk in self._iterator:
                    if chunk:
                        self._send(chunk)
                        if self._outlet.full or self._service.progress(self):
                            return
                self._finish()
        except BaseException as error:  # noqa: BLE001  # whatever an app raises, SystemExit too, ends one request only
            self._fail(error)
        self.close()

    def start_response(
        self,
        status: str,
        headers: Iterable[tuple[str, str]],
        exc_info: tuple[type[BaseException], BaseException, TracebackType] | None = None,
    ) -> Callable[[bytes], None]:
        """PEP 3333. Raises TypeError, ValueError or AssertionError for what the app must not say."""
        if exc_info:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a cycle through the frame
        elif self._head is not None:
            raise AssertionError("start_response was called twice, and without exc_info")
        self._head = prepare(status, headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """The callable that start_response returns."""
        self._send(data)
        if data:
            self._service.progress(self)

    def _send(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"a response consists of bytes, not {type(data).__name__}")
        if self.done:
            raise AssertionError("write was called after the response was done")
        if not data:
            return
        head = b"" if self.begun else self._begin(UNKNOWN)
        if self._mute:
            if head:
                self._outlet.put(head)
            return
        if self._left != UNKNOWN:
            if len(data) > self._left:
                data = self._cut(data)
            self._left -= len(data)
        self.sent += len(data)
        if self._chunked:
            self._put(head + b"%x\r\n" % len(data), data, b"\r\n")
        else:
            self._put(head, data, b"")

    def _put(self, before: bytes, data: bytes, after: bytes) -> None:
        if len(data) <= _SMALL:
            data = before + data + after
            if data:
                self._outlet.put(data)
            return
        for part in (before, data, after):
            if part:
                self._outlet.put(part)

    def close(self) -> None:
        """The response is done, or nobody wants it any more: tell the app, once."""
        self.done = True
        result, self._result, self._iterator = self._result, None, None
        try:
            if hasattr(result, "close"):
                result.close()
            if self.input is not None:
                self.input.close()
        except BaseException as error:  # noqa: BLE001  # as in call
            self._service.blame(self.request, error)

    def _begin(self, size: int) -> bytes:
        """The head, when the first byte is there or none will come; `size` of the body where it is known."""
        head = self._head
        if head is None:
            raise AssertionError("the app did not call start_response")
        request = self.request
        mute = head.bodiless or request.method == "HEAD"
        if head.length > size >= 0 and not mute:
            raise ValueError(f"the response has {size} bytes, its Content-Length is {head.length}")
        data = head.data + self._frame(head, size, mute=mute)
        if not head.dated:
            data += self._service.date.line()
        if head.last or self._service.closing:
            self.keep = False
        if not self.keep:
            data += b"Connection: close\r\n"
        elif not request.minor:
            data += b"Connection: keep-alive\r\n"
        self._mute = mute
        self.begun = True
        return data + b"\r\n"

    def _frame(self, head: Head, size: int, *, mute: bool) -> bytes:
        """How the client will know where the body ends."""
        if head.length != UNKNOWN or head.bodiless:
            self._left = head.length
            return b""
        if size > 0 or (size == 0 and not mute):
            self._left = size
            return b"Content-Length: %d\r\n" % size
        if mute:
            return b""
        if self.request.minor:
            self._chunked = True
            return b"Transfer-Encoding: chunked\r\n"
        self.keep = False  # HTTP/1.0: the end of the connection is the end of the body
        return b""

    def _send_whole(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """The body is there in one: so is its length."""
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not isinstance(body, bytes):
            raise TypeError(f"a response consists of bytes, not {type(body).__name__}")
        head = self._begin(len(body))
        if self._mute:
            body = b""
        elif self._left < len(body):
            body = self._cut(body)
        self.sent = len(body)
        self._left -= len(body)
        self._put(head, body, b"")

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Let the kernel send a file, where it can."""
        stretch = wrapper.stretch()
        if stretch is None:
            return False
        fd, offset, size = stretch
        self._outlet.put(self._begin(size))
        if not self._mute:
            self.sent = min(size, self._left)
            self._outlet.put_file(os.dup(fd), offset, self.sent)  # the app may close its own at once
        return True

    def _finish(self) -> None:
        """The app has no more to yield."""
        if not self.begun:
            self._outlet.put(self._begin(0))
        elif self._chunked:
            self._outlet.put(b"0\r\n\r\n")
        elif self._left > 0 and not self._mute:
            self.broken = True
            self._complain(f"{self._left} bytes less than its Content-Length says")

    def _cut(self, data: bytes) -> bytes:
        if not self._overrun:
            self._overrun = True
            self._complain("more bytes than its Content-Length says; they are dropped")
        return data[: self._left]

    def _fail(self, error: BaseException) -> None:
        self._service.blame(self.request, error)
        if self.begun:
            self.broken = True
        else:
            self.keep, self.begun, self._head = False, True, None
            self._outlet.put(refusal.answer(500, "", self._service.date.line(), body=self.request.method != "HEAD"))

    def _complain(self, what: str) -> None:
        self._service.tell(f"{self.request.method} {self.request.target}: the response has {what}\n")
