"""`spyglass status` on real units: what it says in each state, and that looking wakes and believes nobody."""

from __future__ import annotations

import json

import pytest
from machine import eventually
from sites import NEVER, QUICK

pytestmark = pytest.mark.long


def status(app, *words, code=0):
    """What it says of an app, as a program reads it."""
    done = app.machine.run("spyglass", "status", app.name, "--json", *words, check=False)
    assert done.code == code, done
    return json.loads(done.out)


def shown(app, code=0):
    done = app.machine.run("spyglass", "status", app.name, check=False)
    assert done.code == code, done
    return done.out


def test_an_app_is_asleep_awake_and_asleep_and_looking_wakes_nobody(site):
    app = site(**QUICK)
    assert status(app)["state"] == "asleep"
    assert (app.pid, app.log()) == (0, "")
    app.ask("say(1)")
    app.until("inactive")
    found = status(app)
    assert (found["state"], found["workers"]) == ("asleep", [])
    assert found["since_seconds"] < 60
    assert len(app.events()) == 3  # one wake, one sleep


def test_an_app_that_is_awake_is_counted_and_says_when_it_sleeps(site):
    app = site(idle="1h", workers=1)
    (worker,) = {app.ask("say(os.getpid())") for _ in range(3)}
    found = eventually(lambda: (now := status(app))["open"] == 0 and now, "nothing open")
    assert (found["state"], found["pid"]) == ("awake", app.pid)
    assert [(each["pid"], each["requests"]) for each in found["workers"]] == [(worker, 3)]
    assert 0 < found["sleeps_in_seconds"] <= 3600
    assert found["wake_us"]["load"] > 0
    assert f"pid {worker}, accepting: 0 open, 0 under way, 3 requests" in shown(app)
    assert shown(app).splitlines()[0].startswith(f"{app.name}: awake for ")


def test_why_it_stays_up_is_said(site):
    app = site(idle="1s", min_awake="0s", keepalive="0.5s")
    app.ask("import spyglass_systemd; app.lease = spyglass_systemd.keep_awake('nightly \\x1b[2J'); say(1)")
    assert r"lease nightly \x1b[2J" in status(app)["stays"]
    assert "\x1b" not in shown(app)
    with app.connect():
        eventually(lambda: "1 connections open" in status(app)["stays"], "a connection")
    app.machine.run("systemctl", "stop", app.service)
    app.ask("import subprocess; say(subprocess.Popen(['sleep', '3600']).pid)")
    eventually(lambda: any("sleep (pid" in reason for reason in status(app)["stays"]), "the subprocess")
    app.machine.run("systemctl", "stop", app.service)


def test_a_broken_app_fails_now_and_after_it_has_given_up(site):
    app = site(source="raise RuntimeError('no \\x1b[2J database')\n", idle="3s", min_awake="0s")
    assert app.request().status == 503
    found = status(app, code=69)
    assert found["state"] == "failed"
    assert found["error"].splitlines()[0].endswith(r"RuntimeError: no \x1b[2J database")
    assert "Traceback" in found["error"]
    app.until("failed")
    found = status(app, code=69)
    assert (found["state"], found["error"]) == ("failed", "")
    assert "database (gave up, the next connection tries again)" in found["says"]
    assert "\x1b" not in shown(app, code=69)


def test_a_listener_whose_name_is_gone_is_named_with_what_mends_it(site):
    app = site(**NEVER)
    app.ask("say(1)")
    for _ in range(2):  # awake, asleep
        app.machine.run("rm", app.path)
        first, cure, *_ = shown(app, code=69).splitlines()
        assert first.startswith(f"the socket {app.path} is gone")
        app.machine.run("sh", "-c", cure)
        assert app.ask("say(2)") == 2
        assert status(app)["code"] == 0
        app.machine.run("systemctl", "stop", app.service)


def test_a_site_that_is_stopped_is_3_and_a_name_that_is_none_64(site):
    app = site(**QUICK)
    app.machine.run("systemctl", "stop", app.socket)
    assert status(app, code=3)["state"] == "off"
    assert app.machine.run("spyglass", "status", "nobody", check=False).code == 64


def test_all_sites_are_a_line_each_for_everybody(site):
    app, other = site(**NEVER), site(**QUICK)
    app.ask("say(1)")
    table = app.machine.run("runuser", "-u", "nobody", "--", "spyglass", "status").out
    lines = {line.split()[0]: line.split()[1] for line in table.splitlines()[1:]}
    assert (lines[app.name], lines[other.name]) == ("awake", "asleep")


# The app makes its own runtime directory hostile. Each leaves the board as the last one left it.
HOSTILE = {
    "a symlink": ("os.unlink(b); os.symlink('/etc/shadow', b)", "cannot be read: Too many levels of symbolic links"),
    "a FIFO": ("os.unlink(b); os.mkfifo(b)", "is no regular file"),
    "truncated": ("os.truncate(b, 100)", "is cut"),
    "huge": ("os.truncate(b, 2**40)", "bytes, more than"),
    "garbage": ("open(b, 'r+b').write(b'x' * 600)", "does not begin like one"),
    "a link to another": ("os.link(b, b + '2')", "has 2 names"),
    "numbers": ("f = open(b, 'r+b'); f.seek(32); f.write(b'\\xff' * 8); f.close()", "state is -1"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_root_is_not_fooled_by_a_hostile_board(site, how):
    source, says = HOSTILE[how]
    app = site(**NEVER)
    # A truncated board is SIGBUS for whoever has it mapped: the app takes a copy to spoil.
    copy = "import shutil; shutil.copy(b, b + 'c'); os.rename(b + 'c', b)"
    app.ask(f"b = os.environ['RUNTIME_DIRECTORY'] + '/scoreboard'; {copy}; {source}; say(1)")
    found = status(app)
    assert (found["state"], found["pid"]) == ("awake", app.pid)
    (trouble,) = found["trouble"]
    assert says in trouble["what"]
    out = shown(app)
    assert "root:" not in out


def test_root_is_not_fooled_by_a_note(site):
    app = site(**NEVER)
    # What is there when it wakes is cleared away, a moment after the first answer.
    path = "p = os.environ['RUNTIME_DIRECTORY'] + '/last-error'"
    link = f"{path}; os.path.lexists(p) or os.symlink('/etc/shadow', p); say(1)"
    eventually(lambda: app.ask(link) and "Too many levels of symbolic links" in status(app)["error"], "the note")
    assert "root:" not in shown(app)
