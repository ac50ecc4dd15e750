"""No request is lost at the edge of sleep: the storm of bench/edge.py, short."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from storm import storm  # beside the other benchmarks

SLEEPS = 10  # in each of the four


@pytest.mark.timeout(180)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_no_request_is_lost_when_an_app_falls_asleep(unix, workers):
    tally = storm(unix=unix, workers=workers, sleeps=SLEEPS, limit=120.0)
    assert not tally.faults, "\n".join([tally.name, *tally.faults, *tally.tail])
    assert tally.sleeps >= SLEEPS
    assert tally.requests >= 10 * SLEEPS
