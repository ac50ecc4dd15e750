"""Shows the Master that an asyncio loop runs, while anything is open. Knows no protocol and draws no conclusion."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

    from spyglass_systemd.protocols.row import Row

_BEAT = 1.0  # seconds

# ### How is a loop seen that does not run?
# By a beat that does not come. While there is a connection the row says "busy since the last beat"; a loop that runs
# says so again and again, and is never busy for long. App code that blocks the loop keeps the next one from coming, and
# `request_timeout` later the Master replaces the worker. A request costs it nothing. Without connections nothing beats.


class Pulse:
    """Beats once a second, or four times in `request_timeout` seconds where that is more."""

    def __init__(self, loop: asyncio.AbstractEventLoop, row: Row, request_timeout: float | None) -> None:
        self._loop = loop
        self._row = row
        self._beats = min(_BEAT, (request_timeout or _BEAT) / 4)
        self._beating = False

    def start(self) -> None:
        """Call when a connection was counted as opened."""
        if not self._beating:
            self._beat()

    def _beat(self) -> None:
        self._beating = bool(self._row.open)
        self._row.busy(time.monotonic_ns() if self._beating else 0)
        if self._beating:
            self._loop.call_later(self._beats, self._beat)
