"""One bound for all that waits in memory: heads, bodies, answers, what was sent ahead. And all of it is given back."""

from __future__ import annotations

import contextlib
import socket

import pytest

from spyglass_systemd.backends.asgi.sieve import Deaf, Sieve
from spyglass_systemd.backends.budget import Budget, Share
from spyglass_systemd.backends.wsgi.bounds import Limits
from spyglass_systemd.backends.wsgi.framing import Framing, Rules
from spyglass_systemd.backends.wsgi.outlet import Outlet
from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.backends.wsgi.spool import Spool

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
FIELD = b"A: " + b"x" * 1000 + b"\r\n"


@pytest.fixture
def budget():
    return Budget(10_000)


def framing(budget):
    return Framing(Rules(Limits(8192, 65536, 100), None, 5000, "", budget=budget), {"REMOTE_ADDR": ""})


def test_nothing_is_taken_beyond_the_sum_of_all(budget):
    assert budget.take(6000)
    assert not budget.take(4001)
    assert budget.take(4000)
    budget.give(6000)
    assert budget.take(1)
    assert repr(budget) == "<Budget 4001 of 10000>"


def test_who_is_alone_may_use_more(budget):
    assert budget.take(50_000)
    assert not budget.take(1)
    budget.give(50_000)
    assert budget.take(1)


# ### Heads, and what was sent ahead


def test_half_a_head_waits_where_there_is_room_and_is_refused_where_there_is_none(budget):
    first, second = framing(budget), framing(budget)
    first.feed(HEAD + FIELD * 9)
    assert budget.used > 8000
    with pytest.raises(Refusal) as refused:
        second.feed(HEAD + FIELD * 9)
    assert refused.value.code == 503
    second.close()
    assert first.feed(b"\r\n") is not None
    assert budget.used == 0
    assert second.feed(HEAD + FIELD * 9 + b"\r\n") is not None  # what is whole needs no room


def test_half_a_head_that_was_refused_is_not_kept_while_its_client_is_seen_off(budget):
    budget.take(10_000)
    sieve = Sieve(Limits(8192, 65536, 100), None, Share(budget), {})
    with pytest.raises(Refusal):
        sieve.read(HEAD + FIELD * 9)
    assert sieve.idle


def test_nothing_is_read_behind_a_refusal():
    deaf = Deaf()
    assert (deaf.read(HEAD + b"\r\n"), deaf.idle, deaf.half, deaf.large) == ((b"", b""), False, False, False)


def test_half_a_head_of_ordinary_size_waits_however_full_it_is(budget):
    budget.take(10_000)
    frame = framing(budget)
    frame.feed(HEAD + b"A: " + b"x" * 900)
    assert frame.feed(b"\r\n\r\n") is not None
    assert budget.used == 10_000


def test_what_was_sent_ahead_waits_where_there_is_room_and_is_forgotten_where_there_is_none(budget):
    ahead = (HEAD + b"\r\n") * 300
    first, second = framing(budget), framing(budget)
    request = first.feed(ahead)
    assert (request.keep, len(first.rest)) == (True, len(HEAD + b"\r\n") * 299)
    request = second.feed(ahead)
    assert (request.keep, second.rest) == (False, b"")
    first.close()
    assert budget.used == 0


def test_what_was_sent_ahead_behind_a_body_is_no_different(budget):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    first, second = framing(budget), framing(budget)
    assert first.feed(head + b"hello" + b"x" * 9000).keep
    second.feed(head + b"hel")
    request = second.feed(b"lo" + b"x" * 9000)
    assert (request.keep, second.rest) == (False, b"")
    first.close()
    for frame in (first, second):
        frame.environ["wsgi.input"].close()
    assert budget.used == 0


def test_half_a_line_of_chunks_counts_too(budget):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    frame = framing(budget)
    frame.feed(head + b"5;" + b"x" * 4000)
    assert budget.used == 4002 - 1024
    frame.feed(b"\r\nhel")
    assert budget.used == 3
    frame.close()
    assert budget.used == 0


# ### Bodies


def test_a_body_waits_in_memory_where_there_is_room_and_on_disk_where_there_is_none(budget):
    first, second = Spool(8000, budget), Spool(8000, budget)
    first.write(b"x" * 7000)
    for _ in range(5):
        second.write(b"y" * 1000)
    assert budget.used == 7000  # the second has gone to disk, and given back what it had
    with second.reader() as file:
        assert file.read() == b"y" * 5000
    with first.reader() as file:
        assert file.read() == b"x" * 7000
        assert budget.used == 7000
    assert budget.used == 0


def test_what_an_app_keeps_of_a_body_is_given_back_when_nobody_refers_to_it(budget):
    spool = Spool(8000, budget)
    spool.write(b"x" * 100)
    reader = spool.reader()
    del spool
    assert budget.used == 100
    del reader
    assert budget.used == 0


def test_a_body_that_nobody_reads_is_given_back(budget):
    spool = Spool(8000, budget)
    spool.write(b"x" * 100)
    spool.close()
    assert budget.used == 0


# ### Answers


@contextlib.contextmanager
def pairs():
    """Two connections: our ends, and the clients'."""
    with contextlib.ExitStack() as stack:
        made = [[stack.enter_context(end) for end in socket.socketpair()] for _ in range(2)]
        for ours, _ in made:
            ours.setblocking(False)
        yield list(zip(*made, strict=True))


def test_an_answer_that_nobody_takes_waits_on_disk_where_there_is_no_room(budget):
    with pairs() as (ours, theirs):
        first, second = Outlet(ours[0], budget), Outlet(ours[1], budget)
        data = bytes(range(256)) * 4096
        first.put(data)
        assert not first.empty
        used = budget.used
        assert used > 10_000  # it was alone
        second.put(data)
        assert second.full
        assert budget.used == used
        came = b""
        while len(came) < len(data):
            came += theirs[1].recv(1 << 20)
            second.flush()
        assert came == data
        assert (second.empty, second.full) == (True, False)
        first.lose()
        assert budget.used == 0
        first.lose()
        assert budget.used == 0


def test_an_answer_gives_back_what_is_taken(budget):
    with pairs() as (ours, theirs):
        outlet, came, data = Outlet(ours[0], budget), 0, b"x" * (1 << 20)
        outlet.put(data)
        while came < len(data):
            came += len(theirs[0].recv(1 << 20))
            outlet.flush()
        assert outlet.empty
        assert budget.used == 0
