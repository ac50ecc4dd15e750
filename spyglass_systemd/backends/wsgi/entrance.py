"""All listeners of a worker in its epoll: when they are watched, and who comes in. Knows no HTTP and no Master."""

from __future__ import annotations

import select
from math import inf
from time import monotonic

from spyglass_systemd.backends.wsgi.door import Exhausted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from spyglass_systemd.backends.wsgi.door import Door
    from spyglass_systemd.words.listener import Listener

    Guest = tuple[Door, _socket.socket, Any]

# ### Who accepts, when several workers wait for one listener?
# EPOLLEXCLUSIVE wakes one of those that wait, not all. And whoever is awake takes one connection a turn, after all else
# that the turn has brought: what he took he must serve, and while the app runs for one client here, a sibling may be
# idle. What stays in the backlog is anybody's.
#
# ### And when the one that was woken leaves?
# Then nobody knows. The wake was his alone, the siblings sleep on, and the visitor waits until the next one comes. It
# may have come in the very turn in which he is told to leave. So whoever leaves for good takes one more of each
# listener; who only pauses need not, since all register again afterwards, and epoll_ctl(2) looks. And when he dies,
# the Master has the others look.

_EXCLUSIVE = select.EPOLLIN | select.EPOLLEXCLUSIVE
_BREATH = 1.0  # seconds without accepting when there is no descriptor left


class Entrance:
    """`exhausted` says why nobody can be let in, once; `reopens` is when it is worth trying again.

    `full`: there is no room for more.
    """

    def __init__(self, epoll: select.epoll, doors: list[Door]) -> None:
        self._epoll = epoll
        self._doors = {door.listener.fd: door for door in doors}
        self._open = False
        self.exhausted = ""
        self.full = False
        self.reopens = inf

    def open(self) -> None:
        """Watch the listeners."""
        self.full = False
        self.reopens = inf
        if not self._open:
            self._open = True
            for fd in self._doors:
                self._epoll.register(fd, _EXCLUSIVE)

    def shut(self) -> None:
        """Watch them no longer."""
        self.full = False
        self.reopens = inf
        if self._open:
            self._open = False
            for fd in self._doors:
                self._epoll.unregister(fd)

    def leave(self) -> None:
        """For ever: the descriptors are somebody else's to close."""
        self.shut()
        for door in self._doors.values():
            door.release()
        self._doors.clear()

    def turn(self, fds: list[int]) -> list[Guest]:
        """One connection of each listener among `fds`."""
        guests = [self._accept(self._doors[fd]) for fd in fds if fd in self._doors] if self._open else []
        return [guest for guest in guests if guest is not None]

    def fill(self, seen: list[int]) -> list[Guest]:
        """Watch them no longer: there is no room. One more of each but of those `seen`, which were just asked."""
        guests = self.turn([fd for fd in self._doors if fd not in seen])
        self.shut()
        self.full = True
        return guests

    def one_more(self) -> list[Guest]:
        """One connection of each listener that is watched, before we leave."""
        return self.turn([*self._doors])

    def everybody(self) -> list[Guest]:
        """All who wait in the backlogs."""
        guests = []
        for door in self._doors.values():
            while (guest := self._accept(door)) is not None:
                guests.append(guest)
        return guests

    def admit(self, visitors: list[tuple[int, Listener]]) -> list[Guest]:
        """Those whom the Master has accepted in our place."""
        guests = []
        for fd, listener in visitors:
            door = self._doors[listener.fd]
            admitted = door.admit(fd)
            if admitted is not None:
                guests.append((door, *admitted))
        return guests

    def _accept(self, door: Door) -> Guest | None:
        try:
            accepted = door.accept()
        except Exhausted as why:
            self.exhausted = str(why)
            if self._open:
                self.shut()
                self.reopens = monotonic() + _BREATH
            return None
        return None if accepted is None else (door, *accepted)
