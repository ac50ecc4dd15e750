"""Two who switch sites at the same time; what switching does is tests/system's."""

from __future__ import annotations

import fcntl
import os
import shutil

import pytest

from spyglass_systemd.tools.sites import alone


def is_taken(places):
    fd = os.open(places.config, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def test_whoever_switches_sites_is_alone_until_he_is_done(site):
    with alone(site.places):
        assert is_taken(site.places)
    assert not is_taken(site.places)
    with pytest.raises(ZeroDivisionError), alone(site.places):
        assert 1 / 0
    assert not is_taken(site.places)


def test_where_there_is_no_site_nobody_is_in_the_way(site):
    shutil.rmtree(site.places.config)
    with alone(site.places):
        assert not site.places.config.exists()
