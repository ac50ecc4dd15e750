"""One request given to the app, and what the app does about it, by PEP 3333. Knows no socket and no framing."""

from __future__ import annotations

from spyglass_systemd.backends import forked
from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.files import FileWrapper
from spyglass_systemd.backends.wsgi.reply import Reply
from spyglass_systemd.backends.wsgi.response import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context
    from types import TracebackType
    from typing import Any, BinaryIO

    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.backends.wsgi.outlet import Outlet
    from spyglass_systemd.backends.wsgi.service import Service


class Gone(BrokenPipeError):  # noqa: N818  # it is no error of ours
    """What an app that writes is told; it is nobody's fault, and not told to anybody else."""


class Exchange(Reply):
    """One request and its response.

    `call` runs the app until its response is `done` or the outlet is full; then it is called again when the outlet is
    empty.
    """

    __slots__ = ("_app", "_environ", "_iterator", "_result", "context", "input", "since_ns")

    def __init__(
        self, service: Service, app: Callable[..., Any], environ: dict[str, Any], request: Request, outlet: Outlet
    ) -> None:
        super().__init__(service, request, outlet)
        self._app = app
        self._environ = environ
        self._result: Any = None
        self._iterator: Iterator[bytes] | None = None
        self.input: BinaryIO | None = None  # a body that lies in a file, to be closed
        self.context: Context | None = None  # where it is called, so that suspended ones do not see each other's
        self.since_ns = 0  # since when the app runs without having yielded anything

    def call(self) -> None:
        """Run the app; never raises."""
        try:
            if self._iterator is None:
                result = self._result = self._app(self._environ, self.start_response)
                if forked.child:
                    forked.leave()
                kind = type(result)
                if (kind is list or kind is tuple) and not self.begun:
                    self._send_whole(result)
                elif kind is not FileWrapper or self.begun or not self._send_file(result):
                    self._iterator = iter(result)
            if self._iterator is not None:
                if self._stream(self._iterator):
                    return
                self._finish()
        except BaseException as error:  # noqa: BLE001  # whatever an app raises, SystemExit too, ends one request only
            self._fail(error)
        self.close()

    def _stream(self, chunks: Iterator[bytes]) -> bool:
        """Send what the app yields; true where it is to go on later."""
        for chunk in chunks:
            if forked.child:
                break
            if chunk:
                self._send(chunk)
                if self._mute or self._overrun:
                    break  # whatever follows goes nowhere, and nothing would tell that the client is gone
                if self._outlet.full or self._service.progress(self):
                    return True
            elif self._outlet.gone or self._service.waits(self):
                return True
        if forked.child:
            forked.leave()
        return False

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
        """The callable that start_response returns. Raises BrokenPipeError where the client is gone."""
        if forked.child:
            raise RuntimeError("a child that the app has forked cannot answer: the worker does")
        if self._outlet.gone and not self.done:
            raise Gone("the client is gone, or was given up")
        self._send(data)
        if data and not (self._mute or self._overrun):  # what goes nowhere is no progress
            self._service.wrote(self)

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
            if forked.child:
                forked.leave(error)
            self._service.blame(self.request, error)
        if forked.child:
            forked.leave()

    def _fail(self, error: BaseException) -> None:
        if forked.child:
            forked.leave(error)
        if isinstance(error, Gone):
            self.broken = True
            return
        self._service.blame(self.request, error)
        if self.begun:
            self.broken = True
        else:
            self.keep, self.begun, self._head = False, True, None
            self._outlet.say(refusal.answer(500, "", self._service.date.line(), body=self.request.method != "HEAD"))
