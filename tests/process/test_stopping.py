"""What signals do to a Master and all below it."""

from __future__ import annotations

import os
import signal

import pytest
from harness import APPS, AROUND, eventually, said, slow_to_come, take_time, wait_at

HALF, OTHER_HALF = b"POST / HTTP/1.1\r\nHost: te", b"st\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsay(7)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_the_end(service, gate, number):
    master = service()
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        master.signal(number)
        master.letters.until("STOPPING=1")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert master.wait() == 0
    assert master.log.until("drained").endswith("requests=1 connections=1")


def test_what_is_accepted_is_answered_though_its_request_comes_after_the_signal(service):
    """A connection that is silent, one with half a head, and one that is kept alive: 0.3 s after SIGTERM."""
    master = service("--workers", "1", "--keepalive", "30")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with master.connect() as silent, master.connect() as half, master.connect() as kept:
        assert said(kept.ask("say(1)", close=False).read()) == [1]
        half.send(HALF)
        master.has_open(3)
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        take_time(0.3)
        for one in (silent, kept):
            assert said(one.ask("say(7)", close=False).read()) == [7]
        assert said(half.send(OTHER_HALF).read()) == [7]
        assert master.wait() == 0


def test_an_answer_while_draining_is_the_last_of_its_connection(service):
    master = service("--workers", "1", "--keepalive", "30")
    with master.start(waiting="say(1)") as kept:
        kept.read()
    with master.connect() as kept:
        assert kept.ask("say(1)", close=False).read().fields.get("connection") != "close"
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        master.nobody_accepts()
        assert kept.ask("say(2)", close=False).read().fields["connection"] == "close"
        assert kept.sock.recv(1) == b""
    assert master.wait() == 0


def test_a_connection_kept_alive_without_a_request_does_not_hold_up_the_end(service):
    master = service("--keepalive", "60")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with master.connect() as kept:
        kept.ask("say(1)", close=False).read()
        assert master.stop() == 0
        assert kept.sock.recv(1) == b""


def test_who_comes_while_it_drains_is_the_next_ones(service, gate):
    master = service("--workers", "1")
    with master.start(waiting=wait_at(gate)) as first:
        master.in_flight()
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        with master.connect().ask("say('second life')") as second:
            with gate.open("w"):
                pass
            assert said(first.read()) == ["answered"]
            assert master.wait() == 0
            master.start()
            assert said(second.read()) == ["second life"]


def test_drain_is_a_limit(service, gate):
    master = service("--drain", "0.2")
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        master.signal(signal.SIGTERM)
        assert connection.sock.recv(1) == b""
    assert master.wait() == 0
    assert "in_flight=1" in master.log.until(" killed ")


@pytest.mark.parametrize(
    "numbers", [[signal.SIGQUIT], [signal.SIGINT, signal.SIGINT], [signal.SIGTERM, signal.SIGQUIT]], ids=str
)
def test_a_kill_waits_for_nobody(service, gate, numbers):
    master = service()
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        for number in numbers[:-1]:
            master.signal(number)
            master.log.until("draining")
        master.signal(numbers[-1])
        assert connection.sock.recv(1) == b""
    assert master.wait() == 0
    assert "in_flight=1" in master.log.until(" killed ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_an_import_that_hangs(service, gate, number):
    master = service(app=f"open({str(gate)!r})")
    with master.start(waiting=""):
        eventually(lambda: master.templates)
        master.letters.until("EXTEND_TIMEOUT_USEC=")
        master.signal(number)
        assert master.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_one_that_only_watches(service, number):
    master = service("--watch", "off")
    master.start()
    master.letters.until("READY=1")
    master.signal(number)
    assert master.wait() == 0


def test_a_signal_to_the_whole_process_group_means_the_master(service, gate):
    """Ctrl-C in a terminal, KillMode=control-group."""
    master = service()
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        workers = {worker.pid for worker in master.workers}
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN):
            os.killpg(master.pid, number)
        master.log.until("resized workers=3")
        os.killpg(master.pid, signal.SIGTTOU)
        master.log.until("resized workers=2")
        assert workers <= {worker.pid for worker in master.workers}
        os.killpg(master.pid, signal.SIGINT)
        master.log.until("draining")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert master.wait() == 0
    assert "died" not in master.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1])
def test_a_signal_to_a_worker_or_the_template_does_nothing(service, number):
    master = service("--workers", "1")
    with master.start(waiting="say(os.getpid(), os.getppid())".replace(", os", "); say(os")) as connection:
        worker, template = said(connection.read())
    os.kill(template, number)
    os.kill(worker, number)
    assert master.ask("say(os.getpid())") == [worker]
    assert master.ask("say(os.getppid())") == [template]
    assert master.stop() == 0


def test_what_the_app_starts_has_its_signals_at_their_default(service):
    master = service()
    source = "say(subprocess.run(['grep', '-E', 'Sig(Ign|Blk)', '/proc/self/status'], stdout=-1).stdout.decode())"
    with master.start(waiting=source) as connection:
        (found,) = said(connection.read())
    masks = {line.split()[0]: int(line.split()[1], 16) for line in found.splitlines()}
    ours = [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGTTIN, signal.SIGCHLD]
    assert masks["SigBlk:"] == 0
    assert not any(masks["SigIgn:"] >> (number - 1) & 1 for number in ours)


def test_a_worker_that_is_forked_while_it_drains_loses_nobody(service):
    """What it accepts before it reads that it must not is answered; it is not killed for being late."""
    master = service("--workers", "1")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(1)
    template = master.template
    template.kill(signal.SIGSTOP)
    master.signal(signal.SIGTTIN)
    master.log.until("resized")
    master.signal(signal.SIGTERM)
    master.log.until("draining")
    eventually(lambda: len(master.rows()) == 1)
    with master.connect().ask("say('answered')") as connection:
        template.kill(signal.SIGCONT)
        assert master.wait() == 0
        assert "worker_died" not in master.log
        master.start()
        try:
            assert said(connection.read()) == ["answered"]
        finally:
            master.stop()


def test_one_worker_more_and_one_less(service):
    master = service()
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(2)
    master.signal(signal.SIGTTIN)
    assert master.log.until("resized").endswith("workers=3")
    master.all_accept(3)
    for left in (2, 1, 1):
        master.signal(signal.SIGTTOU)
        assert master.log.until("resized").endswith(f"workers={left}")
        master.all_accept(left)
    assert master.ask("say(1)") == [1]


def test_one_worker_less_loses_no_request(service, gate):
    master = service()
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(2)
    with master.connect().ask(wait_at(gate)) as one, master.connect().ask(wait_at(gate)) as two:
        master.in_flight(2)
        master.signal(signal.SIGTTOU)
        master.log.until("resized")
        with gate.open("w"):
            assert said(one.read()) == ["answered"]
            assert said(two.read()) == ["answered"]
    master.all_accept(1)
    assert "worker_died" not in master.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_heard_though_the_master_is_not_there_yet(service, gate, tmp_path, number):
    """Its workers answer while it is still being imported: who is told to stop then has something to finish."""
    os.mkfifo(tmp_path / "import")
    master = service("--workers", "1", "--idle", "0.3", around=slow_to_come(tmp_path / "import"))
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        master.signal(number)
        with (tmp_path / "import").open("w"):
            pass
        master.log.until("draining" if number == signal.SIGTERM else "reloaded")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert master.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1])
def test_a_signal_that_comes_too_late_does_not_change_how_it_ends(service, number):
    """Python puts the defaults back before it takes its modules apart."""
    late = f"""
import os
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {number:d})
late = Late()
"""
    master = service("--idle", "0.1", around=AROUND.format(before="", after=late))
    with master.start(waiting="say(1)") as connection:
        connection.read()
    assert master.wait() == 0


def test_who_comes_while_it_leaves_waits_for_no_thread_of_the_app(service):
    """`drain` is for those who were accepted, and all of them are answered."""
    app = """
import os, threading, time
from knife import *
os.register_at_fork(after_in_child=lambda: threading.Thread(target=time.sleep, args=(1000,)).start())
"""
    master = service("--idle", "0.3", "--drain", "1000", "--pythonpath", str(APPS), app=app)
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.log.until("slept")
    with master.connect().ask("say(2)") as connection:
        assert master.wait() == 0
        master.start()
        assert said(connection.read()) == [2]
    master.signal(signal.SIGQUIT)
    master.wait()
