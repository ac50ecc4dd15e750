"""One turn's time."""

from __future__ import annotations

import pytest

from spyglass_systemd.processes import alarm as module
from spyglass_systemd.processes.alarm import FOREVER, Alarm


class Clock:
    """time, where it is what we say."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def alarm(clock):
    assert clock.now == 100.0
    return Alarm()


def test_without_a_deadline_there_is_nothing_to_wait_for(alarm):
    assert alarm.timeout_ms is None
    assert not alarm.due(FOREVER)
    assert alarm.timeout_ms is None


def test_what_is_reached_is_due_and_asks_for_no_other_look(alarm):
    assert alarm.due(99.0)
    assert alarm.due(100.0)
    assert alarm.at == FOREVER


def test_what_is_not_reached_makes_the_loop_look_then(alarm):
    assert not alarm.due(101.5)
    assert alarm.timeout_ms == 1500.0


def test_the_loop_looks_at_the_first_deadline_of_all(alarm):
    for at in (105.0, 102.0, 103.0):
        assert not alarm.due(at)
    assert alarm.timeout_ms == 2000.0


def test_what_a_turn_takes_is_not_waited_for_again(alarm, clock):
    alarm.due(102.0)
    clock.now = 101.5
    assert alarm.timeout_ms == 500.0
    clock.now = 103.0
    assert alarm.timeout_ms == 0.0


def test_a_turn_has_one_time(alarm, clock):
    clock.now = 200.0
    assert not alarm.due(150.0)
    alarm.reset()
    assert alarm.now == 200.0
    assert alarm.at == FOREVER
    assert alarm.due(150.0)


def test_a_turn_that_comes_when_it_was_asked_for_is_not_late(alarm, clock):
    alarm.reset()
    alarm.due(105.0)
    clock.now = 105.0
    alarm.reset()
    assert alarm.late == 0.0


def test_a_turn_that_comes_too_late_says_by_how_much(alarm, clock):
    alarm.reset()
    alarm.due(105.0)
    clock.now = 112.0
    alarm.reset()
    assert alarm.late == 7.0
    alarm.reset()
    assert alarm.late == 0.0
