"""Runs the app in the loop's own thread, for `threads` = 1; the pool is its sibling. Knows no epoll."""

from __future__ import annotations

from _contextvars import copy_context
from time import monotonic_ns

from spyglass_systemd.backends.wsgi.outlet import Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from spyglass_systemd.backends.wsgi.connection import Connection
    from spyglass_systemd.backends.wsgi.exchange import Exchange
    from spyglass_systemd.backends.wsgi.service import Service

# ### May an app hold the loop for ever by yielding for ever?
# No. After each chunk that it yields it gives way once it has had its slice, and goes on when the others had theirs. So
# does one that yields nothing, because it is not ready; but that is no progress, and it is as busy as before.
#
# ### Why does each exchange have a context of its own?
# Because several may be suspended at once, each in the middle of an iterable, and what one of them has pushed (the
# request that Flask calls current) must not be found by another, nor popped out of order.

_SLICE_NS = 20_000_000


class Inline:
    """`ready`: where connections wait whose app has given way."""

    def __init__(self, service: Service, ready: list[Connection]) -> None:
        self._row = service.gate.row
        self._busy = self._row.busy
        self._note = service.gate.note
        self._ready = ready
        self._budget = service.budget
        self._slice_ns = 0
        self._turn: Connection | None = None  # whose it is
        service.progress = self._progress
        service.wrote = self._wrote
        service.waits = self._waits

    def outlet(self, sock: _socket.socket) -> Outlet:
        """The sending side of a new connection."""
        return Outlet(sock, self._budget)

    def run(self, connection: Connection, exchange: Exchange) -> None:
        """Until the exchange is done, its client is full, or its slice is over."""
        context = exchange.context
        self._slice_ns = since = monotonic_ns()
        if context is None:
            context = exchange.context = copy_context()
        elif exchange.since_ns:
            since, exchange.since_ns = exchange.since_ns, 0
        self._note(exchange.request.line)
        self._busy(since)
        self._turn = connection
        context.run(exchange.call)
        self._turn = None
        self._busy(0)
        if exchange.done or not connection.outlet.empty:
            connection.proceed()
        else:
            connection.give_way()
            self._ready.append(connection)

    def abandon(self, exchange: Exchange) -> None:
        """Nobody wants the rest of it."""
        self._note(exchange.request.line)
        self._busy(monotonic_ns())
        if exchange.context is not None:
            exchange.context.run(exchange.close)
        self._busy(0)

    def _progress(self, _: Exchange) -> bool:
        now = monotonic_ns()
        self._busy(now)
        return now - self._slice_ns > _SLICE_NS

    def _waits(self, exchange: Exchange) -> bool:
        if monotonic_ns() - self._slice_ns <= _SLICE_NS:
            return False
        exchange.since_ns = self._row.busy_since_ns
        return True

    def _wrote(self, exchange: Exchange) -> None:
        self._progress(exchange)
        if self._turn is not None and self._turn.exchange is exchange and not self._turn.outlet.empty:
            self._turn.written()
