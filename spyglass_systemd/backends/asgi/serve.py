"""An ASGI worker: gives each connection to uvicorn, counts it, and sees it off. Accepts nothing itself."""

from __future__ import annotations

import sys
import time
from email.utils import formatdate

from spyglass_systemd.backends import aio, astray
from spyglass_systemd.backends.asgi import names
from spyglass_systemd.backends.asgi.books import Connections, Tasks
from spyglass_systemd.backends.asgi.connection import protocol_factory
from spyglass_systemd.backends.asgi.lifespan import Lifespan
from spyglass_systemd.backends.asgi.noted import noted
from spyglass_systemd.backends.asgi.origin import origins
from spyglass_systemd.backends.asgi.state import State
from spyglass_systemd.words.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable
    from typing import Any, NoReturn

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.backends.preface import Introductions
    from spyglass_systemd.words.listener import Lead, Listener
    from spyglass_systemd.words.options import Settings

_BEAT = 1.0  # seconds between two looks at the connections, while there are any
_GRACE = 1.0  # seconds for a request already on its way, when an idle connection is about to be closed
_STREAMS_END = 0.8  # of `drain`: then what still streams is ended in order, before the Master ends it without
_WARNING = 4  # syslog(3)
_ASK, _SEND, _TAKE = "ask", "send", "take"  # what a client may owe: a request's head, its body; to take an answer

# ### What unmodified uvicorn loses
# At shutdown it closes, in one tick, every connection that has no request under way. But a connection that was accepted
# a moment ago has its request on the wire, and one that is kept alive may have: their clients see a reset. So here a
# connection is left open until it has been answered, or has been silent for `header_timeout`; the answer says
# `Connection: close`; and a connection that is only kept alive gets a second for a request that may be on its way.
#
# ### Who ends a connection that says nothing?
# Nobody in uvicorn: a half head waits for ever, and keeps the app awake for ever. So while there are connections a
# heartbeat looks at them once a second. It also shows that the loop runs: app code that blocks it is seen by the Master
# as busy since the last beat, and ended after `request_timeout`. So it costs a request nothing, and catches a callback
# that blocks, too. Without connections nothing beats.


def serve(leads: tuple[Lead, ...], gate: Gate, settings: Settings) -> None:
    """Serve until the gate is `stopped`. Raises AppError where an app's startup fails."""
    loop = aio.new_loop()
    aio.run(loop, _Server(loop, leads, gate, settings).run())


def _tasks(settings: Settings, *arguments: Any) -> Tasks:
    if settings.screen:
        from spyglass_systemd.backends.asgi.screened import ScreenedTasks  # noqa: PLC0415  # where it is asked for

        return ScreenedTasks(*arguments)
    return Tasks(*arguments)


def around(app: Any, gate: Gate, settings: Settings, tasks: Tasks) -> tuple[Any, Any]:
    """The app with what the options put around it: for plain requests, and for those in which a proxy says who asks.

    Or somebody who poses as a proxy.
    """
    if settings.max_stream_idle is not None:
        from spyglass_systemd.backends.asgi.idlers import Idlers  # noqa: PLC0415  # where it is asked for

        app = Idlers(app, settings.max_stream_idle)
    if settings.access_log:
        from spyglass_systemd.backends.access import AccessLog  # noqa: PLC0415  # where it is asked for
        from spyglass_systemd.backends.asgi.logged import Logged  # noqa: PLC0415

        app = Logged(app, AccessLog(sys.stdout.fileno(), gate.row.worker))
    plain, claiming = noted(app, gate.place), noted(origins(app, settings), gate.place)
    if settings.screen:
        from spyglass_systemd.backends.asgi.screened import Screened, ScreenedTasks  # noqa: PLC0415  # as above

        assert isinstance(tasks, ScreenedTasks)  # noqa: S101  # made by the same settings
        plain, claiming = (Screened(each, settings.screen, tasks.overlook) for each in (plain, claiming))
    return plain, claiming


class _Server:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        leads: tuple[Lead, ...],
        gate: Gate,
        settings: Settings,
    ) -> None:
        self._loop = loop
        self._gate = gate
        self._settings = settings
        self._connections = Connections(loop, gate, self._settle)
        self._tasks = _tasks(settings, loop, gate, self._make_last, self._settle)
        self._state = State(self._connections, self._tasks)
        self._lifespans: dict[str, Lifespan] = {}  # by the app's name: one each, however many listeners lead there
        self._factories: dict[int, Callable[[], Any]] = {}  # by the listener's descriptor
        for lead in leads:
            config = names.config(lead.app, settings, lead.root_path)
            lifespan = self._lifespans.setdefault(lead.spec, Lifespan(config.loaded_app))
            plain, config.loaded_app = around(config.loaded_app, gate, settings, self._tasks)
            self._factories[lead.listener.fd] = protocol_factory(
                loop, config, self._state, lifespan.state, settings, plain=plain
            )
        listeners = tuple(lead.listener for lead in leads)
        self._door = aio.Doorkeeper(
            loop, listeners, gate, self._welcome, self._last_answers, most=settings.max_connections
        )
        self._introductions: Introductions | None = None
        if settings.proxy_protocol:
            from spyglass_systemd.backends.preface import Introductions  # noqa: PLC0415  # where it is asked for

            self._introductions = Introductions(settings, gate)
        self._beating = False
        self._beats = min(
            _BEAT, settings.header_timeout / 4, settings.write_timeout / 4, (settings.request_timeout or _BEAT) / 4
        )
        # Who owes us something: what, how much was there, when.
        self._watched: dict[Any, tuple[tuple[str, Any], int, float]] = {}

    async def run(self) -> None:
        astray.guard(self._loop, self._gate, self._deafen)
        for lifespan in self._lifespans.values():
            await lifespan.startup()
        self._door.open()
        await self._door.over
        for lifespan in self._lifespans.values():
            try:
                await lifespan.shutdown(self._settings.drain * _STREAMS_END)
            except AppError as error:
                self._gate.say("lifespan", _WARNING, str(error))
        for task in self._tasks:
            task.cancel()

    def _deafen(self, leave: Callable[..., NoReturn]) -> None:
        for protocol in self._connections:
            if protocol.transport is not None:
                protocol.transport.deafen(leave)

    def _settle(self) -> None:
        self._tasks.note()
        self._door.settle()

    async def _welcome(self, connection: socket.socket, address: object, listener: Listener) -> None:
        if not self._beating:
            self._beat()
        protocol = first = self._connections.expect(self._factories[listener.fd]())
        try:
            if self._introductions is not None:
                first = await self._introductions.protocol(protocol, connection, address)
            await self._loop.connect_accepted_socket(lambda: first, connection)
        except OSError:  # the client is gone already
            connection.close()
            self._connections.abandon(protocol)

    def _last_answers(self) -> None:
        self._make_last()
        self._loop.call_later(_GRACE, self._end_kept_alive)
        self._loop.call_later(self._settings.drain * _STREAMS_END, self._end_streams)

    # ### The heartbeat

    def _beat(self) -> None:
        now = time.monotonic()
        self._beating = bool(self._gate.row.open or self._tasks)
        self._gate.row.busy(time.monotonic_ns() if self._beating else 0)
        if not self._beating:
            self._watched.clear()
            self._state.slow = False
            return
        self._state.default_headers[:] = [(b"date", formatdate(usegmt=True).encode())]
        self._end_slow(now)
        self._loop.call_later(self._beats, self._beat)

    def _end_slow(self, now: float) -> None:
        """Close who says nothing, or half a head; refuse a body, and cut an answer, slower than `min_rate`."""
        for sips in list(self._state.sips):
            sips.count()
        watched: dict[Any, tuple[tuple[str, Any], int, float]] = {}
        for protocol in list(self._connections):
            owed = self._owed(protocol)
            if owed is None:
                continue
            what, limit, moved = owed
            known, before, since = self._watched.get(protocol, (None, 0, now))
            if known != what:
                before, since = moved, now
                if what[0] == _TAKE:
                    protocol.transport.watch()
            elif now - since >= limit:
                if moved - before < max(1, self._settings.min_rate * limit):
                    self._give_up(protocol, what[0])
                    continue
                before, since = moved, now
            watched[protocol] = (what, before, since)
        self._watched = watched
        self._state.slow = self._state.slow and any(what[0] == _TAKE for what, _, _ in watched.values())

    def _owed(self, protocol: Any) -> tuple[tuple[str, Any], float, int] | None:
        """What the client owes us, within how many seconds, and how many bytes of it have moved."""
        if names.unsent(protocol):
            return (_TAKE, None), self._settings.write_timeout, names.taken(protocol)
        if names.is_websocket(protocol):
            return None
        cycle = names.cycle_of(protocol)
        if names.is_waiting_for_body(protocol):
            return (_SEND, cycle), self._settings.header_timeout, protocol.received
        if names.is_answering(protocol) or names.is_kept_alive(protocol):
            return None
        return (_ASK, cycle), self._settings.header_timeout, 0

    def _give_up(self, protocol: Any, what: str) -> None:
        if what == _TAKE:
            names.abort(protocol)
        else:
            protocol.late()

    # ### The last answers

    def _make_last(self) -> None:
        for protocol in self._connections:
            if names.is_answering(protocol):
                names.make_last(protocol)

    def _end_kept_alive(self) -> None:
        """Close what was answered and waits for its next request; the silent have `header_timeout`."""
        for protocol in list(self._connections):
            if names.is_kept_alive(protocol):
                protocol.timeout_keep_alive_handler()

    def _end_streams(self) -> None:
        """`drain` is nearly over: end in order what would otherwise be cut."""
        for protocol in list(self._connections):
            if names.is_websocket(protocol):
                names.end_websocket(protocol)
            elif names.is_answering(protocol):
                self._loop.create_task(names.end_response(protocol)).add_done_callback(_forget)


def _forget(task: asyncio.Task[None]) -> None:
    """A response that could not be ended in order (its client is gone) is cut; there is nobody to tell."""
    if not task.cancelled():
        task.exception()
