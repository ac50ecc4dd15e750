"""The table of states: it answers everything, and it answers what the design says."""

from __future__ import annotations

import itertools

import pytest

from spyglass_systemd.processes.master import Master
from spyglass_systemd.words.states import TRANSITIONS, Do, Event, State

LIVING = [state for state in State if state is not State.ASLEEP]
ENDS = {Do.SLEEP, Do.GIVE_UP, Do.LEAVE, Do.KILL}


def answers(state):
    """What is not nothing in a row."""
    row = {event: TRANSITIONS[state, event] for event in Event}
    return {event.name: answer for event, answer in row.items() if answer != (state, Do.NOTHING)}


def test_every_event_has_an_answer_in_every_state():
    assert set(TRANSITIONS) == set(itertools.product(State, Event))


def test_every_answer_is_a_state_and_a_verb():
    assert all(isinstance(state, State) and isinstance(do, Do) for state, do in TRANSITIONS.values())


@pytest.mark.parametrize("do", Do)
def test_a_verb_is_used_and_the_master_knows_it(do):
    assert do in {used for _, used in TRANSITIONS.values()}
    assert callable(getattr(Master, f"_{do.name.lower()}"))


@pytest.mark.parametrize("event", Event)
def test_an_event_means_something_somewhere(event):
    assert any(TRANSITIONS[state, event] != (state, Do.NOTHING) for state in State)


def test_whoever_sleeps_hears_nothing():
    assert answers(State.ASLEEP) == {}


def test_to_fall_asleep_is_to_leave_and_nothing_else_is():
    into = {
        do for (state, _), (after, do) in TRANSITIONS.items() if after is State.ASLEEP and state is not State.ASLEEP
    }
    assert into == ENDS
    assert {after for after, do in TRANSITIONS.values() if do in ENDS} == {State.ASLEEP}


def test_every_state_can_be_reached_and_left_for_sleep():
    after = {state: {TRANSITIONS[state, event][0] for event in Event} for state in State}

    def reached(start):
        found, new = {start}, {start}
        while new:
            new = set().union(*(after[state] for state in new)) - found
            found |= new
        return found

    assert reached(State.WATCHING) == set(State)
    assert all(State.ASLEEP in reached(state) for state in State)


def test_quiescing_has_one_way_in():
    into = {(state, do) for (state, _), (after, do) in TRANSITIONS.items() if after is State.QUIESCING is not state}
    assert into == {
        (State.AWAKE, Do.QUIESCE),
        (State.AWAKE, Do.QUIESCE_TO_DOZE),
        (State.DOZING, Do.QUIESCE),
    }


# ### Signals


@pytest.mark.parametrize("state", LIVING)
def test_a_kill_is_obeyed_at_once(state):
    assert TRANSITIONS[state, Event.KILL] == (State.ASLEEP, Do.KILL)


@pytest.mark.parametrize("state", [state for state in LIVING if state is not State.DRAINING])
def test_a_stop_drains(state):
    assert TRANSITIONS[state, Event.TERMINATE] == (State.DRAINING, Do.DRAIN)


def test_a_reload_has_a_deliberate_answer_in_every_state():
    assert {state: TRANSITIONS[state, Event.RELOAD] for state in State} == {
        State.ASLEEP: (State.ASLEEP, Do.NOTHING),  # the next wake reads everything anew
        State.WATCHING: (State.WATCHING, Do.CONFIRM),  # the same
        State.WAKING: (State.WAKING, Do.POSTPONE),
        State.AWAKE: (State.AWAKE, Do.RELOAD),
        State.DOZING: (State.AWAKE, Do.RELOAD),
        State.QUIESCING: (State.AWAKE, Do.RESUME_AND_RELOAD),
        State.FAILED: (State.FAILED, Do.WAKE),  # a retry, at once
        State.DRAINING: (State.DRAINING, Do.NOTHING),  # on the way out
    }


# ### The life of an app, row by row (but for signals)


def row_of(state):
    return {name: answer for name, answer in answers(state).items() if name not in ("TERMINATE", "KILL", "RELOAD")}


def test_a_watcher_wakes_for_a_connection_and_sleeps_without_one():
    assert row_of(State.WATCHING) == {
        "CONNECTION": (State.WAKING, Do.WAKE),
        "WENT_IDLE": (State.ASLEEP, Do.SLEEP),
    }


def test_waking_ends_with_a_worker_that_accepts_or_in_failure():
    assert row_of(State.WAKING) == {
        "READY": (State.AWAKE, Do.SERVE),
        "BROKEN": (State.FAILED, Do.BLOW),
        "TEMPLATE_LOST": (State.FAILED, Do.BLOW),
    }


def test_whoever_is_awake_goes_to_quiesce_when_idle_and_never_straight_to_sleep():
    assert row_of(State.AWAKE) == {
        "BROKEN": (State.FAILED, Do.BLOW),
        "SUCCESSOR_READY": (State.AWAKE, Do.SUCCEED),
        "SUCCESSOR_BROKEN": (State.AWAKE, Do.DISCARD),
        "TEMPLATE_LOST": (State.AWAKE, Do.RELOAD),
        "WENT_DOZY": (State.QUIESCING, Do.QUIESCE_TO_DOZE),
        "WENT_IDLE": (State.QUIESCING, Do.QUIESCE),
    }


def test_whoever_dozes_is_roused_by_a_connection_and_asks_before_it_sleeps():
    assert row_of(State.DOZING) == {
        "CONNECTION": (State.AWAKE, Do.ROUSE),
        "TEMPLATE_LOST": (State.WATCHING, Do.WATCH),
        "WENT_IDLE": (State.QUIESCING, Do.QUIESCE),
    }


def test_only_the_proof_leads_from_quiescing_to_rest_and_anything_else_back():
    assert row_of(State.QUIESCING) == {
        "DOZE_PROVEN": (State.DOZING, Do.DOZE),
        "SLEEP_PROVEN": (State.ASLEEP, Do.SLEEP),
        "CONNECTION": (State.AWAKE, Do.RESUME),
        "STIRRED": (State.AWAKE, Do.RESUME),
        "TEMPLATE_LOST": (State.AWAKE, Do.RESUME_AND_RELOAD),
    }


def test_a_broken_app_answers_tries_again_and_gives_up_when_nobody_asks():
    assert row_of(State.FAILED) == {
        "CONNECTION": (State.FAILED, Do.REFUSE),
        "READY": (State.AWAKE, Do.RECOVER),
        "BROKEN": (State.FAILED, Do.DEFER),
        "TEMPLATE_LOST": (State.FAILED, Do.DEFER),
        "WENT_IDLE": (State.ASLEEP, Do.GIVE_UP),
        "RETRY": (State.FAILED, Do.WAKE),
    }


def test_nothing_leads_back_from_draining():
    assert row_of(State.DRAINING) == {
        "DRAINED": (State.ASLEEP, Do.LEAVE),
        "DRAIN_OVER": (State.ASLEEP, Do.KILL),
    }
