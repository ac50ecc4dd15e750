"""What uvicorn calls its server state: what all connections of a worker share. Knows no connection by its name."""

from __future__ import annotations

from spyglass_systemd.backends.budget import WAITING, Budget

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class State:
    """`connections` and `tasks` are our sets (books); the first four attributes are what uvicorn writes and reads."""

    def __init__(self, connections: set[Any], tasks: set[Any]) -> None:
        self.total_requests = 0
        self.connections = connections
        self.tasks = tasks
        self.default_headers: list[tuple[bytes, bytes]] = []
        self.budget = Budget(WAITING)  # for what is not understood yet
        self.bodies = Budget(WAITING)  # for what the app has not taken yet: never a reason to refuse somebody
        self.sips: set[Any] = set()  # those that count there
        self.slow = False  # whether some client does not take what there is for him

    def slow_down(self) -> None:
        """Somebody is slow: watch what is written, to all."""
        if not self.slow:
            self.slow = True
            for protocol in self.connections:
                if protocol.transport is not None:
                    protocol.transport.watch()
