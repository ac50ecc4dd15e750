"""Spin finds no way to break a promise of the protocol, and finds each mistake that one can make in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import proof  # beside the other scripts

pytestmark = [
    pytest.mark.skipif(not proof.available(), reason="needs spin and gcc; ./dev proof installs them"),
    pytest.mark.timeout(300),
]


def test_no_promise_is_broken():
    outcome = proof.hold(proof.SHORT[-1])  # ./dev proof looks at more
    assert outcome.broken == "", "\n".join(outcome.story)
    assert outcome.idle == []
    assert outcome.states > 100_000


@pytest.mark.parametrize("mutation", proof.MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mistake_breaks_its_promise(mutation):
    outcome = proof.mutate(mutation)
    assert outcome.broken == mutation.promise, "\n".join(outcome.story)
