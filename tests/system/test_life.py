"""An app's life under a real systemd, from the installed package: asleep, awake, asleep, and never a lost request."""

from __future__ import annotations

from machine import eventually
from sites import NEVER, QUICK

PID = "say(os.getppid())"


def test_a_request_wakes_the_app_and_it_sleeps_again(site, python):
    app = site(python=python)
    assert (app.machine.state(app.service), app.processes) == ("inactive", 0)
    assert app.curl().out.endswith("200")
    app.until("inactive")
    assert app.processes == 0
    assert app.listens
    assert app.show("Result") == "success"


def test_a_listener_is_there_after_boot_and_nothing_else(site, python):
    app = site(python=python)
    app.machine.run("systemctl", "enable", "--quiet", app.socket)
    app.curl()
    app.machine.reboot()  # in the middle of it
    assert app.listens
    assert app.machine.state(app.service) == "inactive"
    assert app.processes == 0
    assert app.curl().out.endswith("200")
