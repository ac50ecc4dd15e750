"""`spyglass wake` on real units."""

from __future__ import annotations

import re

import pytest
from sites import NEVER, QUICK

pytestmark = pytest.mark.long


def wake(app, code=0):
    done = app.machine.run("spyglass", "wake", app.name, check=False)
    assert done.code == code, done
    return done.out or done.err


def test_an_app_that_sleeps_is_woken_and_one_that_is_awake_let_be(site):
    app = site(**NEVER)
    assert re.fullmatch(rf"{app.name}: awake after \d+ ms \(python \d+ ms, load .*\)", wake(app))
    pid = app.pid
    assert pid
    assert wake(app) == f"{app.name}: awake already"
    assert app.ask("say(1)") == 1
    assert app.pid == pid
    assert app.machine.run("spyglass", "status", app.name).code == 0


def test_one_that_was_woken_sleeps_again_by_itself(site):
    app = site(**QUICK)
    wake(app)
    app.until("inactive")
    assert [event["SPYGLASS_EVENT"] for event in app.events()] == ["WOKE", "READY", "SLEPT"]


def test_over_tcp_as_well_where_a_first_byte_is_waited_for(site):
    tcp = "[Socket]\nListenStream=\nListenStream=127.0.0.1:8123\nDeferAcceptSec=60\n"
    app = site(socket=tcp, kind="wsgi", **NEVER)
    assert "awake after" in wake(app)


def test_where_requests_are_screened_as_well(site):
    app = site(**NEVER)
    lines = [f'app = "{app.name}:app"', f'chdir = "/srv/{app.name}"', 'kind = "wsgi"', 'idle = "1h"']
    screened = "\n".join([*lines, "[[screen]]", 'path = "/health"', ""])
    app.machine.put(f"/etc/spyglass/{app.name}.toml", screened)
    assert "awake after" in wake(app)


def test_an_app_that_does_not_start_says_why(site):
    app = site(source="raise RuntimeError('no database')\n", **NEVER)
    assert "no database" in wake(app, code=69)
    assert "no database" in wake(app, code=69)


def test_one_whose_python_is_gone_does_not_keep_us_waiting(site):
    app = site(service="[Service]\nExecStart=\nExecStart=/nowhere/python\n", **NEVER)
    assert "exit-code" in wake(app, code=69)
    app.machine.run("systemctl", "stop", app.socket, app.service)


def test_where_nobody_listens_it_is_said(site):
    app = site(**QUICK)
    app.machine.run("systemctl", "stop", app.socket)
    assert f"nobody listens for {app.name}" in wake(app, code=69)
