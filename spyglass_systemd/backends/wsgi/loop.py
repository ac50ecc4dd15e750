"""A worker's loop for WSGI: gives each connection its turn. Knows no HTTP; blocks nowhere but in the app."""

from __future__ import annotations

import select
import sys
from math import inf
from time import monotonic, monotonic_ns

from spyglass_systemd.backends import forked
from spyglass_systemd.backends.access import AccessLog
from spyglass_systemd.backends.wsgi.connection import Connection
from spyglass_systemd.backends.wsgi.door import Door
from spyglass_systemd.backends.wsgi.entrance import Entrance
from spyglass_systemd.backends.wsgi.exchange import Exchange
from spyglass_systemd.backends.wsgi.framing import Framing
from spyglass_systemd.backends.wsgi.inline import Inline
from spyglass_systemd.backends.wsgi.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.backends.wsgi.head import Request
    from spyglass_systemd.backends.wsgi.pool import Pool
    from spyglass_systemd.backends.wsgi.wire import Wire
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings

_EVENTS = 64  # a turn
_FINEST = 0.05  # seconds between two looks at all deadlines
_LONGEST = 86400.0  # seconds of one epoll_wait(2): its milliseconds are a C int, 24 days


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve WSGI apps (PEP 3333) until the Master says Stop, or is gone and all is answered."""
    forked.watch()
    access = AccessLog(sys.stdout.fileno(), gate.row.worker) if settings.access_log else None
    service = Service(gate, settings, access)
    loop = Loop(service, [Door(lead, service.rules(lead), service.environ(lead)) for lead in leads])
    try:
        loop.run()
    finally:
        loop.close()


class Loop:
    """`ready`: connections that want a turn without waiting for their socket; `runner` runs the app."""

    def __init__(self, service: Service, doors: list[Door]) -> None:
        self.service = service
        self.ready: list[Connection] = []
        self._gate = service.gate
        self._epoll = select.epoll()
        self._entrance = Entrance(self._epoll, doors)
        self._told_exhausted = self._told_full = False
        self._connections: dict[int, Connection] = {}
        self._sweep_at = inf
        self._pool: Pool | None = None
        self._oneshot = 0
        if service.threads > 1:
            from spyglass_systemd.backends.wsgi.pool import Pool  # noqa: PLC0415  # threading is 5 ms at a wake

            self._pool = Pool(service, service.threads)
            self._oneshot = select.EPOLLONESHOT  # a connection that is with the pool shall not wake the loop
            self._epoll.register(self._pool.fileno(), select.EPOLLIN)
        self.runner: Inline | Pool = self._pool or Inline(service, self.ready)
        if service.screen:
            from spyglass_systemd.backends.wsgi.screened import screened  # noqa: PLC0415  # for those who list some

            self.answer = screened(self, service.screen, self.answer)  # type: ignore[method-assign, assignment]
        self._made: type[Connection] = Connection
        if service.introduced:
            from spyglass_systemd.backends.wsgi.introduced import Introduced  # noqa: PLC0415  # for those who want it

            self._made = Introduced

    def run(self) -> None:
        """Until the gate says that it is over."""
        oneshot = self._oneshot
        gate, connections, ready, poll = self._gate, self._connections, self.ready, self._epoll.poll
        self._epoll.register(gate.fileno(), select.EPOLLIN)
        self._entrance.open()
        gate.start()
        while not gate.stopped:
            others = []
            for fd, event in poll(self._wait(), _EVENTS):
                connection = connections.get(fd)
                if connection is not None:
                    if oneshot:
                        connection.mask = 0
                    connection.on_event(event)
                else:
                    others.append(fd)
            if ready:
                turn = ready.copy()
                ready.clear()
                for connection in turn:
                    connection.resume()
            if others:
                self._attend(others)
            self._keep_time()
            if self.service.access is not None:
                self.service.access.flush()
            gate.settle()

    def close(self) -> None:
        """Let go of everything."""
        for connection in list(self._connections.values()):
            connection.lose()
        self._entrance.leave()
        self._epoll.close()

    def _wait(self) -> float:
        if self.ready:
            return 0.0
        until = min(self._sweep_at, self._entrance.reopens)
        wait = inf if until == inf else max(0.0, until - monotonic())
        if self._pool is not None:
            wait = min(wait, self._pool.start())
        return -1.0 if wait == inf else min(wait, _LONGEST)

    def _attend(self, others: list[int]) -> None:
        """What is no connection of a client: the Master, the pool, the listeners last."""
        gate = self._gate
        if gate.fileno() in others:
            gate.receive()
            for door, sock, address in self._entrance.admit(gate.visitors()):
                self._welcome(door, sock, address)
            self._obey()
        if self._pool is not None and self._pool.fileno() in others:
            for connection in self._pool.collect():
                connection.proceed()
        for door, sock, address in self._entrance.turn(others):
            self._welcome(door, sock, address)
        if not self._has_room and gate.accepting and not self._entrance.full:
            self._fill(others)

    @property
    def _has_room(self) -> bool:
        return len(self._connections) < self.service.max_connections

    def _fill(self, others: list[int]) -> None:
        """As many are in as may be: the others wait in the backlog, for a sibling or for somebody here to leave."""
        for door, sock, address in self._entrance.fill(others):
            self._welcome(door, sock, address)
        if not self._told_full:
            self._told_full = True
            self._gate.say("full", 4, f"max_connections={self.service.max_connections}: others wait in the backlog")

    def _obey(self) -> None:
        """Do what the Master wants."""
        gate, entrance = self._gate, self._entrance
        if gate.closing and not self.service.closing:
            self.service.closing = True
            for connection in self._connections.values():
                connection.last_call()
        if gate.accepting and not self._has_room:
            guests, entrance.full = [], True
        elif gate.accepting:
            entrance.open()
            guests = entrance.one_more() if gate.nudged() else []
        else:
            guests = entrance.one_more() if gate.closing else []
            entrance.shut()
            if gate.last_call:
                guests += entrance.everybody()
        for door, sock, address in guests:
            self._welcome(door, sock, address)
        if not gate.accepting:
            if gate.closing:
                entrance.leave()
            gate.leave_listeners()
        if gate.orphaned:
            self._epoll.unregister(gate.fileno())

    def _welcome(self, door: Door, sock: _socket.socket, address: Any) -> None:
        environ, peer = door.environ, "unix"
        if isinstance(address, tuple):
            environ = environ.copy()
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
            peer = f"{address[0]}:{address[1]}"
        self._gate.opened(peer, door.listener)
        connection = self._made(self, sock, Framing(door.rules, environ), self.runner.outlet(sock), door.app)
        self._connections[connection.fd] = connection
        self.arm(connection, self.service.header_timeout)
        connection.read()  # most have sent their request by now

    def _keep_time(self) -> None:
        """Deadlines that have come, and listeners that are to be tried again."""
        entrance, now = self._entrance, monotonic()
        if now >= self._sweep_at:
            self._sweep_at = inf
            for connection in list(self._connections.values()):
                if connection.deadline <= now:
                    connection.expire()
            soonest = min((connection.deadline for connection in self._connections.values()), default=inf)
            self._sweep_at = max(soonest, now + _FINEST)
        if entrance.exhausted and not self._told_exhausted:
            self._told_exhausted = True
            self._gate.say("exhausted", 3, f"no connections can be accepted for the moment: {entrance.exhausted}")
        if self._has_room and (entrance.full or now >= entrance.reopens) and self._gate.accepting:
            entrance.open()

    # ### What a connection asks for

    def arm(self, connection: Wire, seconds: float) -> None:
        """Have it `expire` in `seconds`."""
        deadline = connection.deadline = monotonic() + seconds
        self._sweep_at = min(self._sweep_at, deadline)

    def watch(self, fd: int, before: int, mask: int) -> None:
        """Change what epoll tells of a socket; -1 stands for nothing at all."""
        if before < 0:
            self._epoll.register(fd, mask | self._oneshot)
        elif mask < 0:
            self._epoll.unregister(fd)
        else:
            self._epoll.modify(fd, mask | self._oneshot)

    def forget(self, connection: Wire) -> None:
        """It is about to be closed."""
        del self._connections[connection.fd]
        self._gate.closed()

    def answer(self, connection: Connection, request: Request) -> None:
        """Give a request that has come to the app."""
        environ = connection.framing.environ
        exchange = connection.exchange = Exchange(self.service, connection.app, environ, request, connection.outlet)
        if request.length:
            exchange.input = environ["wsgi.input"]
        if self.service.access is not None:
            connection.began_ns = monotonic_ns()
        self._gate.began()
        self.runner.run(connection, exchange)

    def answered(self, connection: Connection, exchange: Exchange) -> None:
        """The response is out, or its client is gone."""
        self._gate.answered()
        if self.service.access is not None:
            self.service.log(connection.framing, exchange.code, exchange.sent, connection.began_ns)

    def refused(self, connection: Connection, code: int) -> None:
        """A request never came to the app."""
        if self.service.access is not None:
            self.service.log(connection.framing, code, 0, 0)
