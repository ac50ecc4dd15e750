"""Waking, being ready, falling asleep: what a service manager sees of a Master."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
from harness import APPS, LIMIT, PROGRAM, Connection, said, wait_at

import spyglass_systemd
from spyglass_systemd.words.versions import family

pytestmark = pytest.mark.usefixtures("sd")


@pytest.fixture(params=["v4", "v6", "path", "abstract"])
def kind(request):
    if request.param == "v6":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 on this machine")
    return request.param


def test_a_connection_that_waits_wakes_the_app_and_is_answered(sd, kind, service, listener):
    master = service(listeners=[listener(kind)])
    with master.start(waiting="say('here')") as connection:
        assert said(connection.read()) == ["here"]
    assert " woke listener=" in master.log.until("woke")
    assert " ready worker=1 ms=" in master.log.until("ready")
    assert master.ask("say(os.environ['SPYGLASS_SD'])") == [sd]
    assert master.stop() == 0


def test_a_second_master_serves_on_the_same_listener(kind, service, listener):
    master = service("--idle", "0.05", listeners=[listener(kind)])
    pids = []
    for _ in range(2):
        with master.start(waiting="say(os.getpid())") as connection:
            pids += said(connection.read())
        assert master.wait() == 0
    assert len({*pids}) == 2


def test_several_listeners_serve_one_app_and_are_named(service, listener):
    master = service(listeners=[listener("v4"), listener("path"), listener("abstract")], names="http:admin:http")
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    assert master.log.until("woke").endswith(" woke listener=http")
    assert [master.ask("say(2)", index) for index in range(3)] == [[2], [2], [2]]


def test_the_listener_that_woke_the_app_is_named(service, listener):
    master = service(listeners=[listener("v4"), listener("path")], names="http:admin")
    with master.connect(1):
        master.start()
        assert master.log.until("woke").endswith(" woke listener=admin")


def test_ready_is_said_when_somebody_answers_and_not_before(service, gate):
    master = service(app=f"open({str(gate)!r}).close()\nfrom wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        with gate.open("w"):  # waits for the import, which waits for us
            assert master.letters.count("READY=1") == 0
        assert connection.read().status == 200
    master.letters.until("READY=1")
    assert master.stop() == 0
    assert master.letters.count("READY=1") == 1


def test_a_long_import_asks_the_service_manager_for_patience(service, gate):
    master = service(app=f"open({str(gate)!r}).close()\nfrom wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        master.letters.until("EXTEND_TIMEOUT_USEC=")
        assert "READY=1" not in master.letters
        with gate.open("w"):
            pass
        assert connection.read().status == 200


def test_started_with_nobody_waiting_it_is_ready_at_once_and_sleeps_without_the_app(service, tmp_path):
    marker = tmp_path / "imported"
    master = service("--watch", "0.05", app=f"open({str(marker)!r}, 'w')")
    master.start()
    assert master.letters.until("READY=1") == "READY=1\nSTATUS=watching"
    master.letters.until("STOPPING=1")
    assert master.wait() == 0
    assert not marker.exists()
    assert "woke" not in master.log


def test_started_with_nobody_waiting_it_wakes_for_the_first_who_comes(service):
    master = service("--watch", "off")
    master.start()
    master.letters.until("READY=1")
    assert master.ask("say('here')") == ["here"]
    assert " woke listener=" in master.log.until("woke")
    assert master.stop() == 0
    assert master.letters.count("READY=1") == 1


def test_it_says_stopping_before_it_exits_with_0(service):
    master = service("--idle", "0.05")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    assert master.wait() == 0
    assert "STOPPING=1" in master.letters.all[-1]
    assert re.search(r" slept after=\d+\.\ds requests=1 connections=1 freed=\d+\.\dMiB$", master.log.until("slept"))


def test_a_connection_that_says_nothing_wakes_the_app_and_does_not_keep_it_awake(service):
    """The clock is not armed by the first request: a port scan would keep the app awake for ever."""
    master = service("--idle", "0.05")
    with master.connect():
        pass
    master.start()
    master.letters.until("READY=1")
    assert master.wait() == 0
    assert master.log.until("slept").count("requests=0") == 1


def test_idle_off_never_sleeps(service):
    master = service("--idle", "off")
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept()
    assert master.process.poll() is None
    assert master.stop() == 0


def test_it_does_not_sleep_before_min_awake(service):
    master = service("--idle", "0.01", "--min-awake", "0.8")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    assert master.wait() == 0
    assert float(re.search(r"slept after=(\d+\.\d)s", master.log.until("slept"))[1]) >= 0.8


def test_a_master_that_was_never_asked_does_not_sleep_before_min_awake(service):
    master = service("--watch", "0.01", "--min-awake", "0.8")
    master.start()
    assert master.wait() == 0
    assert float(re.search(r"slept after=(\d+\.\d)s", master.log.until("slept"))[1]) >= 0.8


def test_an_open_connection_keeps_the_app_awake_until_it_is_closed(service):
    master = service("--idle", "0.05", "--header-timeout", "60")
    with master.start(waiting="say(1)") as connection:
        connection.read()
        with master.connect() as silent:
            master.has_open(1)
            began = master.log.count("slept")
            silent.ask("say('still here')")
            assert said(silent.read()) == ["still here"]
            assert began == 0
    assert master.wait() == 0


def test_status_says_what_the_app_does(service):
    master = service("--idle", "0.3")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.letters.until("STATUS=awake, 2 workers")
    assert master.wait() == 0
    assert "STATUS=asleep" in master.letters.all[-1]


def test_a_watchdog_is_fed_while_the_app_hangs(service, gate):
    master = service("--workers", "1", watchdog="200000")
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        for _ in range(3):
            master.letters.until("WATCHDOG=1")
        with gate.open("w"):
            pass
        assert connection.read().status == 200


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="needs systemd-socket-activate")
def test_systemd_socket_activate_runs_it(sd, tmp_path):
    address = str(tmp_path / "s")
    command = ["systemd-socket-activate", "-E", "SPYGLASS_SD", "-E", "PATH", "-l", address, sys.executable, "-P"]
    command += [str(PROGRAM), "serve", "--idle", "0.2", "--min-awake", "0", "--chdir", os.fspath(APPS), "knife:app"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as activator:
        assert activator.stderr.readline().startswith(b"Listening on")
        with Connection(address) as client:
            assert said(client.ask("say(os.environ['SPYGLASS_SD'])").read()) == [sd]
        assert b" slept " in activator.stderr.read()
        assert activator.wait(LIMIT) == 0


def test_a_template_that_ends_after_its_workers_is_not_waited_for_once_it_is_gone(service):
    slow = "import os, sys, time\nme = os.getpid()\nsys.stdout.flush = lambda: os.getpid() == me and time.sleep(0.1)\n"
    master = service("--idle", "0.05", app=slow + "from wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        connection.read()
    assert master.wait() == 0


# ### Units of another version


def test_a_runtime_of_another_version_than_its_units_says_so_and_serves(service):
    master = service(prefix=("env", "SPYGLASS_UNITS=99"))
    with master.start(waiting="say(os.environ.get('SPYGLASS_UNITS'))") as connection:
        assert said(connection.read()) == [None]
    assert "units of spyglass-systemd 99, and the app's Python has" in master.log.until("mismatched")
    assert "awake, 2 workers (units of spyglass-systemd 99" in master.letters.until("2 workers (")
    assert master.stop() == 0


def test_a_runtime_of_the_version_of_its_units_says_nothing_of_it(service):
    master = service(prefix=("env", f"SPYGLASS_UNITS={family(spyglass_systemd.__version__)}"))
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.letters.until("2 workers")
    assert master.stop() == 0
    assert "units of" not in f"{master.log}{master.letters}"
