"""One connection as uvicorn's protocol serves it, one request after another, strictly read. Accepts nothing."""

from __future__ import annotations

from contextvars import Context

from spyglass_systemd.backends.asgi import names
from spyglass_systemd.backends.asgi.answer import answering
from spyglass_systemd.backends.asgi.parting import Parting, unread
from spyglass_systemd.backends.asgi.pause import Pauses
from spyglass_systemd.backends.asgi.sieve import Deaf, Sieve, request_line
from spyglass_systemd.backends.asgi.sips import Sips
from spyglass_systemd.backends.budget import Share
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.asgi.state import State
    from spyglass_systemd.words.options import Settings

# ### Why is a request that was sent ahead not given to uvicorn at once?
# Because uvicorn would answer one that it cannot read before it answers those in front of it, and its client takes that
# for the answer to the first. And because each that waits is an object of some kilobytes. So they wait as bytes, and no
# more of them than one read has brought.


def protocol_factory(  # noqa: C901  # a class, made for one configuration
    loop: asyncio.AbstractEventLoop,
    config: Any,
    state: State,
    app_state: dict[str, Any],
    settings: Settings,
    *,
    plain: Any,
) -> Callable[[], Any]:
    """Makes the protocol of one connection. `app_state` (lifespan state) is passed where this uvicorn knows it.

    `plain` is called in place of the configured app where nobody can have claimed to be somebody else.
    """
    uvicorns: Any = config.http_protocol_class
    limits = Limits(settings.line_limit, settings.header_limit, settings.header_count)
    longest = limits.line
    read = uvicorns.data_received
    known: dict[bytes, bool] = {}
    apps = (plain, config.loaded_app)

    class Protocol(uvicorns):  # type: ignore[misc]  # h11's or httptools'
        """Ends a connection so that its last answer arrives."""

        received = 0  # bytes, but for those of requests that came whole and had no body
        _ahead = 0  # requests that came before the answer to the one before them
        _behind = b""  # what came behind the request under way
        _sieve: Sieve | None = None  # while there is something else than that
        _sips: Sips | None = None  # once there was a large body

        def connection_made(self, transport: Any) -> None:
            self._share = Share(state.budget)
            self.loop = Pauses(loop)
            super().connection_made(Parting(loop, transport, lambda: names.is_receiving(self), self._last_words))
            if state.slow:
                self.transport.watch()

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            self._behind = b""
            self._share.keep(0)
            self.transport.forget()
            self._forget()

        def _forget(self) -> None:
            """This protocol's connection is lost, or another's."""
            self.loop.forget()
            if self._sips is not None:
                self._sips.forget()

        def pause_writing(self) -> None:
            super().pause_writing()
            state.slow_down()

        def data_received(self, data: bytes) -> None:
            cycle = self.cycle
            line = request_line(data) if self._sieve is None and (cycle is None or cycle.response_complete) else None
            claims = known.get(line[1]) if line else None
            if claims is not None and len(data) <= longest:
                self.app = apps[claims]
                read(self, data)
                return
            self.received += len(data)
            if self._behind:
                self._wait(self._behind + data)
                return
            self._ahead = 0
            self._take(data)

        def _take(self, data: bytes) -> None:
            sieve = self._sieve = self._sieve or Sieve(limits, settings.body_limit, self._share, known)
            self.app = config.loaded_app
            while data and not self.transport.is_closing():
                if sieve.idle and names.is_answering(self):
                    self._wait(data)
                    return
                try:
                    piece, data = sieve.read(data)
                except Refusal as refused:
                    self._sieve = Deaf()
                    self._share.keep(0)
                    self._refuse(refused, mute=sieve.mute)
                    return
                if piece:
                    read(self, piece)
                    if self not in self.connections:  # it is a WebSocket now
                        self._forget()
                        return
                else:
                    self._unset_keepalive_if_required()
            if sieve.idle:
                self._sieve = None
            self._pace(large=sieve.large)

        def _pace(self, *, large: bool) -> None:
            """Let a client who sends much send no more than can be kept."""
            if self.transport.is_closing():
                return
            if large and self._sips is None:
                self._sips = Sips(self, state)
            if self._sips is not None:
                if large:
                    self._sips.begin()
                else:
                    self._sips.end()
                if not self._sips.count():
                    self.flow.pause_reading()

        def _wait(self, data: bytes) -> None:
            """Until the request before is answered; or it is forgotten, and must be sent again (RFC 9112, 9.3.2).

            With all that comes behind it: that may begin in the middle of a body, and who wrote that is not who asks.
            """
            self.flow.pause_reading()
            if self._share.keep(len(data)):
                self._behind = data
                self.cycle.on_response = self._next
                return
            self._behind = b""
            self._share.keep(0)
            self._sieve = Deaf()
            if names.is_answering(self):
                names.make_last(self)
            else:
                names.close(self)

        def _next(self) -> None:
            self.on_response_complete()
            self._ahead += 1
            loop.call_soon(self._go_on, context=Context())  # not in that of the request before

        def _go_on(self) -> None:
            data, self._behind = self._behind, b""
            self.flow.resume_reading()  # more may have come meanwhile
            self._take(data)
            if self._ahead >= settings.max_pipelined and names.is_answering(self):
                names.make_last(self)

        def timeout_keep_alive_handler(self) -> None:
            if not unread(self.transport):  # else a request has come in this very turn
                super().timeout_keep_alive_handler()

        def _refuse(self, refused: Refusal, *, mute: bool) -> None:
            if names.is_answering(self):
                names.give_up(self, loop, refused.code, refused.why)
            elif names.is_receiving(self):  # its answer is out: there is nothing left to say
                names.close(self)
            else:
                names.refuse(self, refused.code, refused.why, mute=mute)

        def late(self) -> None:
            """Its client had time enough for what he is sending."""
            half = self._sieve if self._sieve is not None and self._sieve.half else None
            if half is not None or names.is_answering(self):
                mute = half is not None and half.mute
                self._refuse(Refusal(408, "the request took too long to come"), mute=mute)
            else:
                names.close(self)

        def _last_words(self) -> None:
            """Before a close in the middle of an answer, what its client must see.

            One whose head was no good has begun for uvicorn (h11), and not for him. One that ends with its connection
            has not ended.
            """
            if names.is_answering(self):
                if names.is_mute(self):
                    names.refuse(self, 500, "")
                elif names.ends_with_connection(self):
                    self.transport.break_off()

    if names.is_httptools(uvicorns):
        Protocol.on_headers_complete = answering(uvicorns)
    return lambda: Protocol(config=config, server_state=state, **names.app_state(uvicorns, app_state))
