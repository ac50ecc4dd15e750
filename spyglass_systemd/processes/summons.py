"""What others want of the Master: signals, and the end of its Lookout. Turns them into events; decides nothing."""

from __future__ import annotations

import os

from spyglass_systemd.protocols import signals
from spyglass_systemd.words.states import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_EVENTS: dict[int, Event] = {
    signals.TERM: Event.TERMINATE,
    signals.INT: Event.TERMINATE,  # a second time: KILL
    signals.QUIT: Event.KILL,
    signals.HUP: Event.RELOAD,
}


class Summons:
    """`signal_fd` is that of `signals.watch`; `post` takes the events; `resize` is called with +1 (TTIN) or -1 (TTOU).

    `reload` is called when somebody asks for one (HUP), before the event, which has other causes, too.

    `lookout_pid` is that of a `spyglass lookout` that started us, 0 for none: systemd holds its listeners whatever
    happens to us, but when a Lookout of ours dies nobody does. Then `abandoned` turns true, and we finish and leave.
    """

    def __init__(
        self,
        signal_fd: int,
        lookout_pid: int,
        post: Callable[[Event], None],
        *,
        resize: Callable[[int], None],
        reload: Callable[[], None],
    ) -> None:
        self._post = post
        self._resize = resize
        self._reload = reload
        self._interrupts = 0
        self._signal_fd = signal_fd
        self._lookout_fd = -1
        self.abandoned = False
        if lookout_pid:
            self._follow(lookout_pid)

    def _follow(self, lookout_pid: int) -> None:
        try:
            self._lookout_fd = os.pidfd_open(lookout_pid)
        except ProcessLookupError:
            self._lookout_gone()
            return
        if os.getppid() != lookout_pid:  # it died before we looked, and its number belongs to somebody else
            self._lookout_gone()

    def sources(self) -> dict[int, Callable[[], None]]:
        """The descriptors to poll for reading, and what to call."""
        found = {self._signal_fd: self._signals}
        if self._lookout_fd >= 0:
            found[self._lookout_fd] = self._lookout_gone
        return found

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a Template must close; the signal pipe is closed by every fork of ours (signals.restore)."""
        return (self._lookout_fd,) if self._lookout_fd >= 0 else ()

    def _signals(self) -> None:
        for number in signals.received(self._signal_fd):
            if number == signals.TTIN:
                self._resize(+1)
            elif number == signals.TTOU:
                self._resize(-1)
            elif number == signals.INT and self._interrupts:
                self._post(Event.KILL)
            elif number in _EVENTS:
                self._interrupts += number == signals.INT
                if number == signals.HUP:
                    self._reload()
                self._post(_EVENTS[number])

    def _lookout_gone(self) -> None:
        if self._lookout_fd >= 0:
            os.close(self._lookout_fd)
            self._lookout_fd = -1
        self.abandoned = True
        self._post(Event.TERMINATE)
