"""When an app may doze and when it may sleep. Knows the scoreboard's sums and the time, nothing else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.words.snapshot import Snapshot

# ### What is idle?
# A condition, not a state: nothing is open or under way, no lease is held, and the newest activity is older than
# `idle`. Activity is a new connection or a request on an old one. A connection that closes is none: a browser that
# keeps a connection for five seconds and drops it must not buy the app five seconds more.
#
# ### From when does the clock run?
# From the entry into a state, not from the first request. A Master that was started and never asked, or woken by a
# connection that said nothing, would otherwise stay for ever: the clock that is armed by the first request is never
# armed when none comes.
#
# ### Why a floor under it all?
# Because each start counts. systemd counts good runs as well as bad ones, and a visitor a second against an idle limit
# of half a second is a start a second. `min_awake` is the shortest life of a Master.


class IdlePolicy:
    """`idle` and `doze` in seconds, None for never; `min_awake` seconds of life at least."""

    __slots__ = ("doze", "idle", "min_awake")

    def __init__(self, idle: float | None, doze: float | None, min_awake: float) -> None:
        self.idle = idle
        self.doze = doze
        self.min_awake = min_awake

    def hastened(self, by: float) -> IdlePolicy:
        """The same with limits that are `by` times shorter; an app still lives as long as it must."""
        idle = None if self.idle is None else self.idle / by
        return IdlePolicy(idle, None if self.doze is None else self.doze / by, self.min_awake)

    def sleeps_in(self, seen: Snapshot, armed: float, began: float, now: float) -> float | None:
        """Seconds until the Master may begin to fall asleep: 0.0 now, None not while something is open, or never.

        `armed` is when the present state was entered, `began` when the process did; all times are monotonic seconds.
        """
        left = self._left(self.idle, seen, armed, now)
        return None if left is None else max(left, began + self.min_awake - now)

    def dozes_in(self, seen: Snapshot, armed: float, now: float) -> float | None:
        """The same for a doze. It ends no process that systemd counts, so `min_awake` does not matter."""
        return self._left(self.doze, seen, armed, now)

    @staticmethod
    def _left(limit: float | None, seen: Snapshot, armed: float, now: float) -> float | None:
        if limit is None or seen.occupied:
            return None
        return max(0.0, max(armed, seen.last_activity_ns / 1e9) + limit - now)
