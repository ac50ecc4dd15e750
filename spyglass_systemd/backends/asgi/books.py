"""The two sets in which uvicorn's protocols write down what is open and what runs: ours count. They decide nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.base import Gate

# ### Why sets?
# Because they are the one thing that all of uvicorn's protocols, HTTP by httptools or h11 and WebSocket by three
# libraries, have used in the same way for years: each connection adds itself and takes itself out, each call of the app
# is a task that is in the set until it is done. Counting there costs a request one method call, needs no subclass of
# any protocol, and sees what a counter of connection_made and connection_lost cannot: an upgrade is no new connection,
# and a background task that outlives its response is still work.


_add, _discard = set.add, set.discard


class Connections(set):  # type: ignore[type-arg]  # of protocols, whatever class they are
    """Open connections. One is counted as open by whoever accepts it, and as closed here.

    An upgrade takes the HTTP protocol out and puts a WebSocket protocol in, in one breath. So an exit is counted a turn
    of the loop later, unless somebody has come in by then who was not `expect`ed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, gate: Gate, settle: Callable[[], None]) -> None:
        super().__init__()
        self._loop = loop
        self._gate = gate
        self._settle = settle
        self._expected: set[Any] = set()
        self._left = 0

    def expect(self, protocol: Any) -> Any:
        """`protocol` is that of a connection which was just accepted."""
        self._expected.add(protocol)
        return protocol

    def add(self, protocol: Any) -> None:
        super().add(protocol)
        if protocol in self._expected:
            self._expected.remove(protocol)
        elif self._left:
            self._left -= 1

    def discard(self, protocol: Any) -> None:
        if protocol in self:
            super().discard(protocol)
            self._left += 1
            self._loop.call_soon(self._count_exits)

    remove = discard

    def abandon(self, protocol: Any) -> None:
        """The connection that was accepted for `protocol` was never made."""
        self._expected.discard(protocol)
        self._left += 1
        self._loop.call_soon(self._count_exits)

    def _count_exits(self) -> None:
        while self._left:
            self._left -= 1
            self._gate.closed()
        self._settle()


class Tasks(set):  # type: ignore[type-arg]  # of asyncio.Task
    """Calls of the app. `on_start` is called when one begins while its answer is to be the last of its connection.

    A request passes here twice. What it does is written down once a turn of the loop, for all requests of that turn:
    its connection is open, so nobody takes the worker for quiet meanwhile.
    """

    __slots__ = ("_begun", "_done", "_gate", "_loop", "_noting", "_on_start", "_settle")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gate: Gate,
        on_start: Callable[[], None],
        settle: Callable[[], None],
    ) -> None:
        super().__init__()
        self._loop = loop
        self._gate = gate
        self._on_start = on_start
        self._settle = settle
        self._begun = self._done = 0
        self._noting = False

    def add(self, task: Any) -> None:
        _add(self, task)
        self._begun += 1
        if not self._noting:
            self._noting = True
            self._loop.call_soon(self.note)
        gate = self._gate
        if not gate.accepting and gate.closing:
            self._on_start()

    def discard(self, task: Any) -> None:
        """Its callback, once for each that was added."""
        _discard(self, task)
        self._done += 1
        if not self._noting:
            self._noting = True
            self._loop.call_soon(self.note)

    def note(self) -> None:
        """Write down what this turn has brought; before anybody asks whether all is quiet."""
        begun, done = self._begun, self._done
        self._begun = self._done = 0
        self._noting = False
        if begun:
            self._gate.began(begun)
        if done:
            self._gate.answered(done)
            if not self._gate.accepting:
                self._settle()
