"""An app's life under a real systemd, from the installed package: asleep, awake, asleep, and never a lost request."""

from __future__ import annotations

import contextlib

import pytest
from harness import said
from machine import eventually
from sites import NEVER, QUICK, VENV

MASTER = "say(os.getppid())"  # of a worker, the Template; it lives as long as the Master


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


def test_each_python_speaks_to_systemd_by_its_own_library(site, python):
    app = site(python=python, **NEVER)
    app.request()
    app.until("active")
    lines = app.machine.run("cat", f"/proc/{app.pid}/maps").out.splitlines()
    libraries = {line.split()[-1] for line in lines if "/_daemon." in line}
    name = "cysystemd" if python == VENV else "systemd"
    assert {path.split("/")[-2] for path in libraries} == {name}


@pytest.mark.parametrize("count", [10, pytest.param(100, marks=pytest.mark.long)])
def test_no_number_of_wakes_wears_the_listener_out(site, python, count):
    """More than five starts in ten seconds would close it, were the limit not off."""
    app = site(python=python, idle="0.05s", min_awake="0s")
    masters = set()
    for _ in range(count):
        masters.add(app.ask(MASTER))
        app.until("inactive")
    assert len(masters) == count
    assert app.listens
    assert (app.show("NRestarts"), app.show("Result")) == ("0", "success")
    events = [event["SPYGLASS_EVENT"] for event in app.events()]
    assert (events.count("WOKE"), events.count("SLEPT")) == (count, count)


@pytest.mark.long
def test_six_clean_sleeps_in_ten_seconds_are_no_failure(site):
    app = site(idle="0.1s", min_awake="1s")
    for _ in range(6):
        app.curl()
        app.until("inactive")
    assert app.listens
    assert app.curl().out.endswith("200")


def test_a_connection_that_comes_with_the_sleep_is_answered(site, python):
    """Aimed at the moment: as soon as systemd hears that the app stops, or that it has stopped."""
    app = site(python=python, idle="0.05s", min_awake="0s")
    for state in ("deactivating", "inactive") * 4:
        app.request()
        eventually(lambda state=state: app.machine.state(app.service) in {state, "inactive"}, "going to sleep")
        assert app.request().status == 200
    assert app.show("NRestarts") == "0"


def test_the_status_says_what_it_does(site, python):
    app = site(python=python, **NEVER)
    app.request()
    app.until_status("awake, 2 workers")
    assert 'Status: "awake, 2 workers"' in app.machine.run("systemctl", "status", "--no-pager", app.service).out


def test_starting_it_with_nobody_connected_returns_and_it_sleeps_by_itself(site, python):
    app = site(python=python)
    app.machine.run("systemctl", "start", app.service)
    assert app.machine.state(app.service) == "active"
    app.until("inactive")
    assert (app.listens, app.show("Result")) == (True, "success")


def test_restarting_it_with_nobody_connected_returns_and_it_sleeps_by_itself(site):
    app = site()
    for verb in ("restart", "restart", "try-restart"):
        app.machine.run("systemctl", verb, app.service)
    app.until("inactive")
    app.machine.run("systemctl", "try-restart", app.service)
    assert app.machine.state(app.service) == "inactive"
    assert app.listens


def test_a_restart_answers_what_it_has_accepted_and_what_comes_meanwhile(site):
    app = site(**NEVER)
    before = app.ask(MASTER)
    here, gate = app.kept("here"), app.kept("gate")
    slow = f"open('{here}', 'w')\nwhile not os.path.exists('{gate}'): time.sleep(0.01)\n{MASTER}"
    with app.connect().ask(slow) as accepted:
        eventually((app.machine.root / here[1:]).exists, "a request in the app")
        app.machine.run("systemctl", "restart", "--no-block", app.service)
        app.until("deactivating")
        with contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(app.connect().ask(MASTER)) for _ in range(3)]
            app.machine.run("touch", gate)
            assert said(accepted.read()) == [before]
            answered_by = [said(each.read()) for each in waiting]
    assert [before] not in answered_by[1:]  # a worker that leaves takes one with it


def test_stopping_the_listener_stops_both(site):
    app = site(**NEVER)
    app.request()
    app.machine.run("systemctl", "stop", app.socket)
    assert (app.machine.state(app.service), app.listens) == ("inactive", False)
    assert not app.machine.inside(app.path).exists()


def test_nobody_listens_for_an_app_that_is_not_configured(site):
    app = site()
    nobody = app.machine.run("systemctl", "start", "spyglass@nobody.socket", check=False)
    assert nobody.code
    assert "Assertion failed" in nobody.err
    assert not app.machine.inside("/run/spyglass/nobody.sock").exists()


def test_a_reload_brings_new_code_without_a_pause(site):
    source = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{}']\n"
    app = site(source=source.format("old"), **NEVER)
    assert app.request().body == b"old"
    app.until("active")  # while a service is still starting, systemd takes a reload for a part of that
    master = app.pid
    app.write(source.format("new"))
    app.machine.run("systemctl", "reload", app.service)
    eventually(lambda: app.request().body == b"new", "new code")
    app.write("broken(")
    app.machine.run("systemctl", "reload", app.service)
    eventually(
        lambda: [event for event in app.events() if event["SPYGLASS_EVENT"] == "RELOAD_FAILED"], "a failed reload"
    )
    assert app.request().body == b"new"
    assert (app.pid, app.machine.state(app.service)) == (master, "active")


def test_a_subprocess_of_the_app_is_not_killed_by_sleep(site):
    app = site(**QUICK)
    gate = app.kept("gate")
    assert app.ask(f"say(subprocess.Popen(['sh', '-c', 'until [ -e {gate} ]; do sleep 0.05; done']).pid)")
    app.until_status("kept awake by")
    assert app.machine.state(app.service) == "active"
    app.machine.run("touch", gate)
    app.until("inactive")
    assert app.show("Result") == "success"
