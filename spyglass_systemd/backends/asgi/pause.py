"""The pauses of one kept-alive connection, by one timer for all of them. Knows no protocol and closes nothing."""

from __future__ import annotations

from contextvars import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any

# ### Why not a timer for each pause, as uvicorn has it?
# Because nearly every pause ends by the next request and not by the timer, and to set one and take it back costs a
# request more than all that we do with it. So the timer is set once and left. When it fires and its pause is over, it
# waits for the end of the present one, if there is one; so it fires once in `keepalive`, however many requests came.
# It outlives the request that set it, so it runs in a context of its own.

_NONE = float("inf")


class Pauses:
    """What a protocol takes for its loop: its `call_later` is for the end of a pause, and for nothing else.

    What it returns has a `cancel`, as asyncio's handles do.
    """

    __slots__ = ("_loop", "_over", "_time", "_timer", "_until", "create_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._time = loop.time
        self._until = _NONE
        self._over: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.create_task = loop.create_task

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, seconds: float, over: Callable[[], None]) -> Pauses:
        """A pause begins: `over` is called if it lasts so long."""
        self._until = self._time() + seconds
        if self._timer is None:
            self._over = over
            self._timer = self._loop.call_later(seconds, self._look, context=Context())
        return self

    def cancel(self) -> None:
        """The pause has ended."""
        self._until = _NONE

    def forget(self) -> None:
        """The connection has ended: nothing refers to it any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._over = self._timer = None

    def _look(self) -> None:
        self._timer = None
        left = self._until - self._time()
        if left == _NONE or self._over is None:
            return
        if left > 0:
            self._timer = self._loop.call_later(left, self._look, context=Context())
        else:
            self._until = _NONE
            self._over()
