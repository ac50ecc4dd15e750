"""The Master's loop: deadlines, sources, the queue of events and the table. Knows no verb's meaning and no HTTP."""

from __future__ import annotations

import select
import time

from spyglass_systemd.processes import hearing
from spyglass_systemd.processes.alarm import Alarm
from spyglass_systemd.protocols.apps import leads
from spyglass_systemd.words.errors import SpyglassError
from spyglass_systemd.words.states import TRANSITIONS, Event, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from spyglass_systemd.processes.bulletin import Bulletin
    from spyglass_systemd.processes.crew import Crew
    from spyglass_systemd.processes.failure import Failure
    from spyglass_systemd.processes.lobby import Lobby
    from spyglass_systemd.processes.succession import Succession
    from spyglass_systemd.processes.summons import Summons
    from spyglass_systemd.processes.vigil import Vigil
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings
else:
    from _collections import deque  # the builtin under `collections`, which is 2 ms

_LAST = 1.0  # seconds for the kernel to end what has been killed
_AWAITED = 2.0  # seconds for workers that were quiet, and are dismissed, where somebody waits for the next Master
_DEBUG = 7  # syslog(3)

# ### One loop, one queue, one table
# A turn of the loop is: look at the deadlines; wait until something can be read or the next deadline is reached; let
# each source say what it has to say. Whatever is decided on the way is an Event in the queue, and only `_step` takes
# events out: it looks into the table (words/states), enters the next state and performs one verb. The verbs are the
# Master's methods, and none of them asks in which state we are.


class Loop:
    """What a Master is below its verbs. `_state` is where the app is; every verb of states.Do is a method `_verb`."""

    _crew: Crew
    _failure: Failure
    _vigil: Vigil
    _succession: Succession
    _bulletin: Bulletin
    _summons: Summons
    _settings: Settings

    def __init__(self, listeners: tuple[Listener, ...], log: Log) -> None:
        self._listeners = listeners
        self._log = log
        self._queue: deque[Event] = deque()
        self._alarm = Alarm()
        self._state = State.WATCHING
        self._before: tuple[Settings, int] | None = None
        self._awaited = False  # somebody has come whom the next Master will serve

    def _turn_until_asleep(self) -> None:
        self._step()
        while self._state is not State.ASLEEP:
            self._check()
            if not self._queue:  # else the deadlines are those of a state that is about to be left
                self._wait()
            self._step()

    def _turn_until_alone(self, deadline: float) -> None:
        """Until no process below us is left; who is there at the `deadline` is killed."""
        roster = self._crew.roster
        for last in (False, True):
            while roster.generations:
                self._alarm.reset()
                if Event.CONNECTION in self._queue and not self._awaited:
                    self._awaited, deadline = True, min(deadline, self._alarm.now + _AWAITED)
                if self._alarm.due(deadline + _LAST if last else deadline):
                    break
                self._crew.check(self._alarm, may_fork=False, first_only=True)
                if roster.generations:  # else there is nobody left to wait for
                    self._wait()
            if not last:
                self._crew.kill_all("did not end")

    def _depart(self) -> None:
        """Let all below us end in order, within bounds: what is left when we exit is killed without a word."""
        self._crew.dismiss_all(self._state.value)
        for generation in self._crew.roster.generations.values():
            self._crew.release(generation)
        self._turn_until_alone(time.monotonic() + self._settings.drain)
        self._failure.close()

    def _step(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            state, do = TRANSITIONS[self._state, event]
            self._log.event("step", _DEBUG, state=self._state.value, event=event.name, to=state.value, do=do.name)
            if state is not self._state:
                self._enter(state)
            getattr(self, f"_{do.name.lower()}")()

    def _enter(self, state: State) -> None:
        self._state = state
        self._vigil.entered(state)
        self._bulletin.entered(state)

    def _nothing(self) -> None:
        pass

    # ### A turn

    def _check(self) -> None:
        """What is due by now, and when to look again."""
        alarm = self._alarm
        alarm.reset()
        self._crew.check(
            alarm,
            # Nothing is forked during a quiesce: a worker that boots is not asked, and would accept unseen.
            may_fork=self._state in (State.WAKING, State.AWAKE, State.FAILED),
            first_only=self._state is not State.AWAKE,
        )
        if self._crew.lobby is not None:
            self._host(self._crew.lobby)
        self._failure.check(alarm)
        self._succession.check(alarm, self._bulletin.status())
        event = None if self._queue else self._vigil.event(self._state, alarm)
        if event is not None:
            self._queue.append(event)
        self._bulletin.check(alarm)

    def _wait(self) -> None:
        """Until a source is ready or the next deadline is reached; then let every ready source speak.

        The poll set is made anew each turn: there are few descriptors, and what is derived cannot be stale.
        """
        sources = hearing.sources(self._crew)
        for fd, call in self._summons.sources().items():
            sources[fd] = (select.POLLIN, call)
        sources |= self._doors()
        if self._failure.fuse is not None:
            sources |= self._failure.fuse.sources()
        pressure = self._vigil.pressure
        if pressure is not None and pressure.fd >= 0:
            sources[pressure.fd] = (pressure.events, lambda: pressure.heed(time.monotonic()))
        poll = select.poll()
        for fd, (events, _) in sources.items():
            poll.register(fd, events)
        for fd, _ in poll.poll(self._alarm.timeout_ms):
            sources[fd][1]()

    def _doors(self) -> dict[int, tuple[int, Callable[[], None]]]:
        """The listeners, where it is for the Master to look at them, and who came in by them."""
        sources: dict[int, tuple[int, Callable[[], None]]] = {}
        lobby = self._crew.lobby
        for listener in self._listeners:
            if lobby is not None and self._receives(lobby) and lobby.covers(listener):
                if lobby.accepts(self._alarm):
                    sources[listener.fd] = (select.POLLIN, lobby.accept)
            elif self._listening:
                sources[listener.fd] = (select.POLLIN, self._connection)
        if lobby is not None:
            sources |= lobby.sources()
        return sources

    @property
    def _listening(self) -> bool:
        """Whether it is for the Master to look at the listeners: where no worker does."""
        if self._state is State.ASLEEP:
            return not self._awaited
        if self._state is State.FAILED:
            return self._failure.fuse is not None and self._failure.fuse.accepts(self._alarm)
        return self._state in (State.WATCHING, State.DOZING, State.QUIESCING)

    # ### Whom the Master itself has accepted

    def _adopt(self, settings: Settings) -> None:
        """Go by these settings from now on. Raises ActivationError where they do not fit the listeners."""
        self._settings = self._crew.settings = settings
        self._crew.aim_at(settings.workers)
        self._vigil.adopt(settings)
        self._receive(settings)

    def _restore(self) -> None:
        """Go by the settings of those who serve: what was to go by later ones is of no use."""
        if self._before is not None:
            settings, self._crew.want = self._before
            self._adopt(settings)

    def _renew(self, reread: Callable[[], Settings]) -> SpyglassError | None:
        """The same with the settings as they are now; what is wrong with them, if something is."""
        try:
            self._adopt(reread())
        except SpyglassError as error:
            return error
        return None

    def _receive(self, settings: Settings, lobby: Lobby | None = None) -> None:
        """Have a lobby where these settings ask for one; `lobby` is one that somebody is in already."""
        crew = self._crew
        if lobby is not None:
            crew.lobby = lobby
            lobby.call = self._connection
            if lobby.waiting:
                self._connection()
        elif crew.lobby is not None:
            crew.lobby.adopt(leads(settings, self._listeners), settings)
        elif settings.screen or settings.patience is not None:
            from spyglass_systemd.processes import lobby as lobbies  # noqa: PLC0415  # for those who want one

            self._receive(settings, lobbies.Lobby(leads(settings, self._listeners), settings))

    def _receives(self, lobby: Lobby) -> bool:
        """Whether it is for the lobby to accept."""
        if self._state is State.WAKING:
            return lobby.paging
        return lobby.screens and self._state in (State.WATCHING, State.DOZING)

    def _host(self, lobby: Lobby) -> None:
        """See to them: a worker, the waking page, or the fuse."""
        current, alarm = self._crew.roster.current, self._alarm
        lobby.check(alarm, current.born if current is not None else alarm.now, waking=self._state is State.WAKING)
        if self._state in (State.FAILED, State.DRAINING):
            self._failure.see_off(lobby.surrender(), self._listeners, self._settings)
        elif current is not None:
            lobby.hand(current, alarm)

    def _connection(self) -> None:
        if Event.CONNECTION not in self._queue:  # one event, however many listeners are readable
            self._queue.append(Event.CONNECTION)
