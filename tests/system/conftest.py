"""Machines to test on: booted when first asked for, shared by all tests, gone at the end."""

from __future__ import annotations

import contextlib

import base
import pytest
from machine import UNIFIED, V1, Machine, lacks


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/system/" in item.nodeid:
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def boot():
    """Boots a machine of a suite in a lane, or gives the one that is up."""
    reason = base.why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        up = {}

        def boot(suite, lane=UNIFIED):
            if (suite, lane) not in up:
                up[suite, lane] = stack.enter_context(Machine(base.path(suite), f"{suite}-{lane}", lane))
            return up[suite, lane]

        yield boot


@pytest.fixture(params=base.SUITES)
def suite(request):
    """Each Debian release in turn."""
    return request.param


@pytest.fixture
def machine(boot, suite):
    """A machine of each release, as a small server has it: one hierarchy of cgroups."""
    return boot(suite)


@pytest.fixture
def limited(boot, suite):
    """A machine of each release in which limits of memory and processes hold."""
    reason = lacks(V1)
    if reason:
        pytest.skip(reason)
    return boot(suite, V1)
