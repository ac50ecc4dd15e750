"""Clients of ill will, many at once: others are served, memory is bounded, nobody keeps the app awake by being slow."""

from __future__ import annotations

import pytest
from crowd import Crowd, descriptors
from harness import Connection
from targets import Target

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=["wsgi", "asgi"])
def target(request, service, listener):
    def target(*options):
        sock = listener("v4")
        sock.listen(4096)  # as systemd does: Backlog= in systemd.socket(5)
        return Target(service, request.param, sock, *options)

    return target


# ### Slow

SLOW = {
    "nothing": (b"", b""),
    "a line now and then": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"A: b\r\n"),
    "a byte now and then": (b"GET / HTTP/1.1\r\nHost: a\r\nA: ", b"b"),
    "empty lines": (b"", b"\r\n"),
    "a body by the byte": (POST + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "chunks of a byte": (CHUNKED, b"1\r\nx\r\n"),
    "an extension of a chunk by the byte": (CHUNKED + b"1;", b"x"),
    "trailers by the line": (CHUNKED + b"1\r\nx\r\n0\r\n", b"A: b\r\n"),
}


@pytest.mark.parametrize("how", SLOW)
def test_who_says_little_is_seen_off_and_the_app_sleeps(target, how):
    beginning, drop = SLOW[how]
    service = target()
    with service.visited() as visitors, Crowd(service.address, 200) as crowd:
        crowd.say(beginning)
        crowd.until_all_are_gone(drop)
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


def test_who_takes_little_is_seen_off_and_the_app_sleeps(target):
    service = target("--write-timeout", "1s", "--min-rate", "1MiB")
    with service.visited() as visitors, Crowd(service.address, 20, deaf=True) as crowd:
        crowd.say(b"GET /50000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        crowd.until(lambda: service.holds(20))
        crowd.until(lambda: crowd.sip() or not service.holds(5))
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


# ### Large


def bombs(fill):
    """A beginning of `fill` bytes, and more to come."""
    return {
        "a head": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: %b\r\n" % (b"x" * 4000) * (fill // 4000),
        "a body": POST + b"Content-Length: 10000000\r\n\r\n" + b"x" * fill,
        "chunks": CHUNKED + b"fff\r\n%b\r\n" % (b"x" * 4095) * (fill // 4095),
        "a trailer": CHUNKED + b"1\r\nx\r\n0\r\n" + b"A: " + b"x" * fill,
    }


@pytest.mark.parametrize(
    ("what", "fill", "count"),
    [("a head", 60_000, 300), ("a trailer", 60_000, 150), ("a body", 900_000, 50), ("chunks", 900_000, 50)],
)
def test_who_sends_half_of_much_costs_little(target, what, fill, count):
    service = target("--header-timeout", "3s")
    with service.visited() as visitors, Crowd(service.address, count) as crowd:
        crowd.say_all(bombs(fill)[what])
        crowd.until_all_are_gone()
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


def test_a_head_without_an_end_is_refused_to_all_who_send_one(target):
    service = target("--header-timeout", "10s")
    with service.visited() as visitors, Crowd(service.address, 50) as crowd:
        crowd.say(b"GET / HTTP/1.1\r\nHost: a\r\n")
        crowd.until_all_are_gone(b"A: " + b"x" * 4000 + b"\r\n")
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


def test_who_does_not_read_what_he_asked_for_costs_little(target):
    service = target("--write-timeout", "2s")
    with service.visited() as visitors, Crowd(service.address, 100, deaf=True) as crowd:
        crowd.say(b"GET /20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        crowd.until(lambda: service.holds(100))
        crowd.until(lambda: not service.holds(10))
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


def test_requests_sent_ahead_by_the_thousand_cost_little(target):
    service = target("--write-timeout", "2s")
    with service.visited() as visitors, Crowd(service.address, 50, deaf=True) as crowd:
        crowd.say_all(b"GET /1000 HTTP/1.1\r\nHost: a\r\n\r\n" * 5000)
        crowd.until(lambda: not service.holds(10))
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    service.falls_asleep()


# ### Many


def test_ten_thousand_connections_are_seen_off_and_then_others_are_served(target):
    """As many as the descriptors of this process allow; the service holds max_connections of them at a time."""
    count = descriptors(10_100) - 100
    service = target()
    with Crowd(service.address, count) as crowd:
        assert not crowd.refused
        crowd.until_all_are_gone()
        service.serves()
        service.falls_asleep()


def test_a_flood_at_a_wake_is_answered_to_the_last(service, listener):
    """A thousand in the backlog before anybody is awake, a third of whom will never say anything."""
    for kind in ("wsgi", "asgi"):
        master = service("--kind", kind, "--header-timeout", "2s", "--idle", "1", spec=f"target:{kind}",
                         listeners=[listener("v4")])  # fmt: skip
        with Crowd(master.addresses[0], 300) as silent, Crowd(master.addresses[0], 600) as crowd:
            assert crowd.say(GET) == 600
            master.start()
            crowd.until_all_are_gone()
            assert [first[:15] for first in crowd.heard.values()] == [b"HTTP/1.1 200 OK"] * 600
            silent.until_all_are_gone()
        assert master.wait() == 0
        assert "worker_died" not in master.log


# ### Cut off

REQUEST = POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("how", ["close", "half_close", "reset"])
def test_a_request_that_is_cut_at_any_byte_is_nobodys_trouble(target, how):
    service = target()
    with service.visited() as visitors:
        for size in range(len(REQUEST)):
            with Crowd(service.address, 1) as one:
                one.say_all(REQUEST[:size])
                if how == "half_close":
                    one.half_close()
                    one.until_all_are_gone()
                one.close(reset=how == "reset")
    assert not visitors.lost
    service.falls_asleep()


STAGES = {
    "before a word": b"",
    "in a head": b"GET / HTTP/1.1\r\nHo",
    "in a body": POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 50_000,
    "in a chunk": CHUNKED + b"fff\r\nxxx",
    "in an answer": b"GET /50000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "in the answer to many that were sent ahead": b"GET /1000000 HTTP/1.1\r\nHost: a\r\n\r\n" * 50,
    "behind an answer": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "behind a refusal": b"GET / HTTP/9.9\r\n\r\n" + b"x" * 100_000,
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_reset_at_any_stage_is_nobodys_trouble(target, stage):
    service = target()
    with service.visited() as visitors:
        for waits in (False, True):
            with Crowd(service.address, 30, deaf=True) as crowd:
                crowd.say_all(STAGES[stage])
                if waits:
                    done = len(visitors.answers) + 10
                    crowd.until(lambda done=done: len(visitors.answers) >= done or visitors.lost)
                crowd.close(reset=True)
    assert not visitors.lost
    service.falls_asleep()


def test_who_says_his_end_behind_a_request_is_answered(target):
    """By WSGI; uvicorn takes the end of a client's half for the end of the client."""
    service = target()
    for count in (1, 3):
        with Connection(service.address) as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * count)
            connection.sock.shutdown(1)
            heard = connection.sock.makefile("rb").read()
        if service.kind == "wsgi":
            assert heard.count(b"HTTP/1.1 200 OK") == count
    service.falls_asleep()
