"""One connection: reads its requests and has them answered, in order. Knows no listener and no Master."""

from __future__ import annotations

from math import inf
from time import monotonic

from spyglass_systemd.backends.wsgi import refusal
from spyglass_systemd.backends.wsgi.framing import BODY, NOTHING
from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.backends.wsgi.wire import ANSWER, CLOSED, FAREWELL, FRESH, IDLE, IN, LOST, OUT, REQUEST, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.wsgi.exchange import Exchange
    from spyglass_systemd.backends.wsgi.framing import Framing
    from spyglass_systemd.backends.wsgi.loop import Loop
    from spyglass_systemd.backends.wsgi.outlet import Outlet

# ### What does a slow client cost?
# His own connection. A request is given to the app when it is whole, body and all; a response that the client does not
# take waits in his outlet, and the app's iterable waits with it, suspended. Nobody else waits for either.
#
# An app that calls `write` cannot be suspended. What it writes goes to a file, while the client's time runs, and up to
# a bound. Beyond that the client is given up, though he is as quick as he must be: with one thread all wait for him.

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_READ = 64 * 1024
_MOST = 1 << 30  # bytes that an app may write for a client who is slow
_LAST_CALL = 1.0  # seconds for a request that is already on its way when we want to close


class Connection(Wire):
    """One accepted socket, for `app`.

    `running`: the exchange is with a thread of the pool.
    """

    __slots__ = ("_ahead", "_heard", "_taken", "app", "began_ns", "exchange", "running")

    def __init__(
        self, loop: Loop, sock: _socket.socket, framing: Framing, outlet: Outlet, app: Callable[..., Any]
    ) -> None:
        super().__init__(loop, sock, framing, outlet)
        self.app = app
        self.exchange: Exchange | None = None
        self.running = False
        self.began_ns = 0  # when its request was given to the app, for the access log
        self._heard = -1  # bytes of a body when the clock was last set; -1: the head is not whole
        self._taken = 0  # bytes of answers when the clock was last set
        self._ahead = 0  # requests that came before the answer to the one before them

    # ### What the loop calls

    def on_event(self, event: int) -> None:
        """What epoll has to tell."""
        state = self.state
        if state == ANSWER:
            if event & LOST:
                self.lose()
            elif event & OUT:
                self.outlet.flush()
                if self.outlet.empty:
                    self.deadline = inf
                self.proceed()
            else:  # the next request, or the end of the client's side: both have time
                self._watch(0)
        elif state == FAREWELL:
            self._linger()
        elif state != CLOSED:
            self.read()

    def read(self) -> None:
        """Take what has come."""
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            self._watch(IN)
            return
        except OSError:  # ECONNRESET, ETIMEDOUT: there is nobody to answer
            self._close()
            return
        if data:
            self._take(data)
        elif self.state == REQUEST:
            self._refuse(400, "the request ended before its end")
        else:
            self._close()

    def give_way(self) -> None:
        """It is the others' turn. Of the client nothing matters meanwhile, but that he goes."""
        self._watch(0)

    def resume(self) -> None:
        """It is this connection's turn again: an app that gave way, or a request that came behind another."""
        if self.state == ANSWER:
            self.proceed()
        elif self.state == IDLE:
            self._take(b"")

    def proceed(self) -> None:
        """The app has run, or the client has taken something: see what is next."""
        outlet, exchange = self.outlet, self.exchange
        if outlet.gone:
            self.lose()
        elif not outlet.empty:
            if self.deadline == inf:  # else its time runs already
                self._taken = self.outlet.taken()
                self._loop.arm(self, self._loop.service.write_timeout)
            self._watch(OUT)
        elif exchange is None:
            self._goodbye()
        elif self.running:
            self._watch(0)
        elif exchange.done:
            self._answered(exchange)
        else:
            self._loop.runner.run(self, exchange)

    def lose(self) -> None:
        """The client is gone, or is given up."""
        self.outlet.lose()
        if self.running:
            self._watch(-1)  # the hangup would be reported for ever; the pool gives us back
            return
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            if not exchange.done:
                self._loop.runner.abandon(exchange)
            self._loop.answered(self, exchange)
        self._close()

    def expire(self) -> None:
        """The deadline has come."""
        state = self.state
        self.deadline = inf
        if state in (FRESH, IDLE):
            self.read()  # who has just begun is not turned away
            if self.state == state:
                self._goodbye()
        elif state == REQUEST:
            self._check_progress()
        elif state == FAREWELL:
            self._close()
        elif state == ANSWER and not self.outlet.empty and self._takes_too_little():
            self.lose()

    def last_call(self) -> None:
        """There is no way back: whoever is between two requests has one second for the next."""
        if self.state == IDLE:
            self._loop.arm(self, _LAST_CALL)

    # ### A request comes in

    def _take(self, data: bytes) -> None:
        framing, loop = self.framing, self._loop
        try:
            request = framing.feed(data)
        except Refusal as refused:
            self._refuse(refused.code, refused.why)
            return
        except OSError as error:
            loop.service.gate.say("spool_full", 3, f"the body of a request could not be kept: {error}")
            self._refuse(503, "no room for the body")
            return
        if request is not None:
            if self._ahead >= loop.service.max_pipelined:
                request.keep = False
            self.state, self.deadline = ANSWER, inf
            loop.answer(self, request)
            return
        stage = framing.stage
        if stage != NOTHING and (self.state != REQUEST or (stage == BODY and self._heard < 0)):
            self._heard = 0 if stage == BODY else -1
            self.state = REQUEST
            loop.arm(self, loop.service.header_timeout)
        if framing.asks:
            framing.asks = False
            self.outlet.say(_CONTINUE)
            if self.outlet.gone:
                self.lose()
                return
        self._watch(IN)

    def _check_progress(self) -> None:
        received, timeout = self.framing.received, self._loop.service.header_timeout
        if self._heard < 0 or received - self._heard < max(1, self._loop.service.min_rate * timeout):
            self._refuse(408, "the request took too long to come")
        else:
            self._heard = received
            self._loop.arm(self, timeout)

    def _refuse(self, code: int, why: str) -> None:
        loop, mute = self._loop, self.framing.mute
        self.framing.close()
        loop.refused(self, code)
        self.state, self.deadline = ANSWER, inf
        self.outlet.say(refusal.answer(code, why, loop.service.date.line(), body=not mute))
        self.proceed()

    # ### An answer goes out

    def written(self) -> None:
        """The app is writing, in the loop's own thread: do for the client what the loop cannot do now."""
        outlet = self.outlet
        outlet.flush()
        if outlet.empty or outlet.gone:
            self.deadline = inf
        elif self.deadline == inf:
            self._taken = outlet.taken()
            self._loop.arm(self, self._loop.service.write_timeout)
        elif outlet.waiting > _MOST or (monotonic() >= self.deadline and self._takes_too_little()):
            outlet.lose()

    def _takes_too_little(self) -> bool:
        taken, timeout = self.outlet.taken(), self._loop.service.write_timeout
        if taken - self._taken < max(1, self._loop.service.min_rate * timeout):
            return True
        self._taken = taken
        self._loop.arm(self, timeout)
        return False

    def _answered(self, exchange: Exchange) -> None:
        loop = self._loop
        self.exchange = None
        loop.answered(self, exchange)
        if exchange.broken or self.outlet.short:
            # It ended too early. Chunks and Content-Length show that; else only an RST can.
            if exchange.endless:
                self._break_off()
            else:
                self._goodbye()
        elif exchange.keep:
            self.state = IDLE
            loop.arm(self, _LAST_CALL if loop.service.closing else loop.service.keepalive)
            if self.framing.rest:
                self._ahead += 1
                loop.ready.append(self)
            else:
                self._ahead = 0
                if self.mask != IN:
                    self._watch(IN)
        else:
            self._goodbye(at_once=not exchange.request.keep and not self.framing.rest)
