"""One turn's time: what is due now, and when the loop must look again. Waits for nothing itself."""

from __future__ import annotations

import time

FOREVER = float("inf")
_LONGEST = 24 * 3600.0  # seconds that one poll(2) waits: its milliseconds are a C int, and a turn more a day is nothing


class Alarm:
    """`late` is by how many seconds this turn came after the time that the one before had asked for.

    `due(t)` says whether `t` is reached, and otherwise has the loop look again then.

    So each check says itself when it wants to be asked, and no deadline is kept in two places. All times are monotonic
    seconds.
    """

    __slots__ = ("at", "late", "now")

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.late = 0.0
        self.at = FOREVER

    def reset(self) -> None:
        """A new turn begins."""
        self.now = time.monotonic()
        self.late = max(0.0, self.now - self.at)
        self.at = FOREVER

    def due(self, at: float) -> bool:
        """Whether `at` is reached."""
        if at <= self.now:
            return True
        self.at = min(self.at, at)
        return False

    @property
    def timeout_ms(self) -> float | None:
        """For poll(2): how long to wait, None for ever."""
        return None if self.at == FOREVER else min(_LONGEST, max(0.0, self.at - time.monotonic())) * 1000
