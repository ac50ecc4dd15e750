"""Whoever asks for a reload learns what came of it, in whatever state the app is: a number, a result, a text."""

from __future__ import annotations

import re
import signal
import stat

import pytest
from harness import AROUND, IMPATIENT, eventually

from spyglass_systemd.protocols import scoreboard

GOOD = "from wsgiref.simple_server import demo_app as app"
BROKEN = "def deep():\n    raise RuntimeError('no database')\n\ndeep()"
NEVER = AROUND.format(
    before="from spyglass_systemd.policy import respawn; respawn.delay.__defaults__ = 1000.0, 1000.0\n"
    "from spyglass_systemd.processes.watch import Watch; Watch.changed = lambda *_: False",
    after="",
)  # a broken app is not tried again by itself


@pytest.fixture
def deploy(tmp_path):
    """Writes another version of the app."""
    return (tmp_path / "app" / "blog.py").write_text


def numbers(master):
    """How many loads have begun, which one is done, and with what result."""
    header, _ = master.board()
    return tuple(header[cell] for cell in (scoreboard.H_RELOADS, scoreboard.H_RELOAD_DONE, scoreboard.H_RELOAD_RESULT))


def note(master, name="reload-error"):
    """A text beside the scoreboard, "" where there is none."""
    path = master.run / name
    return path.read_text() if path.exists() else ""


def ask(master):
    """Ask as `spyglass reload` does, and wait; the result and the text."""
    begun = numbers(master)[0]
    master.signal(signal.SIGHUP)
    eventually(lambda: numbers(master)[1] > begun)
    return numbers(master)[2], note(master)


def wake(master):
    with master.start(waiting="") as connection:
        connection.read()
    return master


def stages(master):
    """What the service manager was told of readiness and reloads."""
    return [letter.partition("\n")[0] for letter in master.letters.all if re.match("READY|RELOADING|STOPPING", letter)]


def told(master, *expected):
    eventually(lambda: stages(master) == [*expected], expected)


def test_the_manager_hears_of_a_reload_and_of_its_end(service):
    master = wake(service(app=GOOD))
    assert ask(master) == (0, "")
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_a_failure_is_told_with_the_apps_own_frames_and_to_few(service, deploy):
    master = wake(service(app=GOOD))
    deploy(BROKEN)
    result, text = ask(master)
    assert result == 69
    first, *rest = text.splitlines()
    assert first == "importing 'blog': RuntimeError: no database"
    assert "blog.py" in text
    assert "in deep" in text
    assert rest[-1] == "RuntimeError: no database"
    assert "spyglass_systemd" not in text
    assert stat.S_IMODE((master.run / "reload-error").stat().st_mode) == 0o640
    assert not note(master, "last-error")  # the app serves
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_of_one_that_only_watches_the_manager_hears_at_once(service):
    master = service("--watch", "off", app=GOOD)
    master.start()
    master.letters.until("READY=1")
    assert ask(master) == (0, "")
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_a_wake_that_was_under_way_is_no_answer_to_who_asked_meanwhile(service, deploy, gate):
    """It may have read the old code."""
    master = service("--watch", "off", app=f"open({str(gate)!r}).close()\n{GOOD}")
    master.start()
    master.letters.until("READY=1")
    with master.connect().ask("") as connection:
        master.log.until(" woke ")
        eventually(lambda: master.templates)
        master.signal(signal.SIGHUP)
        master.letters.until("RELOADING=1")
        with gate.open("w"):
            deploy(GOOD)
        assert connection.read().status == 200
    eventually(lambda: numbers(master) == (2, 2, 0))
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_a_wake_that_fails_is_tried_again_for_who_asked_meanwhile(service, deploy, gate):
    master = service("--log-level", "debug", app=f"open({str(gate)!r}).close()\n{BROKEN}", around=NEVER)
    with master.start(waiting="") as connection:
        master.letters.until("EXTEND_TIMEOUT_USEC")
        master.signal(signal.SIGHUP)
        master.log.until("do=POSTPONE")
        with gate.open("w"):
            deploy(GOOD)
        assert connection.read().status in {200, 503}
    eventually(lambda: numbers(master) == (1, 1, 0))
    assert master.request().status == 200


def test_a_broken_app_is_tried_at_once_and_both_answers_are_told(service, deploy):
    master = wake(service(app=BROKEN, around=NEVER))
    master.letters.until("READY=1")
    result, text = ask(master)
    assert result == 69
    assert text == note(master, "last-error")
    assert "in deep" in text
    told(master, "READY=1", "RELOADING=1", "READY=1")
    deploy(GOOD)
    assert ask(master) == (0, "")
    assert master.request().status == 200
    assert not note(master, "last-error")
    told(master, "READY=1", *["RELOADING=1", "READY=1"] * 2)


def test_of_a_broken_app_that_is_tried_by_itself_the_manager_hears_no_reload(service):
    master = wake(service(app=BROKEN, around=IMPATIENT))
    master.log.until("attempt=3")
    told(master, "READY=1")


def test_who_asks_while_a_broken_app_is_tried_gets_the_answer_of_the_next_try(service, deploy, gate):
    master = wake(service("--log-level", "debug", app=BROKEN, around=NEVER))
    master.letters.until("READY=1")
    deploy(f"open({str(gate)!r}).close()\n{BROKEN}")
    master.signal(signal.SIGHUP)
    master.log.until("event=RELOAD")
    eventually(lambda: master.templates)
    begun = numbers(master)[0]
    master.signal(signal.SIGHUP)
    master.log.until("event=RELOAD")
    with gate.open("w"):
        deploy(GOOD)
    eventually(lambda: numbers(master) == (begun + 1, begun + 1, 0))
    assert master.request().status == 200
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_who_asks_during_a_reload_gets_the_answer_of_the_next(service, deploy, gate):
    master = wake(service("--log-level", "debug", app=GOOD))
    deploy(f"open({str(gate)!r}).close()\n{GOOD}")
    master.signal(signal.SIGHUP)
    eventually(lambda: len(master.templates) == 2)
    begun = numbers(master)[0]
    master.signal(signal.SIGHUP)
    master.log.until("event=RELOAD")
    master.log.until("event=RELOAD")
    with gate.open("w"):
        pass
    eventually(lambda: numbers(master)[1] == begun)
    master.log.until(" reloaded ")
    assert stages(master) == ["READY=1", "RELOADING=1"]
    with gate.open("w"):  # when the second attempt has come to it
        pass
    eventually(lambda: numbers(master) == (begun + 1, begun + 1, 0))
    told(master, "READY=1", "RELOADING=1", "READY=1")


@pytest.mark.parametrize("dozing", [True, False], ids=["dozing", "about to doze"])
def test_on_the_way_to_a_doze_and_in_one_it_is_a_new_generation(service, dozing):
    master = wake(service("--doze", "0.2", "--keepalive", "0.1", "--log-level", "debug", app=GOOD))
    master.log.until("do=DOZE" if dozing else "do=QUIESCE_TO_DOZE")
    assert ask(master) == (0, "")
    assert master.request().status == 200
    told(master, "READY=1", "RELOADING=1", "READY=1")


def test_one_that_stops_gives_no_answer(service, gate):
    master = wake(service("--log-level", "debug"))
    with master.connect().ask(f"open({str(gate)!r}).close()") as connection:
        master.in_flight()
        master.signal(signal.SIGTERM)
        master.letters.until("STOPPING=1")
        master.signal(signal.SIGHUP)
        master.log.until("event=RELOAD")
        with gate.open("w"):
            pass
        assert connection.read().status == 200
    assert master.wait() == 0
    assert numbers(master) == (0, 0, 0)
    told(master, "READY=1", "STOPPING=1")


def test_the_manager_is_asked_for_time_while_a_new_generation_is_loaded(service, deploy, gate):
    master = wake(service(app=GOOD))
    deploy(f"open({str(gate)!r}).close()\n{GOOD}")
    master.signal(signal.SIGHUP)
    assert re.search(r"^RELOADING=1\nMONOTONIC_USEC=\d+$", master.letters.until("RELOADING=1"))
    master.letters.until("EXTEND_TIMEOUT_USEC=30000000")
    with gate.open("w"):
        pass
    master.letters.until("READY=1")


def test_what_a_reload_does_not_bring_is_said(service, tmp_path):
    """The environment is another one; a Template is forked from a Python that has the old one in memory."""
    for number in (1, 2):
        (tmp_path / f"venv{number}").mkdir()
    environment = tmp_path / "venv"
    environment.symlink_to("venv1")
    here = AROUND.format(before=f"sys.prefix = {str(environment)!r}", after="")
    master = wake(service(app=GOOD, around=here))
    assert ask(master) == (0, "")
    assert not note(master, "restart-needed")
    environment.unlink()
    environment.symlink_to("venv2")
    advice = f"restart for what has changed and no reload brings: the environment {environment}"
    for _ in range(2):
        assert ask(master) == (0, "")
        assert note(master, "restart-needed") == f"{advice}\n"
    assert advice in master.log.until("restart_needed")
    assert master.log.count("restart_needed") == 1
    environment.unlink()
    environment.symlink_to("venv1")
    assert ask(master) == (0, "")
    assert not note(master, "restart-needed")
