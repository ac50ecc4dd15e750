"""A Master whose Lookout has died: nobody holds the listeners any more, so it finishes and leaves, and the address is
free at once.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from harness import APPS, LIMIT, PROGRAM, Connection, Process, children, eventually, said, take_time, wait_at


@pytest.fixture
def orphan(service, listener):
    """A Master that serves, its stand-in for a Lookout, and nobody else who has its listener."""

    def orphan(*options, kind="v4", waiting="say(1)"):
        master = service(*options, lookout=True, listeners=[listener(kind)])
        with master.start(waiting=waiting) as connection:
            connection.read()
        master.let_go()
        return master, Process(master.process.pid), Process(master.pid)

    return orphan


def bind(address):
    """Listen on it, as the next Lookout does."""
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def can_bind(address):
    try:
        bind(address).close()
    except OSError:
        return False
    return True


def test_when_the_lookout_dies_all_below_it_end_and_the_address_is_free(orphan):
    master, lookout, itself = orphan()
    master.all_accept(2)
    below = [master.template, *master.workers]
    assert not can_bind(master.addresses[0])
    lookout.kill()
    for process in (itself, *below):
        assert process.wait()
    bind(master.addresses[0]).close()
    assert 'draining reason="the Lookout is gone"' in master.log.until("draining")
    assert "STATUS=draining, the Lookout is gone" in master.letters.until("STOPPING=1")
    assert "died" not in master.log


def test_the_address_is_free_while_the_last_are_still_answered(orphan):
    master, lookout, itself = orphan("--workers", "1")
    with master.connect() as silent:
        master.has_open(1)
        lookout.kill()
        eventually(lambda: can_bind(master.addresses[0]))
        take_time(0.3)
        assert said(silent.ask("say('answered')").read()) == ["answered"]
    assert itself.wait()


def test_who_waits_in_the_backlog_when_the_lookout_dies_is_answered(orphan):
    """Nobody else will ever see him."""
    master, lookout, itself = orphan("--workers", "1")
    (worker,) = master.workers
    worker.kill(signal.SIGSTOP)
    waiting = [master.connect().ask(f"say({number})") for number in range(5)]
    lookout.kill()
    master.log.until("draining")
    worker.kill(signal.SIGCONT)
    assert [said(connection.read()) for connection in waiting] == [[number] for number in range(5)]
    assert itself.wait()


def test_a_request_under_way_when_the_lookout_dies_is_answered(orphan, gate):
    master, lookout, itself = orphan()
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        lookout.kill()
        master.log.until("draining")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert itself.wait()


def test_a_broken_app_s_master_whose_lookout_dies_leaves(service, listener):
    master = service(lookout=True, listeners=[listener("v4")], spec="nosuch:app")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    master.let_go()
    itself = Process(master.pid)
    Process(master.process.pid).kill()
    assert itself.wait()
    bind(master.addresses[0]).close()


def test_one_that_only_watches_leaves_when_its_lookout_dies(service, listener):
    master = service("--watch", "off", lookout=True, listeners=[listener("v4")])
    master.start()
    master.letters.until("READY=1")
    master.let_go()
    itself = Process(master.pid)
    Process(master.process.pid).kill()
    assert itself.wait()
    bind(master.addresses[0]).close()


def test_one_whose_lookout_has_died_while_it_was_started_leaves(service, listener):
    """Its number may be somebody else's by then: who is not our parent is not our Lookout."""
    stranger = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        master = service("--lookout-pid", str(stranger.pid), listeners=[listener("v4")])
        master.start()
        assert master.wait() == 0
        assert 'draining reason="the Lookout is gone"' in master.log.until("draining")
    finally:
        stranger.communicate(b"\n", timeout=LIMIT)


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_when_a_real_lookout_ends_nobody_is_left_and_the_address_is_free(tmp_path, number):
    command = [sys.executable, "-P", PROGRAM, "lookout", "--listen", "127.0.0.1:0", "--chdir", APPS, "knife:app"]
    with (tmp_path / "log").open("wb") as log:
        lookout = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)
    try:
        where = eventually(lambda: re.search(r"address=(\S+):(\d+)", (tmp_path / "log").read_text()))
        address = (where[1], int(where[2]))
        with Connection(address).ask("say(os.environ['SPYGLASS_SD'])") as connection:
            assert said(connection.read()) == [os.environ["SPYGLASS_SD"]]
        (master,) = children(lookout.pid)
        (template,) = children(master)
        below = [Process(pid) for pid in (master, template, *children(template))]
        lookout.send_signal(number)
        assert lookout.wait(LIMIT) == (-number if number == signal.SIGKILL else 0)
        for process in below:
            assert process.wait()
        bind(address).close()
    finally:
        if lookout.poll() is None:
            lookout.kill()
            lookout.wait()
    assert "Traceback" not in Path(tmp_path / "log").read_text()


def test_who_wakes_an_app_and_loses_its_lookout_meanwhile_is_answered(service, listener, tmp_path):
    """The app still imports: the backlog is nobody's but its first worker's."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    app = f"open({str(gate)!r}).close()\nfrom knife import app\n"
    master = service("--pythonpath", str(APPS), lookout=True, listeners=[listener("v4")], app=app)
    with master.start(waiting="say(1)") as connection:
        itself = Process(master.pid)
        master.let_go()
        eventually(lambda: master.templates, "a Template")
        Process(master.process.pid).kill()
        master.log.until("draining")
        with gate.open("w"):
            pass
        assert said(connection.read()) == [1]
    assert itself.wait()
