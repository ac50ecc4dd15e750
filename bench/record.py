"""What became of each request of a soak: answered, lost in a way that a fault explains, or unexplained. Asks nobody."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from visits import Crossed, Line, Lost, Refused

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from house import House

ANSWERED, REFUSED, LOST, UNEXPLAINED = "answered", "503 while broken", "lost with its worker", "UNEXPLAINED"


class Record:
    """What became of all requests: how many by house, visit and outcome, and each that nothing explains."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.unexplained: list[str] = []
        self.slowest = 0.0
        self._lock = threading.Lock()

    def add(self, house: House, visit: str, outcome: str, count: int = 1) -> None:
        with self._lock:
            self.counts[house.name, visit, outcome] += count

    def blame(self, house: House, visit: str, line: str) -> None:
        self.add(house, visit, UNEXPLAINED)
        with self._lock:
            self.unexplained.append(f"{time.monotonic():.3f} {house.name} {visit}: {line}")

    def visit(self, house: House, visit: Callable[[Line], None], dice: random.Random) -> str:
        """Make a visit and write down what became of it; the outcome of its last request."""
        name = visit.__name__
        began = time.monotonic()
        try:
            line = Line(house, dice)
        except Lost as lost:
            self.blame(house, name, str(lost))
            return UNEXPLAINED
        outcome, why = ANSWERED, ""
        with line.sock:
            try:
                visit(line)
            except Refused:
                outcome, why = REFUSED, "503"
            except Crossed:
                pass
            except (Lost, OSError, EOFError, http.client.HTTPException) as error:
                outcome, why = LOST, f"{type(error).__name__} {error}"
        ended = time.monotonic()
        self.slowest = max(self.slowest, ended - began)
        if outcome == LOST and house.kind == "raw" and not line.done and house.excused(began, ended):
            outcome = REFUSED  # what is not HTTP is closed
        if outcome == LOST and not house.was_cut(line.port, began, ended):
            outcome = UNEXPLAINED
        if outcome == REFUSED and not house.excused(began, ended):
            outcome = UNEXPLAINED
        self.add(house, name, ANSWERED, line.done)
        if outcome == UNEXPLAINED:
            self.blame(house, name, f"{why} (port {line.port}, since {began:.3f}, {line.done} answered before)")
        elif outcome != ANSWERED:
            self.add(house, name, outcome)
        return outcome
