"""A Master to test, and that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest
from harness import APPS, Service, make_listener


@pytest.fixture
def listener(tmp_path):
    """Makes a listening socket: v4, v6, path or abstract."""
    with contextlib.ExitStack() as stack:
        yield lambda kind="path": stack.enter_context(make_listener(kind, tmp_path))


@pytest.fixture
def gate(tmp_path):
    """The path of a FIFO: an app that opens it for reading waits until the test opens it for writing."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


@pytest.fixture
def service(tmp_path, listener):
    """Makes a service: `service(*options)` serves the knife app on a Unix socket, `app=` the source of another.

    Short times are for services that are to fall asleep; who wants them says so. At the end of the test, nobody may be
    left of one that has ended.
    """
    made = []

    def service(*options, app=None, listeners=(), spec="", config=None, **more):
        directory = APPS
        if app is not None:
            directory = tmp_path / "app"
            directory.mkdir(exist_ok=True)
            (directory / "blog.py").write_text(app)
        name = "blog" if app is not None else "knife"
        arguments = ["--name", name, "--chdir", str(directory), "--min-awake", "0", *options]
        arguments += ["--config", str(config)] if config else [spec or f"{name}:app"]
        made.append(Service(tmp_path, tuple(listeners) or (listener(),), arguments, **more))
        return made[-1]

    yield service
    left = []
    for one in made:
        if one.process is not None:
            if one.process.poll() is not None:
                left += one.stragglers()
            one.kill_all()
            sys.stdout.write(f"{one.log}\n{one.letters}\n")  # shown where the test has failed
    assert not left
