"""What of an old process is not what is installed now."""

from __future__ import annotations

import sys

import pytest

from spyglass_systemd.protocols import footing


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A virtual environment, `current`, which is a symbolic link."""
    for number in (1, 2):
        release = tmp_path / f"release{number}"
        (release / "bin").mkdir(parents=True)
        (release / "pyvenv.cfg").write_text("home = /usr/bin\n")
        (release / "bin" / "python").symlink_to(sys.executable)
    current = tmp_path / "current"
    current.symlink_to("release1")
    monkeypatch.setattr(sys, "prefix", str(current))
    monkeypatch.setattr(sys, "executable", str(current / "bin" / "python"))
    return current


def test_what_is_as_it_was_has_not_changed(environment):
    before = footing.take()
    (environment / "lib").mkdir()  # a package more is no reason
    assert footing.changed(before) == ()


def test_another_environment_in_its_place_is_named(environment):
    before = footing.take()
    environment.unlink()
    environment.symlink_to("release2")
    assert footing.changed(before) == (f"the environment {environment}",)


def test_an_environment_that_is_gone_is_named(environment):
    before = footing.take()
    environment.unlink()
    assert footing.changed(before) == (f"the Python {environment}/bin/python", f"the environment {environment}")


def test_another_python_is_named(environment):
    before = footing.take()
    (environment / "bin" / "python").unlink()
    (environment / "bin" / "python").write_text("#!/bin/sh\n")
    assert footing.changed(before) == (f"the Python {environment}/bin/python",)


def test_our_own_next_version_is_named(tmp_path, monkeypatch):
    (tmp_path / "__init__.py").write_text("")
    monkeypatch.setattr(footing, "_OURS", str(tmp_path))
    before = footing.take()
    (tmp_path / "new").write_text("")
    (tmp_path / "new").rename(tmp_path / "__init__.py")
    assert footing.changed(before) == ("spyglass-systemd",)
