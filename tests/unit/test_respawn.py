"""How long a dead process stays dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy.respawn import delay, in_a_row


def test_the_pause_doubles_up_to_the_limit():
    assert [delay(n) for n in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_first_and_limit_can_be_chosen():
    assert [delay(n, first=0.5, limit=3.0) for n in (1, 2, 3, 4)] == [0.5, 1, 2, 3]


def test_jitter_lengthens_the_pause():
    assert delay(2, jitter=0.25) == pytest.approx(2.5)


@given(st.integers(min_value=-5), st.floats(0, 1))
def test_any_number_of_failures_has_a_pause_within_bounds(failures, jitter):
    assert 0.0 <= delay(failures, jitter=jitter) <= 60.0


def test_failures_at_once_are_counted_in_a_row():
    count = 0
    for expected in (1, 2, 3):
        count = in_a_row(count, lived=0.1)
        assert count == expected


def test_a_life_as_long_as_the_pause_before_it_begins_a_new_row():
    assert in_a_row(4, lived=7.9) == 5
    assert in_a_row(4, lived=8.0) == 1


def test_what_died_on_its_first_start_has_failed_once():
    assert in_a_row(0, lived=0.0) == 1
    assert in_a_row(0, lived=3600.0) == 1
