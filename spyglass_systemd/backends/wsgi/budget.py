"""How many bytes may wait in memory, over all connections of a worker. Keeps none itself."""

from __future__ import annotations

from _thread import allocate_lock

# ### Is a bound for each connection not enough?
# No: a thousand of them, each with 64 KiB of a head, a MiB of a body or a piece of an answer that nobody takes, are
# more memory than the app has. So there is one bound for all that waits: what comes when it is used up waits on disk,
# where it can, or is refused. Who is alone may use more, since nobody else has a part in it: a large piece that an app
# has in memory anyway is not copied to disk for the sake of a sum.


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
        with self._lock:
            self.used -= count

    def __repr__(self) -> str:
        return f"<Budget {self.used} of {self.size}>"
