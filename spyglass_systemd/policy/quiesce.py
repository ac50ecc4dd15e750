"""The proof that all is quiet: who was asked, who has answered, and whether anything moved meanwhile. Sends nothing."""

from __future__ import annotations

# ### Why is the scoreboard not enough?
# Because between the look at it and the last worker's exit a client may still connect. So each worker is asked to stop
# accepting, under a number, and its answer carries the counts of all that it ever accepted and answered. When all have
# answered and no count differs from what the decision was based on, then nobody came in between, nobody can be accepted
# any more, and whoever comes now lies in the backlog of a listener that we do not close.
#
# ### Why a number?
# Because a quiesce can be called off and begun again before a slow worker has read the first message. Its answer to the
# first says nothing about now: since then it was told to resume, and may have accepted somebody.

SLEEP, DOZE = "sleep", "doze"
WAITING, MOVED, PROVEN = "waiting", "moved", "proven"


class Quiesce:
    """Quiesce `number` towards `aim` (SLEEP or DOZE).

    `baseline` has, for each worker that was asked, its (accepted, answered) at the moment of the decision.
    """

    __slots__ = ("_baseline", "_moved", "_waiting", "aim", "number")

    def __init__(self, number: int, aim: str, baseline: dict[int, tuple[int, int]]) -> None:
        self.number = number
        self.aim = aim
        self._baseline = baseline
        self._waiting = set(baseline)
        self._moved = False

    def acknowledge(self, worker: int, number: int, accepted: int, answered: int) -> None:
        """Worker `worker` says that it is quiet. Only the current number counts, and each worker once."""
        if number == self.number and worker in self._waiting:
            self._waiting.remove(worker)
            self._moved = self._moved or self._baseline[worker] != (accepted, answered)

    @property
    def silent(self) -> tuple[int, ...]:
        """The workers that have not answered yet."""
        return tuple(sorted(self._waiting))

    @property
    def verdict(self) -> str:
        """MOVED as soon as one count differs, PROVEN when all have answered, else WAITING."""
        if self._moved:
            return MOVED
        return WAITING if self._waiting else PROVEN

    def __repr__(self) -> str:
        return f"<Quiesce {self.number} to {self.aim}: {self.verdict}, silent {self.silent}>"
