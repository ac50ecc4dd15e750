"""A doze: the Template is kept, the workers go."""

from __future__ import annotations

import pytest
from harness import eventually, said, take_time, wait_at


def dozing(service, *options):
    master = service("--doze", "0.1", "--keepalive", "0.05", *options)
    with master.start(waiting="say([os.getpid(), IMPORTED_BY])") as connection:
        ((worker, template),) = said(connection.read())
    master.log.until("dozed")
    eventually(lambda: not master.workers, "all workers gone")
    return master, worker, template


def test_a_connection_rouses_an_app_that_dozes_without_another_import(service):
    master, worker, template = dozing(service, "--idle", "60")
    assert master.template.pid == template
    ((another, imported_by),) = master.ask("say([os.getpid(), IMPORTED_BY])")
    assert another != worker
    assert imported_by == template
    assert master.stop() == 0


def test_an_app_that_dozes_falls_asleep_when_nobody_comes(service):
    master, _, _ = dozing(service, "--idle", "0.3", "--request-timeout", "off")  # no other clock ticks
    assert master.wait() == 0
    assert " slept " in master.log.until("slept")


def test_an_app_that_dozes_takes_a_reload_and_a_stop(service):
    master, _, template = dozing(service, "--idle", "60")
    master.signal(1)
    master.log.until("reloaded")
    eventually(lambda: master.ask("say(IMPORTED_BY)") != [template])  # the old one may take one more in leaving
    master.log.until("dozed")
    assert master.stop() == 0


def test_whoever_dozes_and_loses_its_template_imports_the_app_for_the_next_one(service):
    master, _, template = dozing(service, "--idle", "60")
    master.template.kill()
    master.log.until("template_died")
    ((_, imported_by),) = master.ask("say([os.getpid(), IMPORTED_BY])")
    assert imported_by != template
    assert master.stop() == 0


@pytest.mark.usefixtures("sd")
def test_status_follows(service):
    master, _, _ = dozing(service, "--idle", "60")
    master.letters.until("STATUS=dozing")
    assert master.ask("say(1)") == [1]
    master.letters.until("STATUS=awake")
    assert master.log.count(" woke listener=") == 2


def test_who_comes_at_the_moment_of_a_doze_is_answered(service, gate):
    master = service("--doze", "0.02", "--log-level", "debug")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    for number in range(20):
        master.log.until(" dozed")
        assert master.ask(f"say({number})") == [number]
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        dozed = master.log.count(" dozed")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
        assert master.log.count(" dozed") == dozed
    assert "died" not in master.log
    assert master.stop() == 0


def test_a_request_that_lasts_longer_than_doze_puts_the_doze_off_and_no_more(service, gate):
    master = service("--doze", "0.1")
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        master.letters.until("STATUS=awake, 2 workers")
        take_time(0.3)
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    master.log.until(" dozed")
