"""When an app may doze and when it may sleep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy.idle import IdlePolicy
from spyglass_systemd.words.snapshot import Snapshot

seconds = st.integers(0, 10_000).map(lambda n: n / 8)  # exact in binary, and in nanoseconds
spans = st.integers(1, 10_000).map(lambda n: n / 8)


def seen(last_activity=0.0, **counts):
    return Snapshot(last_activity_ns=int(last_activity * 1e9), **counts)


def test_an_app_sleeps_when_idle_is_over_since_the_last_activity():
    policy = IdlePolicy(idle=60.0, doze=None, min_awake=3.0)
    assert policy.sleeps_in(seen(100.0), armed=10.0, began=10.0, now=130.0) == 30.0
    assert policy.sleeps_in(seen(100.0), armed=10.0, began=10.0, now=160.0) == 0.0
    assert policy.sleeps_in(seen(100.0), armed=10.0, began=10.0, now=500.0) == 0.0


def test_the_clock_runs_from_the_entry_into_the_state_where_nobody_ever_came():
    policy = IdlePolicy(idle=60.0, doze=20.0, min_awake=3.0)
    assert policy.sleeps_in(seen(), armed=100.0, began=100.0, now=110.0) == 50.0
    assert policy.dozes_in(seen(), armed=100.0, now=110.0) == 10.0


def test_activity_before_the_present_state_does_not_count():
    policy = IdlePolicy(idle=60.0, doze=20.0, min_awake=3.0)
    assert policy.sleeps_in(seen(90.0), armed=100.0, began=0.0, now=110.0) == 50.0
    assert policy.dozes_in(seen(90.0), armed=100.0, now=110.0) == 10.0


def test_a_master_lives_for_min_awake_at_least():
    policy = IdlePolicy(idle=0.5, doze=0.25, min_awake=3.0)
    assert policy.sleeps_in(seen(), armed=100.0, began=100.0, now=101.0) == 2.0
    assert policy.dozes_in(seen(), armed=100.0, now=101.0) == 0.0


@pytest.mark.parametrize("held", [{"open": 1}, {"in_flight": 1}, {"leases": 1}])
def test_what_is_held_keeps_the_app_awake(held):
    policy = IdlePolicy(idle=60.0, doze=20.0, min_awake=0.0)
    assert policy.sleeps_in(seen(**held), armed=0.0, began=0.0, now=1000.0) is None
    assert policy.dozes_in(seen(**held), armed=0.0, now=1000.0) is None


def test_off_is_never():
    policy = IdlePolicy(idle=None, doze=None, min_awake=0.0)
    assert policy.sleeps_in(seen(), armed=0.0, began=0.0, now=1e9) is None
    assert policy.dozes_in(seen(), armed=0.0, now=1e9) is None


@given(idle=spans, doze=spans, min_awake=seconds, last=seconds, armed=seconds, began=seconds, later=seconds)
def test_what_is_said_to_be_left_is_left(*, idle, doze, min_awake, last, armed, began, later):
    """After exactly that long it is time, and not a moment before."""
    now = max(last, armed, began) + later
    policy = IdlePolicy(idle, doze, min_awake)
    for ask, limit in (
        (lambda at: policy.sleeps_in(seen(last), armed, began, at), idle),
        (lambda at: policy.dozes_in(seen(last), armed, at), doze),
    ):
        left = ask(now)
        assert left >= 0.0
        assert ask(now + left) == 0.0
        assert now + left >= max(last, armed) + limit
        if left:
            assert ask(now + left - 1 / 8) == 1 / 8


def test_a_policy_can_be_hastened_but_not_below_the_shortest_life():
    hasty = IdlePolicy(300.0, 60.0, 5.0).hastened(10)
    assert (hasty.idle, hasty.doze, hasty.min_awake) == (30.0, 6.0, 5.0)
    never = IdlePolicy(None, None, 5.0).hastened(10)
    assert (never.idle, never.doze) == (None, None)
