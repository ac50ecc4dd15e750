"""What a backend is told by its gate, and what the Master is told through it."""

from __future__ import annotations

import os
import select
import socket
import time

import pytest

from spyglass_systemd.backends.base import FINAL, LAST_CALL, PAUSE, Gate
from spyglass_systemd.protocols import control
from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words.listener import AF_INET, Listener
from spyglass_systemd.words.reports import (
    Accepting,
    Declined,
    Greeted,
    Look,
    Quiesce,
    Quiesced,
    Resume,
    Retiring,
    Said,
    Stirred,
    Stop,
    Visitor,
    Welcomed,
)


class Master:
    """The other end."""

    def __init__(self, channel):
        self.channel = channel

    def heard(self):
        return [report for report, _ in self.channel.receive()]

    def says(self, gate, *reports):
        for report in reports:
            self.channel.send(report)
        gate.receive()


@pytest.fixture
def board():
    return Scoreboard.create("", 1, 1)


@pytest.fixture
def listeners():
    names = {name: socket.create_server(("127.0.0.1", 0)) for name in ("http", "")}
    listeners = tuple(Listener(sock.detach(), name, AF_INET, ("127.0.0.1", 80)) for name, sock in names.items())
    yield listeners
    for listener in listeners:
        if is_open(listener.fd):
            os.close(listener.fd)


@pytest.fixture
def ends():
    ours, theirs = control.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def master(ends):
    return Master(ends[0])


@pytest.fixture
def gate(ends, board, listeners):
    """A gate that is open, as the Master has heard."""
    gate = Gate(ends[1], board.rows[0], listeners, born_ns=time.monotonic_ns(), quota=3)
    gate.start()
    ends[0].receive()
    return gate


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def said_of(gate):
    return {name for name in ("accepting", "closing", "last_call", "orphaned", "stopped") if getattr(gate, name)}


# ### Accepting


def test_a_gate_is_shut_until_the_listeners_are_polled(ends, board, listeners):
    gate = Gate(ends[1], board.rows[0], listeners, born_ns=time.monotonic_ns())
    assert said_of(gate) == set()
    assert Master(ends[0]).heard() == []
    gate.start()
    assert gate.accepting
    assert board.rows[0].state == row_cells.ACCEPTING
    (report,) = Master(ends[0]).heard()
    assert isinstance(report, Accepting)


def test_the_master_hears_how_long_the_boot_took(ends, board):
    Gate(ends[1], board.rows[0], (), born_ns=time.monotonic_ns() - 5_000_000).start()
    (report,) = Master(ends[0]).heard()
    assert report.boot_us >= 5000


def test_its_descriptor_is_readable_when_the_master_has_spoken(gate, master):
    poll = select.poll()
    poll.register(gate.fileno(), select.POLLIN)
    assert poll.poll(0) == []
    master.channel.send(Stop())
    assert poll.poll(0) == [(gate.fileno(), select.POLLIN)]
    gate.receive()
    assert poll.poll(0) == []


# ### Counting


def test_the_first_connection_is_named_and_no_other(gate, master, listeners):
    for peer, listener in (("10.0.0.1:5", listeners[0]), ("10.0.0.2:6", listeners[1])):
        gate.opened(peer, listener)
    assert master.heard() == [Greeted("10.0.0.1:5", "http")]


def test_a_listener_without_a_name_is_called_by_its_address(gate, master, listeners):
    gate.opened("", listeners[1])
    assert master.heard() == [Greeted("", "127.0.0.1:80")]


def test_connections_and_requests_are_counted_in_the_row(gate, listeners):
    row = gate.row
    before = time.monotonic_ns()
    gate.opened("", listeners[0])
    gate.opened("", listeners[0])
    assert (row.accepted, row.open) == (2, 2)
    gate.began()
    assert (row.requests, row.in_flight, row.done) == (1, 1, 0)
    gate.answered()
    assert (row.requests, row.in_flight, row.done) == (1, 0, 1)
    gate.closed()
    assert (row.accepted, row.open) == (2, 1)
    assert row.last_activity_ns >= before


def test_a_worker_asks_for_a_successor_once_when_it_has_had_its_quota(gate, master):
    for _ in range(5):
        gate.began()
        gate.answered()
    assert master.heard() == [Retiring("max_requests=3")]
    assert gate.accepting  # until the Master says otherwise


def test_a_worker_without_a_quota_never_does(ends, master):
    gate = Gate(ends[1], Scoreboard.create("", 1, 1).rows[0], (), born_ns=0)
    for _ in range(100):
        gate.began()
    assert master.heard() == []


def test_what_a_worker_says_is_passed_on(gate, master):
    gate.say("exhausted", 3, "no more")
    assert master.heard() == [Said("exhausted", 3, "no more")]


# ### A quiesce with a way back


def test_whoever_is_quiet_stops_accepting_and_says_so_with_its_counts(gate, master, listeners):
    gate.opened("", listeners[0])
    gate.began()
    gate.answered()
    gate.closed()
    master.heard()
    master.says(gate, Quiesce(4, PAUSE))
    assert said_of(gate) == set()
    assert gate.row.state == row_cells.QUIESCING
    assert master.heard() == []  # not before the turn is over
    gate.settle()
    assert master.heard() == [Quiesced(4, 1, 1)]
    assert gate.row.state == row_cells.QUIET


def test_it_says_so_once(gate, master):
    master.says(gate, Quiesce(4, PAUSE))
    for _ in range(3):
        gate.settle()
    assert len(master.heard()) == 1


def test_it_does_not_say_so_when_it_was_not_asked(gate, master):
    gate.settle()
    assert master.heard() == []


@pytest.mark.parametrize("busy", [Gate.began, lambda gate: gate.opened("", gate._listeners[0])])
def test_somebody_who_is_there_is_told_of_at_once_and_waited_for(gate, master, busy):
    busy(gate)
    master.heard()
    master.says(gate, Quiesce(4, PAUSE))
    gate.settle()
    assert master.heard() == [Stirred(4)]
    assert gate.row.state == row_cells.QUIESCING


def test_an_open_connection_is_waited_for_and_then_its_request(gate, master, listeners):
    gate.opened("", listeners[0])
    gate.began()
    master.says(gate, Quiesce(4, FINAL))
    master.heard()
    gate.closed()  # its client is gone, the app still runs
    gate.settle()
    assert master.heard() == []
    gate.answered()
    gate.settle()
    assert master.heard() == [Quiesced(4, 1, 1)]


def test_the_listeners_are_kept_where_there_is_a_way_back(gate, master, listeners):
    master.says(gate, Quiesce(4, PAUSE))
    gate.leave_listeners()
    assert all(is_open(listener.fd) for listener in listeners)


def test_a_resume_opens_the_gate_again(gate, master):
    master.says(gate, Quiesce(4, PAUSE))
    gate.settle()
    master.says(gate, Resume(4))
    assert gate.accepting
    assert gate.row.state == row_cells.ACCEPTING
    master.heard()
    gate.settle()
    assert master.heard() == []


def test_after_a_resume_the_next_quiesce_is_answered_anew(gate, master, listeners):
    master.says(gate, Quiesce(4, PAUSE))
    gate.settle()
    master.says(gate, Resume(4))
    gate.opened("", listeners[0])
    gate.closed()
    master.says(gate, Quiesce(5, PAUSE))
    gate.settle()
    assert [report for report in master.heard() if isinstance(report, Quiesced)] == [
        Quiesced(4, 0, 0),
        Quiesced(5, 1, 0),
    ]


def test_a_resume_of_another_quiesce_opens_nothing(gate, master):
    master.says(gate, Quiesce(4, PAUSE), Resume(3))
    assert not gate.accepting


def test_a_quiesce_that_was_called_off_before_it_was_read_is_not_answered(gate, master):
    master.says(gate, Quiesce(4, PAUSE), Resume(4), Quiesce(5, PAUSE))
    gate.settle()
    assert master.heard() == [Quiesced(5, 0, 0)]


# ### No way back


@pytest.mark.parametrize(("final", "last_call"), [(FINAL, False), (LAST_CALL, True)])
def test_without_a_way_back_every_answer_is_the_last(gate, master, final, last_call):
    master.says(gate, Quiesce(4, final))
    assert gate.closing
    assert gate.last_call is last_call
    assert not gate.accepting
    gate.settle()
    assert master.heard() == [Quiesced(4, 0, 0)]


@pytest.mark.parametrize("final", [FINAL, LAST_CALL])
def test_the_listeners_are_closed_once_when_nobody_will_need_them_here(gate, master, listeners, final):
    master.says(gate, Quiesce(4, final))
    assert all(is_open(listener.fd) for listener in listeners)  # for a last call
    gate.leave_listeners()
    assert not any(is_open(listener.fd) for listener in listeners)
    taken = [os.dup(0) for _ in listeners]  # somebody else's by now
    gate.leave_listeners()
    assert all(is_open(fd) for fd in taken)
    for fd in taken:
        os.close(fd)


def test_whoever_is_there_is_no_news_when_there_is_no_way_back(gate, master, listeners):
    gate.opened("", listeners[0])
    master.heard()
    master.says(gate, Quiesce(4, FINAL))
    assert master.heard() == []


def test_a_pause_becomes_final_and_never_a_pause_again(gate, master):
    master.says(gate, Quiesce(4, PAUSE), Quiesce(5, FINAL), Quiesce(6, PAUSE), Resume(6))
    assert gate.closing
    assert not gate.accepting
    gate.settle()
    assert master.heard() == [Quiesced(6, 0, 0)]


def test_a_final_quiesce_becomes_a_last_call_when_the_lookout_dies_too(gate, master):
    master.says(gate, Quiesce(4, FINAL), Quiesce(5, LAST_CALL))
    assert gate.last_call


def test_a_stop_ends_it(gate, master):
    master.says(gate, Stop())
    assert gate.stopped
    assert not gate.orphaned


def test_what_is_no_business_of_a_worker_is_passed_over(gate, master):
    master.says(gate, Accepting(1))
    assert gate.accepting
    assert not gate.stopped


# ### A Master that is gone, or does not listen


def test_an_orphan_finishes_what_it_has_accepted_and_leaves(gate, master, listeners):
    gate.opened("", listeners[0])
    master.channel.close()
    gate.receive()
    assert said_of(gate) == {"orphaned", "closing"}
    gate.settle()
    assert not gate.stopped
    gate.closed()
    gate.settle()
    assert gate.stopped


def test_an_orphan_that_is_quiet_leaves_at_once(gate, master):
    master.says(gate, Quiesce(4, PAUSE))
    gate.settle()
    master.channel.close()
    gate.receive()
    gate.settle()
    assert gate.stopped


def test_a_stop_is_obeyed_though_the_master_is_gone_since(gate, master, listeners):
    gate.opened("", listeners[0])
    master.channel.send(Stop())
    master.channel.close()
    gate.receive()
    assert gate.stopped
    assert not gate.closing


def test_what_the_master_was_too_slow_to_read_goes_out_when_it_speaks(gate, master):
    sent = 0
    while not gate._channel.pending:
        gate.say("x", 6, "x" * 40_000)
        sent += 1
    heard = master.heard()
    master.says(gate, Quiesce(4, PAUSE))
    assert not gate._channel.pending
    assert len(heard + master.heard()) == sent


# ### Visitors


@pytest.fixture
def visitor():
    """Both ends of a connection, ours by its descriptor."""
    ours, client = socket.socketpair()
    with client:
        yield ours.detach(), client


def test_a_visitor_is_the_workers_as_soon_as_it_has_said_so(gate, master, listeners, visitor):
    fd, client = visitor
    master.channel.send(Visitor(7, listeners[1].fd), (fd,))
    gate.receive()
    assert master.heard() == [Welcomed(7)]
    ((taken, listener),) = gate.visitors()
    assert listener is listeners[1]
    client.send(b"x")
    assert os.read(taken, 10) == b"x"
    assert gate.visitors() == []
    os.close(taken)


def test_a_visitor_for_whom_there_is_no_descriptor_stays_the_masters(gate, master, listeners):
    master.says(gate, Visitor(7, listeners[0].fd))
    assert master.heard() == [Declined(7)]
    assert gate.visitors() == []


def test_a_visitor_of_a_listener_that_is_not_ours_stays_the_masters(gate, master, visitor):
    fd, _ = visitor
    master.channel.send(Visitor(7, 999), (fd,))
    master.says(gate, Look())
    assert master.heard() == [Declined(7)]
    assert gate.visitors() == []


def test_who_comes_with_a_quiesce_behind_him_is_there_to_be_served_first(gate, master, listeners, visitor):
    fd, _ = visitor
    master.channel.send(Visitor(7, listeners[0].fd), (fd,))
    master.says(gate, Quiesce(1, FINAL))
    ((taken, listener),) = gate.visitors()
    gate.opened("unix", listener)
    gate.settle()
    assert [type(report) for report in master.heard()] == [Welcomed, Greeted]  # not quiet
    gate.closed()
    gate.settle()
    assert master.heard() == [Quiesced(1, 1, 0)]
    os.close(taken)


def test_where_there_is_a_screen_a_connection_is_no_activity_before_its_first_request(ends, board, listeners):
    gate = Gate(ends[1], board.rows[0], listeners, born_ns=0, screens=True)
    gate.opened("unix", listeners[0])
    assert (gate.row.accepted, gate.row.open, gate.row.last_activity_ns) == (1, 1, 0)
    gate.began()
    began = gate.row.last_activity_ns
    assert began > 0
    gate.opened("unix", listeners[0])
    assert gate.row.last_activity_ns == began


# ### Whom a sibling was woken for


def test_a_worker_is_asked_once_to_look_into_the_backlogs(gate, master):
    assert not gate.nudged()
    master.says(gate, Look())
    assert gate.nudged()
    assert not gate.nudged()


def test_who_does_not_accept_does_not_look(gate, master):
    master.says(gate, Quiesce(4, PAUSE), Look())
    assert not gate.nudged()
    master.says(gate, Resume(4))
    assert not gate.nudged()
