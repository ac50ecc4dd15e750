"""Falling asleep, held in the middle by stopped workers: whoever comes then is answered at once, and nobody is lost."""

from __future__ import annotations

import os
import signal
import socket
import struct

import pytest
from harness import AROUND, Connection, eventually, said, take_time

HALF = b"POST / HTTP/1.1\r\nHost: te"


@pytest.fixture
def quiescing(service):
    """A Master that has asked its workers to be quiet, and the workers, which are stopped and cannot answer."""

    def quiescing(*options, stop=2, **more):
        master = service("--idle", "0.3", "--log-level", "debug", *options, **more)
        with master.start(waiting="say(1)") as connection:
            connection.read()
        master.all_ready(2)
        stopped = master.workers[:stop]
        for worker in stopped:
            worker.kill(signal.SIGSTOP)
        master.log.until("do=QUIESCE")
        return master, stopped

    return quiescing


def go_on(workers):
    for worker in workers:
        worker.kill(signal.SIGCONT)


def test_who_comes_while_all_are_asked_to_be_quiet_is_answered(quiescing):
    master, workers = quiescing()
    with master.connect().ask("say('answered')") as connection:
        master.log.until("resumed")
        go_on(workers)
        assert said(connection.read()) == ["answered"]
    assert master.wait() == 0
    assert master.log.until("slept").count("requests=2 connections=2") == 1


def test_who_comes_is_not_kept_waiting_by_a_worker_that_does_not_answer(quiescing):
    master, workers = quiescing(stop=1)
    assert master.ask("say('answered')") == ["answered"]
    master.log.until("resumed")
    go_on(workers)
    assert master.wait() == 0


def test_who_is_served_between_the_decision_and_the_question_keeps_it_awake(service, tmp_path):
    """All that is left of him are counts, and the question takes its own from them: they tell nothing."""
    first = f"""
import os
from pathlib import Path
from spyglass_systemd.processes.crew import Crew
quiesce, here = Crew.quiesce, Path({str(tmp_path)!r})
def late(self, aim):
    if not (here / "asked").exists():
        (here / "asked").touch()
        with open(here / "served") as gate:  # a FIFO
            gate.read()
    quiesce(self, aim)
Crew.quiesce = late
"""
    os.mkfifo(tmp_path / "served")
    master = service("--idle", "0.3", "--log-level", "debug", around=AROUND.format(before=first, after=""))
    with master.start(waiting="say(1)") as connection:
        connection.read()
    eventually((tmp_path / "asked").exists, "a Master that is about to ask")
    assert master.ask("say(2)") == [2]
    master.has_open(0)
    with (tmp_path / "served").open("w"):
        pass
    master.log.until("do=QUIESCE")
    assert "event=STIRRED" in master.log.until("state=quiescing")
    assert master.wait() == 0


def test_what_came_before_the_proof_is_answered_though_its_request_comes_later(quiescing):
    """A connection that is silent and one with half a head: they come during the quiesce and speak 0.3 s later."""
    master, workers = quiescing()
    with master.connect() as silent, master.connect().send(HALF) as half:
        master.log.until("resumed")
        go_on(workers)
        master.has_open(2)
        take_time(0.3)
        assert said(silent.ask("say(7)").read()) == [7]
        half.send(b"st\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsay(7)")
        assert said(half.read()) == [7]
    assert master.wait() == 0


def test_who_was_accepted_between_the_decision_and_the_question_calls_it_off(service):
    """The question is in the worker's queue; he is too."""
    master = service("--idle", "0.3", "--workers", "1", "--log-level", "debug", "--header-timeout", "60")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_ready(1)
    (worker,) = master.workers
    worker.kill(signal.SIGSTOP)
    with master.connect() as silent:
        master.log.until("do=QUIESCE")
        master.log.until("resumed")
        worker.kill(signal.SIGCONT)
        master.has_open(1)
        take_time(0.6)  # he says nothing, and has been here for longer than `idle`
        assert said(silent.ask("say('here')").read()) == ["here"]
    assert master.wait() == 0


@pytest.mark.parametrize("count", [4, 500])
def test_silent_connections_during_a_quiesce_keep_the_next_request_waiting_for_nothing(quiescing, listener, count):
    master, workers = quiescing("--header-timeout", "60", listeners=[listener("v4")])
    silent = [master.connect() for _ in range(count)]
    with master.connect().ask("say('answered')") as connection:
        go_on(workers)
        assert said(connection.read()) == ["answered"]
    silent[0].sock.setblocking(False)
    for one in silent:
        one.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            one.sock.recv(1)  # nothing has been said to them, and they are not closed
        one.close()
    assert master.wait() == 0


@pytest.mark.parametrize("count", [4, 500])
def test_silent_connections_keep_the_next_request_waiting_for_nothing(service, listener, count):
    master = service("--header-timeout", "60", listeners=[listener("v4")])
    with master.start(waiting="say(1)") as connection:
        connection.read()
    silent = [master.connect() for _ in range(count)]
    master.has_open(count)
    assert master.ask("say('answered')") == ["answered"]
    for one in silent:
        one.close()


def test_a_worker_that_dies_while_all_are_asked_to_be_quiet_calls_it_off(quiescing):
    master, workers = quiescing()
    workers[0].kill()
    master.log.until("worker_died")
    master.log.until("resumed")
    go_on(workers[1:])
    assert master.wait() == 0


def test_the_template_may_die_while_all_are_asked_to_be_quiet(quiescing):
    master, workers = quiescing()
    master.template.kill()
    master.log.until("do=RESUME_AND_RELOAD")
    go_on(workers)
    master.log.until("reloaded")
    assert master.wait() == 0


def test_who_is_told_to_stop_while_all_are_asked_to_be_quiet_drains(quiescing):
    master, workers = quiescing()
    with master.connect() as connection:
        master.log.until("resumed")
        go_on(workers)
        master.has_open(1)
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        assert said(connection.ask("say('answered')").read()) == ["answered"]
    assert master.wait() == 0


def test_a_master_told_to_stop_in_the_middle_of_a_quiesce_leaves(quiescing):
    master, workers = quiescing()
    master.signal(signal.SIGTERM)
    master.log.until("draining")
    go_on(workers)
    assert master.wait() == 0
    assert "slept" not in master.log


def test_an_answer_to_a_quiesce_that_was_called_off_proves_nothing(quiescing):
    """Called off and asked again before a worker has read the first question: its first answer is out of date."""
    master, workers = quiescing()
    with master.connect() as visitor:
        master.log.until("resumed")
    visitor.close()
    master.log.until("do=QUIESCE")
    with master.connect().ask("say('answered')") as connection:
        master.log.until("resumed")
        go_on(workers)
        assert said(connection.read()) == ["answered"]
    assert master.wait() == 0


def test_many_sleeps_lose_nobody_who_comes_at_the_moment_of_sleep(service):
    """bench/edge.py aims at it for an hour; here each next one comes as soon as the Master says STOPPING."""
    master = service("--idle", "0.02")
    connection = master.start(waiting="say(0)")
    for number in range(1, 11):
        assert said(connection.read()) == [number - 1]
        connection.close()
        master.letters.until("STOPPING=1")
        connection = master.connect().ask(f"say({number})")
        assert master.wait() == 0
        master.start()
    assert said(connection.read()) == [10]
    connection.close()


def test_a_connection_that_is_reset_before_it_is_accepted_does_no_harm(service, listener):
    master = service("--idle", "0.3", listeners=[listener("v4")])
    with master.start(waiting="say(1)") as connection:
        connection.read()
    for _ in range(20):
        with Connection(master.addresses[0]) as rude:
            rude.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert master.ask("say('here')") == ["here"]
    eventually(lambda: not any(row["open"] for row in master.rows()))
    assert master.wait() == 0
    assert "worker_died" not in master.log
