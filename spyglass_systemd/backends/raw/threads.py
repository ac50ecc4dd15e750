"""Raw connections for a blocking handler: `threads` at a time, each in a thread of its own. Knows no protocol."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections import deque

from spyglass_systemd.backends import forked
from spyglass_systemd.backends.aio import peer_name
from spyglass_systemd.backends.trouble import told
from spyglass_systemd.words.listener import AF_UNIX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.backends.preface import Introductions
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings

_ERROR, _WARNING = 3, 4  # syslog(3)
_SHORT = 0.5  # seconds without accepting when the process is short of descriptors
_SILENCE = 2.0  # seconds without a byte after which we no longer wait for the client's end
_LONGEST = 24 * 86400.0  # seconds that a socket can wait: the milliseconds of poll(2) are a C int
_UNREAD = 64  # reads of 64 KiB, at most, of what a handler did not want
_LAST_WORDS = 0.8  # of `drain`: then a handler sees the end of its input, before the Master ends it

# ### Why is nothing accepted while all threads are at work?
# Because a connection in the backlog is anybody's: another worker takes it, or the next Master. One that is accepted
# here waits for a handler that may be talking for an hour.


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve until the gate is `stopped`."""
    forked.watch()
    _Server(leads, gate, settings).run()


class _Server:
    def __init__(self, leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
        self._listeners = {lead.listener.fd: (lead, socket.socket(fileno=lead.listener.fd)) for lead in leads}
        self._gate = gate
        self._threads = settings.threads
        self._drain = settings.drain
        self._introductions: Introductions | None = None
        if settings.proxy_protocol:
            from spyglass_systemd.backends.preface import Introductions  # noqa: PLC0415  # where it is asked for

            self._introductions = Introductions(settings, gate)
        silence = settings.max_stream_idle
        self._silence = silence if silence is None else min(silence, _LONGEST)
        self._poll = select.poll()
        self._listening = False
        self._talking: set[socket.socket] = set()
        self._done: deque[tuple[socket.socket, BaseException | None]] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._last_words: threading.Timer | None = None

    def run(self) -> None:
        gate = self._gate
        self._poll.register(gate.fileno(), select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)
        gate.start()
        while True:
            self._heed()
            gate.settle()
            if gate.stopped:
                break
            for fd, _ in self._poll.poll():
                if fd == gate.fileno():
                    gate.receive()
                    if gate.orphaned:
                        self._poll.unregister(fd)
                elif fd == self._bell:
                    self._bury()
                elif fd in self._listeners and len(self._talking) < self._threads:
                    self._accept(fd)
        if self._last_words is not None:
            self._last_words.cancel()
        os.close(self._bell)

    def _heed(self) -> None:
        """Bring the listeners in line with what the gate says and with how many handlers are free."""
        gate = self._gate
        wanted = gate.accepting and len(self._talking) < self._threads
        if wanted != self._listening:
            self._listening = wanted
            for fd in self._listeners:
                if wanted:
                    self._poll.register(fd, select.POLLIN)
                else:
                    self._poll.unregister(fd)
        if not gate.accepting and self._listeners and gate.closing:
            for fd in list(self._listeners) if gate.last_call else ():
                while self._accept(fd):
                    pass
            for _, sock in self._listeners.values():
                sock.detach()  # the gate closes the descriptor
            self._listeners = {}
            gate.leave_listeners()
            self._last_words = threading.Timer(self._drain * _LAST_WORDS, self._end_input)
            self._last_words.daemon = True
            self._last_words.start()

    def _accept(self, fd: int) -> bool:
        lead, sock = self._listeners[fd]
        listener = lead.listener
        try:
            connection, address = sock.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        except OSError as error:  # EMFILE and friends
            self._gate.say("accept_failed", _WARNING, f"{error.strerror}: connections wait in the backlog")
            select.poll().poll(_SHORT * 1000)
            return False
        connection.settimeout(self._silence)  # None is blocking
        if listener.family != AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._gate.opened(peer_name(address), listener)
        self._gate.began()
        self._talking.add(connection)
        try:
            threading.Thread(target=self._talk, args=(lead.app, connection, address), daemon=True).start()
        except RuntimeError as error:  # TasksMax=, and somebody has been accepted
            self._gate.say("thread_failed", _WARNING, str(error))
            self._talk(lead.app, connection, address)
        return True

    def _talk(self, app: Any, connection: socket.socket, address: Any) -> None:
        """In a thread of its own."""
        trouble: BaseException | None = None
        try:
            if self._introductions is not None:
                address = self._introductions.meet(connection, address)
            if isinstance(app, type):
                app(connection, address, self)  # socketserver.BaseRequestHandler(request, client_address, server)
            else:
                app(connection, address)
        except BaseException as error:  # noqa: BLE001  # the app may raise what it likes
            trouble = error
        if forked.child:
            forked.leave(trouble)
        _see_off(connection)
        self._done.append((connection, trouble))
        os.eventfd_write(self._bell, 1)

    def _bury(self) -> None:
        os.eventfd_read(self._bell)
        while self._done:
            connection, trouble = self._done.popleft()
            self._talking.discard(connection)
            connection.close()
            self._gate.answered()
            self._gate.closed()
            if self._introductions is not None:
                self._introductions.report(trouble)
            if trouble is not None and not isinstance(trouble, ConnectionError | TimeoutError):
                self._gate.say("handler_failed", _ERROR, told(trouble))

    def _end_input(self) -> None:
        """`drain` is nearly over: who still reads sees the end, as if his client had said all."""
        for connection in list(self._talking):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                continue


def _see_off(connection: socket.socket) -> None:
    """Say our end. What is left unread would turn the close into a reset, which overtakes what was sent: read that."""
    with contextlib.suppress(OSError):  # reset by the client, or closed by its handler
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(0)
        for _ in range(_UNREAD):
            if not connection.recv(65536):
                break
            connection.settimeout(_SILENCE)  # who has said more than was wanted may be saying more
