"""The life of an app, as data: states, events, and what to do about each event in each state. Does nothing itself."""

from __future__ import annotations

from enum import Enum, auto

# ### Two rules
# 1. The state is one value. There is no boolean beside it that says "but also stopping": what an event means depends
#    on the state alone, and the table below has an answer for every pair of them. An answer that seems impossible is
#    written down all the same, because signals, deaths and timers come when they like.
# 2. The table decides, the Master acts. A verb of `Do` is one small method of the Master; nothing here knows how it
#    is done, and nothing there decides which state comes next.
#
# ### Where are the generations?
# Not here. A reload is a second Template beside the first; the app is as awake during it as before. So RELOAD is an
# event in every row, and what comes of it are the two SUCCESSOR events.


class State(Enum):
    """Where the app is. ASLEEP is the only state without a process: systemd, or `spyglass lookout`, listens."""

    ASLEEP = "asleep"  # no process of ours; the Lookout listens
    WATCHING = "watching"  # the Master alone; the app is not loaded
    WAKING = "waking"  # the Template imports the app, or the first worker boots
    AWAKE = "awake"  # workers accept
    DOZING = "dozing"  # the Template is kept, the workers are gone
    QUIESCING = "quiescing"  # nobody accepts; the Master collects the proof that all is quiet
    FAILED = "failed"  # the app cannot be loaded: the Master answers 503 and tries again
    DRAINING = "draining"  # told to stop: all that is accepted is answered


class Event(Enum):
    """What can happen to an app, in the Master's view."""

    CONNECTION = auto()  # somebody waits for the app, and no worker will take him
    READY = auto()  # every group of apps has a worker that accepts
    BROKEN = auto()  # the app does not load, or its workers do not live
    SUCCESSOR_READY = auto()  # the second generation has a worker that accepts for every group
    SUCCESSOR_BROKEN = auto()  # the second generation does not load
    TEMPLATE_LOST = auto()  # the Template died while its workers serve on
    WENT_DOZY = auto()  # nothing is open and nothing came for `doze`
    WENT_IDLE = auto()  # the same for `idle` (`watch` where the app was never loaded)
    STIRRED = auto()  # somebody came while all were quiescing, or a worker died
    DOZE_PROVEN = auto()  # quiet, and proven so
    SLEEP_PROVEN = auto()  # the same, and nobody else is at work
    RETRY = auto()  # the pause after a failure is over
    RELOAD = auto()  # SIGHUP
    TERMINATE = auto()  # SIGTERM, SIGINT, or the Lookout is gone
    DRAINED = auto()  # the last worker has left
    DRAIN_OVER = auto()  # `drain` is over and workers are still there
    KILL = auto()  # SIGQUIT, or SIGINT a second time


class Do(Enum):
    """What the Master does about it; each is one method of the Master of the same name in lower case."""

    NOTHING = auto()  # there is nothing to do
    WAKE = auto()  # fork a Template
    SERVE = auto()  # the first worker accepts: say READY, fork the others, arm the idle clock
    QUIESCE = auto()  # ask all workers to stop accepting, towards sleep
    QUIESCE_TO_DOZE = auto()  # towards a doze
    RESUME = auto()  # all workers accept again
    RESUME_AND_RELOAD = auto()  # both
    DOZE = auto()  # the workers go
    ROUSE = auto()  # fork workers from the Template that dozed
    SLEEP = auto()  # leave with 0
    BLOW = auto()  # answer 503 from now on, try again later
    REFUSE = auto()  # take what waits and answer 503
    DEFER = auto()  # it failed again: a longer pause
    RECOVER = auto()  # it works again: back to serving
    GIVE_UP = auto()  # leave with 69
    RELOAD = auto()  # fork a second Template beside the first
    POSTPONE = auto()  # remember the reload until the app is awake
    CONFIRM = auto()  # nothing is loaded, so the next load is the new code: the reload is done
    SUCCEED = auto()  # the second generation takes over, the first retires
    DISCARD = auto()  # the second generation goes, the first never stopped
    WATCH = auto()  # the Template is gone and nobody needs it: watch the listeners
    DRAIN = auto()  # quiesce without a way back
    LEAVE = auto()  # leave with 0, all is answered
    KILL = auto()  # leave at once


def _row(state: State, **answers: tuple[State, Do]) -> dict[tuple[State, Event], tuple[State, Do]]:
    """A row of the table: the answers by their events' names; every other event changes nothing."""
    named = {Event[name]: answer for name, answer in answers.items()}
    return {(state, event): named.get(event, (state, Do.NOTHING)) for event in Event}


TRANSITIONS: dict[tuple[State, Event], tuple[State, Do]] = {
    **_row(State.ASLEEP),
    # While the Master alone looks at the listeners there is nobody to ask: its own poll found none readable in the
    # same turn in which the clock ran out, and whoever comes after that lies in a backlog that the Lookout holds.
    **_row(
        State.WATCHING,
        CONNECTION=(State.WAKING, Do.WAKE),
        WENT_IDLE=(State.ASLEEP, Do.SLEEP),
        RELOAD=(State.WATCHING, Do.CONFIRM),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    **_row(
        State.WAKING,
        READY=(State.AWAKE, Do.SERVE),
        BROKEN=(State.FAILED, Do.BLOW),
        TEMPLATE_LOST=(State.FAILED, Do.BLOW),
        RELOAD=(State.WAKING, Do.POSTPONE),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    **_row(
        State.AWAKE,
        BROKEN=(State.FAILED, Do.BLOW),
        SUCCESSOR_READY=(State.AWAKE, Do.SUCCEED),
        SUCCESSOR_BROKEN=(State.AWAKE, Do.DISCARD),
        TEMPLATE_LOST=(State.AWAKE, Do.RELOAD),
        WENT_DOZY=(State.QUIESCING, Do.QUIESCE_TO_DOZE),
        WENT_IDLE=(State.QUIESCING, Do.QUIESCE),
        RELOAD=(State.AWAKE, Do.RELOAD),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    **_row(
        State.DOZING,
        CONNECTION=(State.AWAKE, Do.ROUSE),
        TEMPLATE_LOST=(State.WATCHING, Do.WATCH),
        WENT_IDLE=(State.QUIESCING, Do.QUIESCE),
        RELOAD=(State.AWAKE, Do.RELOAD),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    # Anything but the proof leads back, from a doze to AWAKE as well: somebody came, and the Template is there.
    **_row(
        State.QUIESCING,
        CONNECTION=(State.AWAKE, Do.RESUME),
        STIRRED=(State.AWAKE, Do.RESUME),
        TEMPLATE_LOST=(State.AWAKE, Do.RESUME_AND_RELOAD),
        DOZE_PROVEN=(State.DOZING, Do.DOZE),
        SLEEP_PROVEN=(State.ASLEEP, Do.SLEEP),
        RELOAD=(State.AWAKE, Do.RESUME_AND_RELOAD),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    **_row(
        State.FAILED,
        CONNECTION=(State.FAILED, Do.REFUSE),
        READY=(State.AWAKE, Do.RECOVER),
        BROKEN=(State.FAILED, Do.DEFER),
        TEMPLATE_LOST=(State.FAILED, Do.DEFER),
        WENT_IDLE=(State.ASLEEP, Do.GIVE_UP),
        RETRY=(State.FAILED, Do.WAKE),
        RELOAD=(State.FAILED, Do.WAKE),
        TERMINATE=(State.DRAINING, Do.DRAIN),
        KILL=(State.ASLEEP, Do.KILL),
    ),
    **_row(
        State.DRAINING,
        DRAINED=(State.ASLEEP, Do.LEAVE),
        DRAIN_OVER=(State.ASLEEP, Do.KILL),
        KILL=(State.ASLEEP, Do.KILL),
    ),
}
