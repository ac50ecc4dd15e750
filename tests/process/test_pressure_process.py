"""Memory is short: what is idle dozes or sleeps sooner; what is not, does not."""

from __future__ import annotations

import os

import pytest
from harness import AROUND, said, take_time

HASTY = AROUND.format(before="from spyglass_systemd.processes import vigil; vigil._HASTE = 1e6", after="")


@pytest.fixture
def word(tmp_path, monkeypatch):
    """A FIFO that the service manager names; written to, it gives word."""
    path = tmp_path / "pressure"
    os.mkfifo(path)
    monkeypatch.setenv("MEMORY_PRESSURE_WATCH", str(path))
    return path


@pytest.mark.parametrize(("doze", "event"), [("off", " slept "), ("500", " dozed")])
def test_what_is_idle_goes_sooner_while_memory_is_short(service, word, doze, event):
    master = service("--pressure", "--idle", "1000", "--doze", doze, around=HASTY)
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept()
    take_time(0.3)
    assert event not in master.log
    word.write_text("x")
    master.log.until(event)


def test_what_dozes_sleeps_sooner_when_memory_gets_short(service, word):
    master = service("--pressure", "--idle", "1000", "--doze", "0.1", around=HASTY)
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.log.until(" dozed")
    take_time(0.3)  # for the sleep that is not to come yet
    assert " slept " not in master.log
    word.write_text("x")
    master.log.until(" slept ")


def test_what_is_in_use_stays(service, word):
    master = service("--pressure", "--idle", "1000", "--header-timeout", "60", around=HASTY)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with master.connect() as open_:
        master.has_open(1)
        word.write_text("x")
        take_time(0.3)
        assert said(open_.ask("say('here')").read()) == ["here"]
    assert master.wait() == 0


def test_nobody_listens_who_was_not_asked_to(service, word):
    master = service("--idle", "1000", around=HASTY)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    fd = os.open(word, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"x")
    assert master.ask("say(2)") == [2]
    os.close(fd)
    assert master.stop() == 0
