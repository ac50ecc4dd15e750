"""No request is lost at the edge of sleep: the storm of bench/edge.py, short."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

import client  # beside the other benchmarks
from storm import _shoot, storm

SLEEPS = 10  # in each of the four


@pytest.mark.timeout(180)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_no_request_is_lost_when_an_app_falls_asleep(unix, workers):
    tally = storm(unix=unix, workers=workers, sleeps=SLEEPS, limit=120.0)
    assert not tally.faults, "\n".join([tally.name, *tally.faults, *tally.tail])
    assert tally.sleeps >= SLEEPS
    assert tally.requests >= 10 * SLEEPS


def shoot_with_a_probe(address, shot):
    """A probe at the moment that the shot is aimed at, and the shot behind it."""
    time.sleep(max(0.0, shot.at - time.monotonic()))
    probe = client.request(address, head=client.head_of("/healthz", close=False), limit=10.0)
    if probe.body != b"probed":
        raise client.Lost("a probe was given to the app")
    return _shoot(address, shot)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize("shoot", [_shoot, shoot_with_a_probe], ids=["alone", "with probes"])
def test_no_request_is_lost_where_the_master_screens(tmp_path, unix, shoot):
    config = tmp_path / "who.toml"
    config.write_text('app = "who:app"\nkind = "wsgi"\n[[screen]]\npath = "/healthz"\ntext = "probed"\n')
    tally = storm(unix=unix, workers=2, sleeps=SLEEPS, limit=120.0, app=("--config", str(config)), shoot=shoot)
    assert not tally.faults, "\n".join([tally.name, *tally.faults, *tally.tail])
    assert tally.sleeps >= SLEEPS
