"""The response to one request as bytes: its head, and where its body ends. Knows no app; it has an outlet."""

from __future__ import annotations

import os

from spyglass_systemd.backends.wsgi.response import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.backends.wsgi.files import FileWrapper
    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.backends.wsgi.outlet import Outlet
    from spyglass_systemd.backends.wsgi.response import Head
    from spyglass_systemd.backends.wsgi.service import Service

_SMALL = 64 * 1024  # bytes up to which it is cheaper to copy than to call the kernel twice


class Reply:
    """`begun`: the head is out. `keep`: it said that the connection stays.

    `done`: the body is whole; `broken`: it ended before its time, which the client must see. `sent`: bytes of body.
    """

    __slots__ = (
        "_chunked",
        "_head",
        "_left",
        "_mute",
        "_outlet",
        "_overrun",
        "_service",
        "begun",
        "broken",
        "done",
        "keep",
        "request",
        "sent",
    )

    def __init__(self, service: Service, request: Request, outlet: Outlet) -> None:
        self._service = service
        self.request = request
        self._outlet = outlet
        self._head: Head | None = None
        self._left = UNKNOWN  # bytes of body that the head promised and that have not come
        self._chunked = False
        self._overrun = False
        self._mute = False  # no body goes out, whatever the app yields
        self.keep = request.keep
        self.begun = False
        self.done = False
        self.broken = False
        self.sent = 0

    @property
    def endless(self) -> bool:
        """Only the end of the connection is the end of the body."""
        return self.begun and self._left == UNKNOWN and not self._chunked and not self._mute

    @property
    def code(self) -> int:
        """The status that was sent."""
        return self._head.code if self._head else 500

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

    def _complain(self, what: str) -> None:
        self._service.tell(f"{self.request.method} {self.request.target}: the response has {what}\n")
