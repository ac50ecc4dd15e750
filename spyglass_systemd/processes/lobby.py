"""The lobby: connections that the Master has accepted, until they are answered or a worker has them. Forks nothing.

It knows no app and no state; of HTTP only what policy/screening says of some bytes.
"""

from __future__ import annotations

import _socket
import select
import time

from spyglass_systemd.backends.wsgi.farewell import Farewell
from spyglass_systemd.policy import screening
from spyglass_systemd.processes.guest import LISTENING, PARTING, WAITING, Guest
from spyglass_systemd.processes.screen import Screen
from spyglass_systemd.processes.usher import Usher
from spyglass_systemd.protocols.activation import waited_for
from spyglass_systemd.words.reports import Welcomed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.words.listener import Lead, Listener
    from spyglass_systemd.words.options import Settings
    from spyglass_systemd.words.reports import Declined

# ### Why does the Master accept at all?
# Because somebody listed probes that are not to wake the app, and who a connection is can be seen only in its bytes. So
# it looks at them (MSG_PEEK) and takes none. What is a probe is answered and closed; whatever else it is goes to the
# first worker as it came, not a byte missing, and is as good as accepted there.
#
# ### Why edge-triggered?
# Because what was only looked at stays readable: poll(2) would return at once, for ever, for a head of which the second
# half has not come. SO_RCVLOWAT would help with TCP and does nothing for a Unix socket. An epoll of our own tells each
# arrival once, and is itself one descriptor in the Master's poll set.
#
# ### And when the lobby is full?
# The others wait in the backlog, as ever. But not for long: who says nothing must not keep away who does. After a
# second the app is woken, and its workers accept.

_HELD = 64  # connections
_FULL = 1.0  # seconds that others may wait for a place
_SHORT = 1.0  # seconds without accepting when the process is short of descriptors
_GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class Lobby:
    """For `leads` whose apps speak HTTP. `call` is called when somebody waits for the app.

    It does not import the table of states, which would be half of what it costs a wake.
    """

    def __init__(self, leads: tuple[Lead, ...], settings: Settings) -> None:
        self.call: Callable[[], None] = lambda: None
        self._guests: dict[int, Guest] = {}
        self._usher = Usher(self._guests)
        self._epoll = select.epoll()
        self._short_until = self._full_since = 0.0
        self.paging = False  # browsers get the waking page, so it accepts while the app wakes
        self.answered = 0
        self.adopt(leads, settings)

    def adopt(self, leads: tuple[Lead, ...], settings: Settings) -> None:
        """Go by these settings from now on."""
        self._listeners = {lead.listener.fd: lead.listener for lead in leads if lead.kind in ("wsgi", "asgi")}
        self._kinds = {lead.listener.fd: lead.kind for lead in leads}
        self._screen = Screen(settings)

    @property
    def screens(self) -> bool:
        """Whether there are probes, so that it accepts while there is no worker that would."""
        return self._screen.rules

    @property
    def open(self) -> int:
        """How many are here."""
        return len(self._guests)

    @property
    def waiting(self) -> tuple[Listener, ...]:
        """The listeners by which those came who wait for the app."""
        fds = {guest.listener for guest in self._guests.values() if guest.state == WAITING}
        return tuple(listener for fd, listener in self._listeners.items() if fd in fds)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a Template must close."""
        return (self._epoll.fileno(), *self._guests)

    def covers(self, listener: Listener) -> bool:
        """Whether connections of this listener are looked at."""
        return listener.fd in self._listeners

    # ### Coming

    def meet(self, woken_by: tuple[Listener, ...]) -> tuple[Listener, ...]:
        """Take those who wait on the listeners that have woken us; the listeners that somebody wants the app by."""
        self.accept()
        return (*self.waiting, *(listener for listener in woken_by if not self.covers(listener)))

    def accepts(self, alarm: Alarm) -> bool:
        """Whether to poll the listeners: not while it holds as many as it may, or is short of descriptors."""
        return len(self._guests) < _HELD and alarm.due(self._short_until)

    def accept(self) -> None:
        """Take those who wait, up to the bound, and look at them."""
        for fd in self._listeners:
            listener = _socket.socket(fileno=fd)
            listener.setblocking(False)  # whoever shares it may have said otherwise
            try:
                while len(self._guests) < _HELD:
                    accepted, address = listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001  # as the fuse
                    self._admit(_socket.socket(fileno=accepted), fd, address)
            except (BlockingIOError, ConnectionAbortedError):
                pass
            except OSError:  # EMFILE, ENFILE, ENOMEM: they stay in the backlog until there is room again
                self._short_until = time.monotonic() + _SHORT
            finally:
                listener.detach()

    def _admit(self, sock: _socket.socket, listener: int, address: object) -> None:
        sock.setblocking(False)
        guest = Guest(sock, listener, time.monotonic() + self._screen.header_timeout)
        if not self._screen.admits(address):
            sock.close()
            return
        self._guests[guest.fd] = guest
        self._epoll.register(guest.fd, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        self._look(guest, 0)

    # ### Being looked at

    def sources(self) -> dict[int, tuple[int, Callable[[], None]]]:
        """What to poll for which events, and what to call."""
        return {self._epoll.fileno(): (select.POLLIN, self._turn)} if self._guests else {}

    def _turn(self) -> None:
        for fd, event in self._epoll.poll(0, _HELD):
            guest = self._guests.get(fd)
            if guest is not None and guest.state == LISTENING:
                self._look(guest, event)
            elif guest is not None and guest.state == PARTING:
                self._see_off(guest)

    def _look(self, guest: Guest, event: int) -> None:
        try:
            data = guest.sock.recv(self._screen.most, _socket.MSG_PEEK)
            verdict = self._screen.judge(data, page=self.paging)
            if isinstance(verdict, bytes):
                guest.sock.recv(len(data))
                if guest.sock.send(verdict) == len(verdict):
                    self.answered += 1
                    guest.part(Farewell(guest.sock, time.monotonic(), at_once=True))
                    self._see_off(guest)
                    return
            if verdict == screening.REAL:
                guest.state = WAITING
                self.call()
                return
            if verdict != screening.WAIT or not data or event & _GONE:
                self._drop(guest)
        except BlockingIOError:
            return
        except OSError:  # reset by the client: he is gone
            self._drop(guest)

    def _show_pages(self) -> None:
        """The app takes its time: from now on a browser gets the waking page, and one that waits already, too."""
        self.paging = True
        for guest in [guest for guest in self._guests.values() if guest.state == WAITING]:
            guest.state, guest.deadline = LISTENING, time.monotonic() + self._screen.header_timeout
            self._look(guest, 0)

    # ### Going

    def hand(self, generation: Generation, alarm: Alarm | None = None) -> None:
        """Give those who wait for the app to workers of this generation that may take them now."""
        # What it has loaded counts, and not what the next one is to load.
        kinds = dict(zip(self._kinds, generation.spoken, strict=False)) if generation.loaded else self._kinds
        ahead = self._screen.patience is None  # who is on his way to a worker cannot be shown the waking page
        self._usher.hand(kinds, generation.workers.values(), alarm, ahead=ahead)

    def heard(self, worker: int, report: Welcomed | Declined) -> None:
        """What a worker says of the one who was sent to it."""
        guest = self._guests.get(report.number)
        if guest is None or not guest.is_on_the_way_to(worker):
            return
        if isinstance(report, Welcomed):
            self._drop(guest)
        else:
            self._usher.declined(guest)

    def awaits(self, worker: int) -> bool:
        """Whether somebody is on the way to this worker."""
        return any(guest.is_on_the_way_to(worker) for guest in self._guests.values())

    def bereaved(self, worker: int) -> None:
        """A worker is dead. Whom it had not welcomed waits for the next one."""
        for guest in self._guests.values():
            if guest.is_on_the_way_to(worker):
                guest.state = WAITING
                self.call()

    def surrender(self) -> list[_socket.socket]:
        """No worker will come: whoever is here and not in the hands of one is the caller's from now on."""
        found = []
        for guest in [guest for guest in self._guests.values() if guest.state in (LISTENING, WAITING)]:
            self._forget(guest)
            found.append(guest.sock)
        return found

    def check(self, alarm: Alarm, born: float, *, waking: bool) -> None:
        """Close those whose time is over, show the waking page, wake the app where nobody else gets in.

        `born` is when the import of the app began.
        """
        self.paging = self.paging and waking
        patience = self._screen.patience if waking and not self.paging else None
        if patience is not None and alarm.due(born + patience):
            self._show_pages()
        for guest in list(self._guests.values()):
            if guest.state == LISTENING and alarm.due(guest.deadline):
                self._drop(guest)
            elif guest.state == PARTING and alarm.due(guest.deadline):
                self._see_off(guest)
        if len(self._guests) < _HELD:
            self._full_since = 0.0
            return
        self._full_since = self._full_since or alarm.now
        if alarm.due(self._full_since + _FULL):
            self._full_since = alarm.now
            if waited_for(tuple(self._listeners.values())):
                self.call()
            alarm.due(self._full_since + _FULL)

    def _see_off(self, guest: Guest) -> None:
        farewell = guest.farewell
        if farewell is None or farewell.over(time.monotonic()):
            self._drop(guest)
        else:
            guest.deadline = farewell.until

    def _drop(self, guest: Guest) -> None:
        self._forget(guest)
        guest.sock.close()

    def _forget(self, guest: Guest) -> None:
        del self._guests[guest.fd]
        self._epoll.unregister(guest.fd)  # close(2) is not enough where a worker has the connection as well
