"""What is stuck is ended, what is used up is replaced, and nobody else notices."""

from __future__ import annotations

import os
import re
import signal

import pytest
from harness import APPS, eventually, said, take_time, wait_at
from visitors import Visitors

# ### request_timeout


def test_a_stuck_request_is_ended_and_the_log_names_it(service, gate):
    master = service("--request-timeout", "0.2")
    with master.start(waiting=wait_at(gate)) as stuck:
        assert stuck.sock.recv(1) == b""
    assert 'reason="app code ran over request_timeout=0.2s without a byte"' in master.log.until("worker_died")
    assert master.ask("say('here')") == ["here"]
    master.all_accept(2)


def test_a_stuck_request_keeps_nobody_else_waiting(service, gate):
    master = service("--request-timeout", "30")
    with master.start(waiting=wait_at(gate)):
        master.in_flight()
        assert [master.ask("say('here')") for _ in range(10)] == [["here"]] * 10
        master.signal(signal.SIGQUIT)
        assert master.wait() == 0


def test_a_client_that_is_slow_is_not_a_stuck_request(service):
    master = service("--request-timeout", "0.1", "--workers", "1")
    with master.connect() as slow:
        slow.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsay(")
        master.start()
        master.has_open(1)
        take_time(0.5)
        assert said(slow.send(b"7)").read()) == [7]
    assert "worker_died" not in master.log


def test_request_timeout_off_waits(service, gate):
    master = service("--request-timeout", "off", "--workers", "1")
    with master.start(waiting=wait_at(gate)) as connection:
        master.in_flight()
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]


# ### import_timeout


def test_an_import_that_hangs_is_ended_and_answered_for(service, gate):
    master = service("--import-timeout", "0.3", app=f"open({str(gate)!r})")
    with master.start(waiting="") as connection:
        answer = connection.read()
    assert answer.status == 503
    assert "the import did not end within import_timeout=0.3s" in master.log.until(" failed ")


def test_an_import_that_hangs_in_a_worker_is_ended_and_answered_for(service, gate):
    master = service("--import-timeout", "0.2", "--no-preload", app=f"open({str(gate)!r})")
    with master.start(waiting="") as connection:
        answer = connection.read()
    assert answer.status == 503
    assert 'reason="did not accept (import_timeout) within 0.2s"' in master.log.until("worker_died")
    master.log.until(" failed ")


# ### max_requests


@pytest.mark.parametrize("workers", [1, 2])
def test_a_steady_stream_of_requests_loses_none_to_max_requests(service, workers):
    master = service("--max-requests", "10", "--workers", str(workers))
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with Visitors(master.addresses[0]) as visitors:
        eventually(lambda: visitors.lost or master.log.count("worker_retired") >= 10, "ten have retired")
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    assert len({*visitors.answers}) >= 10
    assert re.search(
        r'worker=\d+ gen=1 pid=\d+ worker_retired reason="max_requests=(9|10)"$', master.log.until("retired")
    )
    assert "worker_died" not in master.log
    assert master.stop() == 0


def test_a_worker_that_is_used_up_serves_until_its_replacement_accepts(service, tmp_path):
    os.mkfifo(tmp_path / "gate")
    first, gate = tmp_path / "first", tmp_path / "gate"
    app = f"""
import os
if os.path.exists({str(first)!r}):
    open({str(gate)!r}).close()
open({str(first)!r}, "w").close()
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""
    master = service("--max-requests", "1", "--workers", "1", "--no-preload", app=app)
    with master.start(waiting="") as connection:
        old = connection.read().body
    for _ in range(5):
        assert master.request().body == old  # its replacement is at the gate
    eventually(lambda: len(master.rows()) == 2)
    assert master.request().body == old
    with gate.open("w"):
        pass
    assert 'reason="max_requests=1"' in master.log.until("worker_retired")
    assert master.request().body != old


def test_what_is_accepted_is_answered_though_its_request_comes_after_the_retirement(service):
    """A connection that is silent, one with half a head, and one that is kept alive, 0.3 s after it was retired."""
    master = service("--max-requests", "2", "--workers", "1", "--keepalive", "30")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with master.connect() as silent, master.connect() as half, master.connect() as kept:
        half.send(b"POST / HTTP/1.1\r\nHost: te")
        eventually(lambda: any(row["accepted"] >= 4 for row in master.rows()))
        (worker,) = said(kept.ask("say(os.getpid())", close=False).read())
        eventually(lambda: [row["state"] for row in master.rows() if row["pid"] == worker] == [3])
        take_time(0.3)
        for one in (silent, kept):
            assert said(one.ask("say(os.getpid())", close=False).read()) == [worker]
        half.send(b"st\r\nContent-Length: 16\r\nConnection: close\r\n\r\nsay(os.getpid())")
        assert said(half.read()) == [worker]
    assert 'reason="max_requests=2"' in master.log.until("worker_retired")


# ### Nothing is forked during a quiesce


def test_nothing_is_forked_while_all_are_asked_to_be_quiet(service):
    master = service("--idle", "0.3", "--log-level", "debug")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_ready(2)
    workers = master.workers
    for worker in workers:
        worker.kill(signal.SIGSTOP)
    master.log.until("do=QUIESCE")
    for count in (3, 4):
        master.signal(signal.SIGTTIN)
        master.log.until(f"resized workers={count}")
    assert len(master.rows()) == 2
    with master.connect().ask("say('answered')") as connection:
        master.log.until("resumed")
        for worker in workers:
            worker.kill(signal.SIGCONT)
        assert said(connection.read()) == ["answered"]
        master.all_accept(4)


def test_a_master_that_was_stopped_for_longer_than_the_import_took_believes_what_it_reads(service, gate):
    master = service(
        "--import-timeout", "1", "--pythonpath", str(APPS), app=f"open({str(gate)!r}).close()\nfrom knife import app"
    )
    with master.start(waiting="say(os.getppid())") as connection:
        master.letters.until("EXTEND_TIMEOUT_USEC=")
        os.kill(master.pid, signal.SIGSTOP)
        with gate.open("w"):
            pass
        (template,) = said(connection.read())
        take_time(1.1)
        os.kill(master.pid, signal.SIGCONT)
    master.all_accept(2)
    assert master.ask("say(os.getppid())") == [template]
    assert "failed" not in master.log
