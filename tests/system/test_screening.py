"""Probes to an app that sleeps, under a real systemd: the unit starts and answers, the app is never imported."""

from __future__ import annotations

import pytest
from machine import eventually
from sites import QUICK

pytestmark = pytest.mark.long

APP = """
import os

open(os.environ["STATE_DIRECTORY"] + "/imported", "w").close()


def app(environ, start):
    start("200 OK", [])
    return [b"the app"]
"""
SCREEN = """
[[screen]]
path = "/healthz"
text = "fine"

[[screen]]
path = "/wp-*"
close = true
"""


@pytest.fixture
def screened(site, python):
    app = site(source=APP, python=python, kind="wsgi", **QUICK)
    app.machine.put(
        f"/etc/spyglass/{app.name}.toml", app.machine.run("cat", f"/etc/spyglass/{app.name}.toml").out + SCREEN
    )
    return app


def test_probes_never_wake_the_app_and_who_means_it_does(screened):
    imported = screened.machine.root / screened.kept("imported")[1:]
    at = ("--unix-socket", screened.path)
    for _ in range(10):
        for _ in range(3):
            assert screened.curl(*at, "http://localhost/healthz").out == "fine\n200"
        assert screened.curl(*at, "http://localhost/wp-login.php", check=False).code in {52, 56}  # nothing, or a reset
        screened.until("inactive")
    assert not imported.exists()
    assert (screened.show("NRestarts"), screened.show("Result")) == ("0", "success")
    assert screened.curl(*at, "http://localhost/").out == "the app\n200"
    assert imported.exists()
    events = [event["SPYGLASS_EVENT"] for event in screened.events()]
    assert events.count("WOKE") == 1


def test_probes_do_not_keep_an_app_awake(screened):
    at = ("--unix-socket", screened.path)
    assert screened.curl(*at, "http://localhost/").out == "the app\n200"

    def asleep():
        answer = screened.curl(*at, "http://localhost/healthz").out
        return answer == "fine\n200" and "slept" in screened.log()

    eventually(asleep, "it sleeps while it is probed")
