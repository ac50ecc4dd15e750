"""The proof that all is quiet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.policy.quiesce import DOZE, MOVED, PROVEN, SLEEP, WAITING, Quiesce

NUMBER = 7
BASELINE = {1: (10, 9), 2: (0, 0), 3: (5, 5)}
quiet = [(worker, NUMBER, *counts) for worker, counts in BASELINE.items()]

workers = st.sampled_from([*BASELINE, 4])
counts = st.sampled_from([*BASELINE.values(), (11, 10), (10, 10), (1, 0), (5, 6)])
acks = st.builds(lambda worker, number, both: (worker, number, *both), workers, st.integers(5, 9), counts)


def asked(aim=SLEEP):
    return Quiesce(NUMBER, aim, dict(BASELINE))


def test_nobody_to_ask_is_proof():
    assert Quiesce(1, SLEEP, {}).verdict == PROVEN


@pytest.mark.parametrize("aim", [SLEEP, DOZE])
def test_the_last_of_all_answers_is_the_proof(aim):
    quiesce = asked(aim)
    assert quiesce.aim == aim
    for ack in quiet:
        assert quiesce.verdict == WAITING
        quiesce.acknowledge(*ack)
    assert quiesce.verdict == PROVEN
    assert quiesce.silent == ()


def test_those_who_have_not_answered_are_named():
    quiesce = asked()
    quiesce.acknowledge(*quiet[1])
    assert quiesce.silent == (1, 3)
    assert repr(quiesce) == "<Quiesce 7 to sleep: waiting, silent (1, 3)>"


def test_one_count_that_moved_is_enough_at_once():
    quiesce = asked()
    quiesce.acknowledge(2, NUMBER, 1, 1)
    assert quiesce.verdict == MOVED


@given(st.permutations(quiet))
def test_the_order_does_not_matter(order):
    quiesce = asked()
    for ack in order:
        quiesce.acknowledge(*ack)
    assert quiesce.verdict == PROVEN


@given(st.lists(acks, max_size=20))
def test_proven_is_that_each_has_said_of_this_number_that_nothing_moved(said):
    """Whatever is said, how often, of which number, and by whom."""
    quiesce = asked()
    first = {}
    for worker, number, *both in said:
        quiesce.acknowledge(worker, number, *both)
        if number == NUMBER and worker in BASELINE:
            first.setdefault(worker, tuple(both))
        moved = any(both != BASELINE[worker] for worker, both in first.items())
        assert quiesce.verdict == (MOVED if moved else PROVEN if first == BASELINE else WAITING)
        assert quiesce.silent == tuple(sorted(BASELINE.keys() - first.keys()))


@given(st.lists(acks.filter(lambda ack: ack[1] != NUMBER)))
def test_answers_to_another_number_count_for_nothing(said):
    quiesce = asked()
    for ack in said:
        quiesce.acknowledge(*ack)
    assert quiesce.verdict == WAITING
    assert quiesce.silent == tuple(BASELINE)


@given(st.permutations([*quiet, (2, NUMBER, 1, 0)]), st.lists(acks))
def test_a_quiesce_that_moved_is_never_proven_any_more(order, more):
    quiesce = asked()
    moved = False
    for ack in [*order, *more]:
        quiesce.acknowledge(*ack)
        moved = moved or quiesce.verdict == MOVED
        assert not (moved and quiesce.verdict != MOVED)
