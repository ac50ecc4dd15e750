"""The asyncio half of a backend: accepts on our listeners while the gate says so. Knows no protocol."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys

from spyglass_systemd.words.listener import AF_UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.listener import Listener

_AT_ONCE = 16  # connections accepted in one turn: the siblings shall have some too
_SHORT = 0.5  # seconds without accepting when the process is short of descriptors
_WARNING = 4  # syslog(3)


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop of uvloop where that is installed, else of asyncio."""
    try:
        import uvloop  # noqa: PLC0415  # optional
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def run(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end and leave nothing of the loop behind."""
    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def peer_name(address: object) -> str:
    """A peer's address for the log."""
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "unix"


class Doorkeeper:
    """Accepts, and calls `welcome(connection, address, listener)`, a coroutine function, for each connection.

    A connection is counted as opened before that, and is the callee's to count as closed. `last_answers` is called
    once, when there is no way back. `over` is done when the Master says Stop. Beyond `most` open connections nobody is
    accepted: they wait in the backlog.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listeners: tuple[Listener, ...],
        gate: Gate,
        welcome: Callable[[socket.socket, Any, Listener], Coroutine[Any, Any, None]],
        last_answers: Callable[[], None],
        *,
        most: int,
    ) -> None:
        self._loop = loop
        self._gate = gate
        self._most = most
        self._told_full = False
        self._welcome = welcome
        self._last_answers = last_answers
        self._listeners = [(listener, socket.socket(fileno=listener.fd)) for listener in listeners]
        self._listening = False
        self._closing = False
        self._welcoming: set[asyncio.Task[None]] = set()
        self.over: asyncio.Future[None] = loop.create_future()

    def open(self) -> None:
        """Accept from now on, and tell the Master."""
        self._loop.add_reader(self._gate.fileno(), self._on_gate)
        self._gate.start()
        self._heed()

    def _on_gate(self) -> None:
        self._gate.receive()
        for fd, listener in self._gate.visitors():
            connection = socket.socket(fileno=fd)
            try:
                self._admit(connection, connection.getpeername(), listener)
            except OSError:  # ENOTCONN: he is gone already
                connection.close()
        if self._gate.orphaned:
            self._loop.remove_reader(self._gate.fileno())
        self._heed()

    def _heed(self) -> None:
        """Bring the listeners in line with what the gate says now."""
        if self._gate.accepting:
            self._listen()
        elif not self._gate.accepting and (self._listening or (self._gate.closing and self._listeners)):
            self._stop_listening()
        if self._gate.closing and not self._closing:
            self._closing = True
            self._last_answers()
        self.settle()

    def _listen(self) -> None:
        if not self._listening and self._gate.row.open < self._most:
            self._listening = True
            for listener, sock in self._listeners:
                self._loop.add_reader(sock.fileno(), self._accept, listener, sock)

    def settle(self) -> None:
        """Report quiet if all is; call after the last connection or request has ended."""
        if self._gate.accepting:
            self._listen()
        self._gate.settle()
        if self._gate.stopped and not self.over.done():
            self.over.set_result(None)

    def _stop_listening(self) -> None:
        self._listening = False
        for listener, sock in self._listeners:
            if self._gate.last_call:
                self._accept(listener, sock, at_once=sys.maxsize)
            self._loop.remove_reader(sock.fileno())
        if self._gate.closing:
            for _, sock in self._listeners:
                sock.detach()  # the gate closes the descriptor
            self._listeners = []
        self._gate.leave_listeners()

    def _accept(self, listener: Listener, sock: socket.socket, at_once: int = _AT_ONCE) -> None:
        for _ in range(at_once):
            if self._gate.accepting and self._gate.row.open >= self._most:
                self._fill()
                return
            try:
                connection, address = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    raise
                self._rest(listener, sock, error)
                return
            self._admit(connection, address, listener)

    def _admit(self, connection: socket.socket, address: Any, listener: Listener) -> None:
        connection.setblocking(False)
        if listener.family != AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._gate.opened(peer_name(address), listener)
        task = self._loop.create_task(self._welcome(connection, address, listener))
        self._welcoming.add(task)
        task.add_done_callback(self._welcoming.discard)

    def _fill(self) -> None:
        """As many are in as may be."""
        if not self._listening:
            return
        self._listening = False
        for _, sock in self._listeners:
            self._loop.remove_reader(sock.fileno())
        if not self._told_full:
            self._told_full = True
            self._gate.say("full", _WARNING, f"max_connections={self._most}: others wait in the backlog")

    def _rest(self, listener: Listener, sock: socket.socket, error: OSError) -> None:
        self._gate.say("accept_failed", _WARNING, f"{error.strerror}: connections wait in the backlog")
        self._loop.remove_reader(sock.fileno())

        def again() -> None:
            if self._listening:
                self._loop.add_reader(sock.fileno(), self._accept, listener, sock)

        self._loop.call_later(_SHORT, again)
