"""Machines to test on: booted when first asked for, shared by all tests, gone at the end. And apps on them."""

from __future__ import annotations

import contextlib
import itertools
import sys
from pathlib import Path

import base
import pytest
from machine import UNIFIED, V1, Machine, lacks

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "process"))  # its clients, and what they understand

from sites import DEBIAN, VENV, Site  # noqa: E402  # see above


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/system/" in item.nodeid:
            item.add_marker(pytest.mark.system)
            long = item.get_closest_marker("long") is not None
            item.add_marker(pytest.mark.timeout(300 if long else 120))  # the first one boots, and installs


@pytest.fixture(scope="session")
def boot():
    """Boots a machine of a suite in a lane, or gives the one that is up."""
    reason = base.why_not()
    if reason:
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        up = {}

        def boot(suite, lane=UNIFIED, name=""):
            if (suite, lane, name) not in up:
                machine = Machine(base.path(suite), "-".join(filter(None, (suite, lane, name))), lane)
                up[suite, lane, name] = stack.enter_context(machine)
            return up[suite, lane, name]

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


# ### With our package


@pytest.fixture(scope="session")
def packages():
    """The Debian packages of this tree."""
    found = sorted((ROOT / "dist").glob("*.deb"))
    if not found:
        pytest.skip("there is no package yet: `./dev deb` makes it")
    return found


@pytest.fixture(scope="session")
def install(packages):
    """Installs our packages on a machine, once; with the machine's Python, and in a virtual environment as well."""
    done = set()

    def install(machine):
        if machine.root not in done:
            machine.install(*packages)
            wheels = "/usr/share/spyglass-systemd/wheels"
            machine.run(
                "/opt/venv/bin/pip", "install", "-qq", "--no-index", f"--find-links={wheels}", "spyglass-systemd"
            )
            done.add(machine.root)
        return machine

    return install


@pytest.fixture(scope="session")
def numbers():
    return itertools.count(1)


@pytest.fixture
def site(boot, suite, install, numbers):
    """Puts an app on the machine of each release, behind a listener: `site(idle="1s")`."""
    with contextlib.ExitStack() as stack:

        def site(*, on=None, **more):
            machine = install(on or boot(suite))
            made = Site(machine, f"app{next(numbers)}", **more)
            stack.callback(made.remove)
            return made

        yield site


@pytest.fixture(params=[DEBIAN, VENV])
def python(request):
    """Debian's Python with systemd-python, and one of a virtual environment with cysystemd."""
    return request.param
