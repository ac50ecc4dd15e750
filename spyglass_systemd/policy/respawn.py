"""How long to wait before a process that died is started again. Knows no process and no clock."""

from __future__ import annotations

FIRST, LIMIT = 1.0, 30.0  # seconds


def delay(failures: int, first: float = FIRST, limit: float = LIMIT, *, jitter: float = 0.0) -> float:
    """Seconds to wait after the `failures`-th failure in a row: `first`, doubling, at most `limit`; 0.0 after none.

    `jitter` (a fraction, say `random() * 0.2`) lengthens the wait, so that what died together does not return together.
    """
    if failures <= 0:
        return 0.0
    return min(limit, first * 2.0 ** min(failures - 1, 60)) * (1.0 + jitter)


def pause(failures: int) -> float:
    """Seconds to wait where the first one that fails is followed at once: 0.0 after one failure in a row."""
    return delay(failures - 1)


def in_a_row(failures: int, lived: float, first: float = FIRST, limit: float = LIMIT) -> int:
    """How many failures in a row there are, once a process has died that `lived` seconds and came after `failures`.

    One that lived as long as it had been waited for has shown that it can live, so the count begins again.
    """
    return 1 if lived >= delay(max(failures, 1), first, limit) else failures + 1
