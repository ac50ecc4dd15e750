"""What an operator reads in the journal, by either library: one entry an event, with its explanation."""

from __future__ import annotations

from machine import eventually
from sites import QUICK

from spyglass_systemd.protocols.journal import MESSAGE_IDS


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
