"""The gate between one worker's loop and the Master.

It says when to accept, when an answer is the last one, and when all is quiet. Knows no protocol and makes no
connection; a backend asks it and tells it.
"""

from __future__ import annotations

import os
import time

from spyglass_systemd.protocols.row import ACCEPTING, QUIESCING, QUIET
from spyglass_systemd.protocols.witness import NOTE, note
from spyglass_systemd.words.reports import (
    Accepting,
    Declined,
    Greeted,
    Look,
    Quiesce,
    Quiesced,
    Resume,
    Retiring,
    Said,
    Stirred,
    Stop,
    Visitor,
    Welcomed,
)

PAUSE, FINAL, LAST_CALL = range(3)  # Quiesce.final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.protocols.control import Channel
    from spyglass_systemd.protocols.row import Row
    from spyglass_systemd.words.listener import Listener


class Gate:
    """What a backend must know of the world outside its connections.

    A backend polls `fileno()` for reading beside its own sockets and calls `receive()` when it is readable (no longer
    once `orphaned`: the end of a Master stays readable for ever). It polls its listeners only while `accepting`; when
    that turns false it takes them out of its poll set, having accepted once more all that is there where `last_call`
    says so, and calls `leave_listeners()`. While `closing` it sends `Connection: close` with every answer, and closes
    a connection that waits for its next request after one second. It returns from serve() when `stopped`. It reports
    every connection by `opened`/`closed`, every request by `began`/`answered`, and calls `settle()` once a turn of its
    loop, after all I/O of that turn. Only the loop's thread may call these.

    After `receive()` it takes over the `visitors`, connections that the Master has accepted in its place, before it
    heeds what else was said. With `screens`, some requests are answered without the app and are no activity; so a
    connection is none before its first request for the app has `began`.
    """

    __slots__ = (
        "_acked",
        "_born_ns",
        "_channel",
        "_final",
        "_greeted",
        "_listeners",
        "_nudged",
        "_number",
        "_quota",
        "_screens",
        "_visitors",
        "accepting",
        "place",
        "row",
        "stopped",
    )

    def __init__(
        self,
        channel: Channel,
        row: Row,
        listeners: tuple[Listener, ...],
        *,
        born_ns: int,
        quota: int = 0,
        screens: bool = False,
        place: memoryview | None = None,
    ) -> None:
        self._channel = channel
        self._listeners = listeners
        self._born_ns = born_ns
        self._quota = quota  # requests until this worker asks for a successor; 0 never
        self._number = 0  # the quiesce under way, 0 for none
        self._acked = False
        self._nudged = False
        self._final = PAUSE
        self._greeted = False
        self._screens = screens
        self._visitors: list[tuple[int, Listener]] = []
        self.place = memoryview(bytearray(NOTE)) if place is None else place  # for the request that the app is at
        self.row = row
        self.accepting = False
        self.stopped = False

    @property
    def closing(self) -> bool:
        """No way back: every answer is the last one of its connection."""
        return self._final != PAUSE

    @property
    def last_call(self) -> bool:
        """Nobody will hold the listeners after us: what lies in their backlog is ours to accept, now or never."""
        return self._final == LAST_CALL

    @property
    def orphaned(self) -> bool:
        """The Master is gone."""
        return self._channel.closed

    def nudged(self) -> bool:
        """Whether to look into the backlogs once, though nothing has said that somebody waits there.

        For a backend that is woken alone for each connection (EPOLLEXCLUSIVE): one that died may have been woken.
        """
        nudged, self._nudged = self._nudged, False
        return nudged and self.accepting

    def fileno(self) -> int:
        return self._channel.fileno()

    def leave_listeners(self) -> None:
        """Call when the listeners are out of the poll set.

        Where there is no way back they are closed, so that an address whose Lookout died can be bound again while the
        last answers are still on their way.
        """
        if self._final:
            for listener in self._listeners:
                os.close(listener.fd)
            self._listeners = ()

    def start(self) -> None:
        """The listeners are in the poll set (or the backend will put them there at once): tell the Master."""
        self.accepting = True
        self.row.enter(ACCEPTING)
        self._channel.send(Accepting((time.monotonic_ns() - self._born_ns) // 1000))

    def opened(self, peer: str, listener: Listener) -> None:
        """A connection from `peer` was accepted on `listener`."""
        self.row.opened(self.row.last_activity_ns if self._screens else time.monotonic_ns())
        if not self._greeted:
            self._greeted = True
            self._channel.send(Greeted(peer, listener.label))

    def visitors(self) -> list[tuple[int, Listener]]:
        """Connections that came from the Master since the last call, by descriptor, and the listener each came by.

        They are the caller's, who counts each as `opened`.
        """
        visitors, self._visitors = self._visitors, []
        return visitors

    def closed(self) -> None:
        """A connection was closed, with nothing unread in it."""
        self.row.closed()

    def began(self, count: int = 1) -> None:
        """A request is given to the app; or `count` of them were, in this turn of the loop."""
        self.row.began(time.monotonic_ns(), count)
        if self._quota and self._quota <= self.row.requests < self._quota + count:
            self._channel.send(Retiring(f"max_requests={self._quota}"))

    def note(self, line: bytes) -> None:
        """The request line of what the app is called for now; the log names it, should it never come back."""
        note(self.place, line)

    def answered(self, count: int = 1) -> None:
        """A request's response is out, or its client is gone; `count` of them in this turn."""
        self.row.answered(time.monotonic_ns(), count)

    def say(self, event: str, level: int, text: str) -> None:
        """A line for the Master's log; level as in syslog(3)."""
        self._channel.send(Said(event, level, text))

    def receive(self) -> None:
        """Read what the Master wants. When the Master is gone, finish what is accepted and leave."""
        for report, fds in self._channel.receive():
            if isinstance(report, Quiesce):
                self._quiesce(report.number, final=report.final)
            elif isinstance(report, Visitor):
                self._visit(report, fds)
            elif isinstance(report, Resume):
                if report.number == self._number and not self._final:
                    self._number = 0
                    self.accepting = True
                    self.row.enter(ACCEPTING)
            elif isinstance(report, Look):
                self._nudged = True
            elif isinstance(report, Stop):
                self.stopped = True
        if self._channel.pending:
            self._channel.flush()
        if self._channel.closed and not self.stopped:
            self._quiesce(self._number or 1, final=FINAL)

    def _visit(self, visitor: Visitor, fds: tuple[int, ...]) -> None:
        listener = next((each for each in self._listeners if each.fd == visitor.listener), None)
        if fds and listener is not None:
            self._visitors.append((fds[0], listener))
            self._channel.send(Welcomed(visitor.number))
            return
        for fd in fds:
            os.close(fd)
        self._channel.send(Declined(visitor.number))  # without one it did not fit into our table: MSG_CTRUNC, recv(2)

    def _quiesce(self, number: int, *, final: int) -> None:
        self._number, self._acked, self._final = number, False, max(self._final, final)
        self.accepting = False
        self.row.enter(QUIESCING)
        if not self._final and self.row.occupied:
            # Somebody was accepted between the Master's advice and this quiesce. He is an activity: the Master is told
            # at once instead of after he is served, so that those behind him in the backlog do not wait for him.
            self._channel.send(Stirred(number))

    def settle(self) -> None:
        """Report quiet when everything that was ever accepted is answered and closed. Once a turn, after its I/O."""
        if self._number and not self._acked and not self.row.occupied:
            self._acked = True
            self.row.enter(QUIET)
            self._channel.send(Quiesced(self._number, self.row.accepted, self.row.done))
            if self._channel.closed:
                self.stopped = True
