"""What an operator reads in the journal, by either library: one entry an event, with its explanation."""

from __future__ import annotations

import pytest
from machine import eventually
from sites import DEBIAN, NEVER, QUICK, VENV

from spyglass_systemd.protocols.journal import MESSAGE_IDS

pytestmark = pytest.mark.long


def events(app):
    return [event["SPYGLASS_EVENT"] for event in app.events()]


def test_a_wake_and_a_sleep_are_entries_of_the_unit(site, python):
    app = site(python=python, **QUICK)
    app.request()
    app.until("inactive")
    found = {event["SPYGLASS_EVENT"]: event for event in app.events()}
    assert list(found) == ["WOKE", "READY", "SLEPT"]
    for name, event in found.items():
        assert event["MESSAGE_ID"] == MESSAGE_IDS[name]
        assert event["SPYGLASS_APP"] == app.name
        assert event["SYSLOG_IDENTIFIER"] == "spyglass"
        assert event["MESSAGE"].startswith(f"{app.name} master ")
    assert found["WOKE"]["SPYGLASS_LISTENER"] == "http"
    assert float(found["READY"]["SPYGLASS_MS"]) > 0
    assert found["SLEPT"]["SPYGLASS_REQUESTS"] == "1"


def test_each_event_is_explained_with_its_own_values(site, python):
    app = site(python=python, source="raise RuntimeError('no database')", **QUICK)
    app.request()
    app.until("failed")
    app.write("def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n")
    app.request()
    app.until("inactive")
    explained = app.machine.journal("--catalog", f"--unit={app.service}")
    assert f"Subject: {app.name} does not start" in explained
    assert f"systemctl reload {app.service}" in explained
    assert f"Subject: A connection woke {app.name}" in explained
    assert f"Subject: {app.name} fell asleep" in explained
    assert "@SPYGLASS" not in explained


def test_the_traceback_of_a_broken_app_is_said_once(site, python):
    app = site(python=python, source="def deep():\n    raise RuntimeError('no database')\n\n\ndeep()\n", idle="1h")
    app.request()
    eventually(lambda: events(app).count("FAILED") >= 2, "a second attempt")
    log = app.log()
    assert log.count("in deep") == 1
    assert f'File "{app.app}", line 2' in log


def test_every_line_is_under_the_unit_and_none_is_lost_to_another(site, python):
    """Journal entries that are sent, and lines on stderr that systemd receives, of two apps at once."""
    one, other = site(python=python, **QUICK), site(python=python, **QUICK)
    for app in (one, other):
        app.ask(f"print('said by {app.name}'); say(1)")
    for app in (one, other):
        app.until("inactive")
    for app, stranger in ((one, other), (other, one)):
        log = app.log("--identifier=spyglass")
        assert f"said by {app.name}" in log
        assert f"{stranger.name} " not in log


def test_a_stopped_journal_does_not_stop_the_app(site, python):
    app = site(python=python, idle="1h")
    app.request()
    app.machine.run("systemctl", "kill", "--signal=STOP", "systemd-journald.service")
    try:
        for _ in range(3):
            assert app.request().status == 200
    finally:
        app.machine.run("systemctl", "kill", "--signal=CONT", "systemd-journald.service")


# ### `spyglass logs`


def logs(app, python, *words, user="root"):
    """What `spyglass logs` shows, by the library of either Python; the times left out."""
    program = {DEBIAN: "spyglass", VENV: "/opt/venv/bin/spyglass"}[python]
    app.machine.run("journalctl", "--sync")
    done = app.machine.run("runuser", "-u", user, "--", program, "logs", app.name, *words)
    return [line[len("Nov 24 08:00:00 ") :] for line in done.out.splitlines()]


def test_logs_shows_events_output_and_what_systemd_says(site, python):
    app = site(python=python, **QUICK)
    app.ask("print('said \\x1b[2J by the app'); say(1)")
    app.until("inactive")
    lines = logs(app, python)
    assert any(line.startswith("systemd: Listening on ") for line in lines)
    assert any(line.startswith("systemd: Started ") for line in lines)
    assert r"said \x1b[2J by the app" in lines
    events = [line.split()[2] for line in logs(app, python, "--events")]
    assert events == ["woke", "ready", "slept"]
    assert logs(app, python, "--app") == [r"said \x1b[2J by the app"]
    assert logs(app, python, "--events", "-n", "1") == [line for line in lines if " slept " in line]
    assert logs(app, python, "--since", "1h") == lines
    assert logs(app, python, "--since", "1us") == []


def test_logs_shows_nothing_that_another_app_says_of_it(site, python):
    app, other = site(python=python, **NEVER), site(python=python, **NEVER)
    app.request()
    forged = f"MESSAGE=forged\\nUNIT={app.service}\\nSYSLOG_IDENTIFIER=spyglass\\n_SYSTEMD_UNIT={app.service}\\n"
    other.ask(
        "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); "
        f"s.connect('/run/systemd/journal/socket'); say(s.send(b'{forged}'))"
    )
    assert "forged" in logs(other, python)
    assert "forged" not in logs(app, python)


def test_logs_follows(site, python):
    app = site(python=python, **NEVER)
    app.request()
    program = {DEBIAN: "spyglass", VENV: "/opt/venv/bin/spyglass"}[python]
    unit, path = f"follow-{app.name}", f"/var/tmp/{app.name}.log"
    command = f"{program} logs {app.name} -f --app -n 0 >{path}"
    app.machine.put(path, "")
    app.machine.run("systemd-run", "--quiet", f"--unit={unit}", "--property=Type=exec", "sh", "-c", command)
    try:
        seen = app.machine.inside(path)
        # It may not look yet when this is said first.
        eventually(lambda: app.ask("print('told later'); say(1)") and "told later" in seen.read_text(), "a line")
    finally:
        app.machine.run("systemctl", "stop", unit)
