"""How many bytes may wait in memory, over all connections of a worker. Keeps none itself."""

from __future__ import annotations

from _thread import allocate_lock

# ### Is a bound for each connection not enough?
# No: a thousand of them, each with 64 KiB of a head, a MiB of a body or a piece of an answer that nobody takes, are
# more memory than the app has. So there is one bound for all that waits: what comes when it is used up waits on disk,
# where it can, or is refused. Who is alone may use more, since nobody else has a part in it: a large piece that an app
# has in memory anyway is not copied to disk for the sake of a sum.


WAITING = 2 * 1024 * 1024  # bytes, where nobody says otherwise
_FREE = 1024  # bytes of a head, or of what was sent ahead, that each connection has without asking


class Budget:
    """`size` bytes. Threads of the pool share it with the loop."""

    __slots__ = ("_lock", "size", "used")

    def __init__(self, size: int) -> None:
        self.size = size
        self.used = 0
        self._lock = allocate_lock()

    def take(self, count: int) -> bool:
        """Use `count` bytes, if they are there; or if nobody uses any."""
        with self._lock:
            if self.used and self.used + count > self.size:
                return False
            self.used += count
            return True

    def give(self, count: int) -> None:
        """They are free again."""
        if count:
            with self._lock:
                self.used -= count

    def __repr__(self) -> str:
        return f"<Budget {self.used} of {self.size}>"


class Share:
    """What one connection uses of a `budget` for what it has not understood yet."""

    __slots__ = ("_budget", "_held")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._held = 0

    def keep(self, size: int) -> bool:
        """Whether `size` bytes may wait now; if not, as many as before are still counted."""
        over = max(0, size - _FREE)
        if over <= self._held:
            self._budget.give(self._held - over)
        elif not self._budget.take(over - self._held):
            return False
        self._held = over
        return True

    def __bool__(self) -> bool:
        return self._held > 0
