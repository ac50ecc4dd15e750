"""A channel keeps messages and descriptors apart and in order, and never waits for its peer."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols import control
from spyglass_systemd.protocols.control import Channel
from spyglass_systemd.words.reports import Broken, Resume, Said, Stop

LAST_WORDS = Broken("no module named 'blog'", "")
CARRIER = Resume(1)  # any message may carry descriptors
LONG = Said("x", 6, "x" * 40_000)  # a handful fill a socket's buffer


def descriptors():
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture(autouse=True)
def _nothing_leaks():
    before = descriptors()
    yield
    assert descriptors() == before


@pytest.fixture
def ends():
    ours, theirs = control.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def stranger():
    """A channel, and a socket through which anything may come to it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(ours.detach())
    with theirs:
        theirs.setblocking(False)
        yield channel, theirs
    channel.close()


def received(channel):
    return [report for report, _ in channel.receive()]


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def fill(channel):
    """Send until the peer's buffer is full; how many were sent."""
    sent = 0
    while not channel.pending:
        channel.send(LONG)
        sent += 1
    return sent


# ### Messages


def test_messages_arrive_whole_and_in_order_in_both_directions(ends):
    ours, theirs = ends
    there, back = [Resume(n) for n in range(20)], [Said("x", 6, "y" * n) for n in range(20)]
    for report, answer in zip(there, back, strict=True):
        ours.send(report)
        theirs.send(answer)
    assert received(theirs) == there
    assert received(ours) == back
    assert not ours.closed
    assert not theirs.closed


def test_nothing_is_received_when_nothing_was_sent(ends):
    ours, _ = ends
    assert ours.receive() == []
    assert not ours.closed


def test_an_end_never_blocks_and_ends_with_an_exec(ends):
    for end in ends:
        assert not os.get_blocking(end.fileno())
        assert not os.get_inheritable(end.fileno())


def test_an_end_that_comes_blocking_is_made_not_to_block(stranger):
    channel, _ = stranger
    assert not os.get_blocking(channel.fileno())
    assert channel.receive() == []


# ### Descriptors


def test_descriptors_arrive_with_their_message_and_are_the_senders_no_more(ends):
    ours, theirs = ends
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    ours.send(Stop())
    ours.send(CARRIER, (writer,))
    ours.send(Stop())
    assert not is_open(writer)
    (_, none), (report, (arrived,)), (_, none_either) = theirs.receive()
    assert (none, report, none_either) == ((), CARRIER, ())
    assert not os.get_inheritable(arrived)
    os.write(arrived, b"hello")
    assert os.read(reader, 9) == b"hello"
    os.close(arrived)
    assert os.read(reader, 9) == b""
    os.close(reader)


def test_a_message_carries_several_descriptors_in_their_order(ends):
    ours, theirs = ends
    pipes = [os.pipe() for _ in range(2)]
    ours.send(CARRIER, tuple(writer for _, writer in pipes))
    ((_, arrived),) = theirs.receive()
    for n, fd in enumerate(arrived):
        os.write(fd, b"%d" % n)
        os.close(fd)
    assert [os.read(reader, 9) for reader, _ in pipes] == [b"0", b"1"]
    for reader, _ in pipes:
        os.close(reader)


def test_a_message_whose_descriptor_finds_no_room_arrives_without_it(ends):
    """MSG_CTRUNC in recv(2): the receiver has as many as it may."""
    ours, theirs = ends
    ours.send(CARRIER, (os.dup(0),))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filler = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filler.append(os.dup(0))
        messages = theirs.receive()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filler:
            os.close(fd)
    assert messages == [(CARRIER, ())]
    assert not theirs.closed


# ### A peer that does not read


def test_what_the_peer_does_not_read_waits_and_holds_nobody_up(ends):
    ours, theirs = ends
    sent = fill(ours) + 3
    for _ in range(3):
        ours.send(LONG)
    assert ours.pending
    got = received(theirs)
    assert 0 < len(got) < sent
    while ours.pending:
        ours.flush()
        got += received(theirs)
    assert got == [LONG] * sent


def test_descriptors_wait_open_and_are_closed_once_they_are_sent(ends):
    ours, theirs = ends
    fill(ours)
    reader, writer = os.pipe()
    ours.send(CARRIER, (writer,))
    assert is_open(writer)
    got = []
    while ours.pending:
        got += theirs.receive()
        ours.flush()
    got += theirs.receive()
    report, (arrived,) = got[-1]
    assert report == CARRIER
    os.close(arrived)
    assert os.read(reader, 1) == b""
    os.close(reader)


@given(st.lists(st.sampled_from("ssssrf"), max_size=60))
def test_every_message_arrives_once_and_in_order_whoever_is_slow(turns):
    ours, theirs = control.pair()
    sent, got = 0, []
    for turn in turns:
        if turn == "s":
            ours.send(Said(str(sent), 6, LONG.text))
            sent += 1
        elif turn == "r":
            got += received(theirs)
        else:
            ours.flush()
    while ours.pending:
        got += received(theirs)
        ours.flush()
    got += received(theirs)
    assert [report.event for report in got] == [str(n) for n in range(sent)]
    ours.close()
    theirs.close()


# ### A peer that is gone


def test_what_was_said_before_the_end_is_heard_and_then_the_end(ends):
    ours, theirs = ends
    theirs.send(Stop())
    theirs.send(LAST_WORDS)
    theirs.close()
    assert not ours.closed
    assert received(ours) == [Stop(), LAST_WORDS]
    assert ours.closed
    assert received(ours) == []


def test_the_last_words_of_a_peer_that_has_read_nothing_are_heard():
    """The kernel says ECONNRESET before it hands out what the dead have said."""
    ours, theirs = control.pair()
    ours.send(CARRIER)
    theirs.send(LAST_WORDS)
    theirs.close()
    assert received(ours) == [LAST_WORDS]
    assert ours.closed
    ours.close()


def test_the_last_words_of_a_peer_are_heard_by_one_who_speaks_to_it_first():
    ours, theirs = control.pair()
    theirs.send(LAST_WORDS)
    theirs.close()
    ours.send(Stop())
    assert not ours.pending
    assert received(ours) == [LAST_WORDS]
    assert ours.closed
    ours.close()


def test_what_is_sent_to_nobody_is_dropped_with_its_descriptors(ends):
    ours, theirs = ends
    theirs.close()
    reader, writer = os.pipe()
    ours.send(CARRIER, (writer,))
    assert not ours.pending
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_what_waits_when_the_peer_goes_is_dropped_with_its_descriptors(ends):
    ours, theirs = ends
    fill(ours)
    reader, writer = os.pipe()
    ours.send(CARRIER, (writer,))
    theirs.close()
    ours.flush()
    assert not ours.pending
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_who_closes_drops_what_waits_and_may_still_be_spoken_to(ends):
    ours, theirs = ends
    fill(ours)
    reader, writer = os.pipe()
    ours.send(CARRIER, (writer,))
    ours.close()
    assert os.read(reader, 1) == b""
    os.close(reader)
    ours.send(Stop(), (os.dup(0),))
    ours.flush()
    assert ours.receive() == []
    assert ours.fileno() == -1
    received(theirs)
    assert theirs.closed


def test_a_descriptor_that_the_app_has_closed_is_the_end(ends):
    ours, _ = ends
    os.close(ours.fileno())
    assert ours.receive() == []
    assert ours.closed
    ours.detach()


def test_an_end_can_be_handed_on(ends):
    ours, theirs = ends
    fd = ours.detach()
    assert ours.closed
    ours.close()
    heir = Channel(fd)
    heir.send(Stop())
    assert received(theirs) == [Stop()]
    heir.close()


# ### App code that has found the descriptor


@pytest.mark.parametrize("nonsense", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, b"Stop\0", b"x" * 300_000])
def test_whoever_sends_what_is_no_message_is_hung_up_on(stranger, nonsense):
    channel, theirs = stranger
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)  # which the kernel doubles
    theirs.send(b"Stop")
    theirs.send(nonsense)
    with contextlib.suppress(BlockingIOError):
        theirs.send(b"Stop")
    assert received(channel) == [Stop()]
    assert channel.closed
    assert channel.fileno() >= 0  # whoever polls it must be able to say so
    with contextlib.suppress(ConnectionResetError):
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("nonsense", [b"?", b""])
def test_descriptors_that_come_with_nonsense_are_closed(stranger, nonsense):
    channel, theirs = stranger
    reader, writer = os.pipe()
    socket.send_fds(theirs, [nonsense], [writer])
    os.close(writer)
    assert channel.receive() == []
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_what_waits_for_one_who_is_hung_up_on_is_dropped_with_its_descriptors(stranger):
    channel, theirs = stranger
    fill(channel)
    reader, writer = os.pipe()
    channel.send(CARRIER, (writer,))
    theirs.send(b"?")
    assert channel.receive() == []
    assert not channel.pending
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_other_ancillary_data_is_passed_over(stranger):
    channel, theirs = stranger
    with socket.socket(fileno=os.dup(channel.fileno())) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    theirs.send(b"Stop")
    assert channel.receive() == [(Stop(), ())]


def test_a_repr_says_whether_it_is_open(ends):
    ours, _ = ends
    assert repr(ours) == f"<Channel fd={ours.fileno()}>"
    ours.close()
    assert repr(ours) == "<Channel fd=-1 closed>"
