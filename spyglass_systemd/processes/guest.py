"""One connection in the lobby: whose it is at the moment, and until when. Makes no system call."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from spyglass_systemd.backends.wsgi.farewell import Farewell

LISTENING, WAITING, HANDED, PARTING = "listening", "waiting", "handed", "parting"
# LISTENING: we hear what it wants. WAITING: for the app. HANDED: sent to a worker that has not said so. PARTING: it is
# answered.


class Guest:
    """`listener` is the descriptor that it came by, `deadline` when our patience ends, in monotonic seconds."""

    __slots__ = ("deadline", "farewell", "fd", "listener", "sock", "state", "worker")

    def __init__(self, sock: _socket.socket, listener: int, deadline: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.listener = listener
        self.deadline = deadline
        self.state = LISTENING
        self.worker = 0  # the number of whom it was handed to
        self.farewell: Farewell | None = None

    def is_on_the_way_to(self, worker: int) -> bool:
        """Whether it was sent to this worker, which has not said so yet."""
        return self.state == HANDED and self.worker == worker

    def part(self, farewell: Farewell) -> None:
        """It is answered, and this is the end of it."""
        self.state, self.farewell, self.deadline = PARTING, farewell, farewell.until

    def __repr__(self) -> str:
        return f"<Guest fd={self.fd} {self.state}>"
