"""What all workers have counted until some moment, as one value. Knows no scoreboard."""

from __future__ import annotations


class Snapshot:
    """An immutable copy of what matters for a decision, summed over all rows and over the workers that are gone."""

    __slots__ = ("accepted", "answered", "busy_since_ns", "in_flight", "last_activity_ns", "leases", "open", "requests")

    def __init__(
        self,
        *,
        accepted: int = 0,
        answered: int = 0,
        requests: int = 0,
        open: int = 0,  # noqa: A002  # the field's name
        in_flight: int = 0,
        last_activity_ns: int = 0,
        busy_since_ns: int = 0,
        leases: int = 0,
    ) -> None:
        self.accepted = accepted
        self.answered = answered
        self.requests = requests
        self.open = open
        self.in_flight = in_flight
        self.last_activity_ns = last_activity_ns
        self.busy_since_ns = busy_since_ns
        self.leases = leases

    @property
    def occupied(self) -> bool:
        """Whether anything is open, under way, or asks to be kept awake."""
        return self.open > 0 or self.in_flight > 0 or self.leases > 0

    def __repr__(self) -> str:
        return f"<Snapshot {' '.join(f'{name}={getattr(self, name)}' for name in self.__slots__)}>"
