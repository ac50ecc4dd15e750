"""`spyglass reload` on real units: the result of each reload, in each state, and under load nobody lost."""

from __future__ import annotations

import pytest
from machine import eventually
from sites import NEVER, QUICK
from visitors import Visitors

pytestmark = pytest.mark.long

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version}"]
"""
BROKEN = "def deep():\n    raise RuntimeError('no database')\n\n\ndeep()\n"


def version(number):
    return APP.replace("{version}", f"v{number}")


def reload(app, code=0):
    done = app.machine.run("spyglass", "reload", app.name, check=False)
    assert done.code == code, done
    return done


def body(app):
    return app.request().body.decode()


def test_a_deploy_serves_the_new_code_when_the_command_is_back(site):
    app = site(source=version(0), **NEVER)
    assert body(app) == "v0"
    for number in (1, 2):
        app.write(version(number))
        assert reload(app).out == f"{app.name}: the new code serves"
        assert {body(app) for _ in range(10)} == {f"v{number}"}
    assert app.show("NRestarts") == "0"


def test_a_deploy_of_a_broken_app_says_why_and_keeps_the_old(site):
    app = site(source=version(0), **NEVER)
    body(app)
    pid = app.pid
    app.write(BROKEN)
    done = reload(app, code=69)
    assert "does not start with the new code" in done.err
    assert "no database" in done.err
    assert "in deep" in done.err
    assert "the old code serves on" in done.err
    assert (body(app), app.pid) == ("v0", pid)
    assert "no database" in app.machine.run("spyglass", "status", app.name).out
    app.write(version(1))
    reload(app)
    assert body(app) == "v1"
    assert "no database" not in app.machine.run("spyglass", "status", app.name).out


def test_an_app_that_is_asleep_loads_the_new_code_when_it_wakes(site):
    app = site(source=version(0), **QUICK)
    assert "the next connection loads the new code" in reload(app).out
    assert app.pid == 0
    assert body(app) == "v0"
    app.until("inactive")
    app.write(version(1))
    assert "not running" in reload(app).out
    assert (app.pid, body(app)) == (0, "v1")


def test_an_app_that_only_watches_has_nothing_to_reload(site):
    app = site(source=version(0), watch="1h")
    app.machine.run("systemctl", "start", app.service)
    assert "nothing was loaded" in reload(app).out


def test_an_app_that_is_broken_is_tried_at_once(site):
    app = site(source=BROKEN, **NEVER)
    assert app.request().status == 503
    assert "it answers 503 until it works" in reload(app, code=69).err
    app.write(version(1))
    assert "the new code serves" in reload(app).out
    assert body(app) == "v1"


def test_a_reload_of_an_app_that_is_starting_is_waited_for(site):
    begun = "import os, time; open(os.environ['STATE_DIRECTORY'] + '/begun', 'w').close(); time.sleep(1)"
    app = site(source=f"{begun}\n{version(0)}", **NEVER)
    with app.connect().ask() as connection:
        eventually(app.machine.inside(app.kept("begun")).exists, "the old code is read")
        assert app.machine.state(app.service) == "activating"
        app.write(version(1))
        assert "the new code serves" in reload(app).out
        assert connection.read().body == b"v0"
    assert body(app) == "v1"


def test_what_no_reload_brings_is_said(site):
    app = site(python="venv", source=version(0), **NEVER)
    body(app)
    code = app.machine.run("sh", "-c", "ls -d /opt/venv/lib/python3*/site-packages/spyglass_systemd/__init__.py").out
    app.machine.run(
        "sh", "-c", f"cp -p {code} /var/tmp/kept && touch {code} && cp {code} {code}.new && mv {code}.new {code}"
    )
    try:
        done = reload(app)
        assert "spyglass-systemd" in done.err
        assert f"spyglass restart {app.name}" in done.err
    finally:
        app.machine.run("cp", "-p", "/var/tmp/kept", code)


@pytest.mark.long
@pytest.mark.parametrize("python", ["debian", "venv"])
def test_deploys_under_load_lose_nobody(site, python):
    """Good ones and broken ones in turn, as fast as the command comes back."""
    app = site(python=python, source=version(0), **NEVER)
    body(app)
    with Visitors(str(app.machine.inside(app.path)), "", read=lambda answer: [answer.body]) as visitors:
        for number in range(1, 6):
            app.write(version(number))
            reload(app)
            app.write(BROKEN)
            reload(app, code=69)
            visitors.until(len(visitors.answers) + 20)
    assert not visitors.lost
    assert {*visitors.answers} == {b"v%d" % number for number in range(6)}
    assert app.show("NRestarts") == "0"
    eventually(lambda: app.machine.run("spyglass", "status", app.name).code == 0, "fine")
