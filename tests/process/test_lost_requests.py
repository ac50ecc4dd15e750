"""The matrix: whoever was accepted is answered, whatever he has said until then, when and why the worker is to go.

{silent, half a head, kept alive, in flight} x {sleep, SIGTERM, max_requests} for every server; what streams for ASGI.
"""

from __future__ import annotations

import signal

import pytest
from harness import eventually
from speakers import Speaker, Talk, get, options, websocket
from websockets.exceptions import ConnectionClosed

from spyglass_systemd.protocols import row as row_cells

SERVERS = ["wsgi", "asgi-h11", "asgi-httptools", "raw", "raw-async"]
ASGI = SERVERS[1:3]
THREADS = ("--workers", "1", "--threads", "8")


@pytest.fixture(params=SERVERS)
def server(request, gate):  # noqa: ARG001  # the FIFO that the talk names
    return request.param


def start(service, server, *more):
    """A Master that is awake, and has served once."""
    master = service(*THREADS, *more, *options(server)[:-1], spec=options(server)[-1])
    master.talk = Talk(server, master.directory / "gate")
    with Speaker(master).say(master.talk.whole) as first:
        master.start()
        first.until(master.talk.answer)
    eventually(lambda: [row["open"] for row in master.rows()] == [0], "the first is gone")
    return master


class Four:
    """A client of each sort, before the worker is told to go and after."""

    def __init__(self, master, *, in_flight=True):
        self._talk = talk = master.talk
        self._gate = master.directory / "gate"
        self.silent = Speaker(master)
        self.half = Speaker(master).say(talk.half)
        self.kept = Speaker(master).say(talk.whole)
        self.kept.until(talk.answer)
        self.slow = Speaker(master)
        if in_flight:
            self.slow.say(talk.slow)
            master.in_flight(4 if talk.is_raw else 1)
        master.has_open(4)

    def speak(self):
        """They go on, and are answered."""
        self.kept.say(self._talk.whole).until(self._talk.answer)
        self.half.say(self._talk.rest).until(self._talk.answer)
        self.silent.say(self._talk.whole).until(self._talk.answer)
        with self._gate.open("w"):
            pass
        self.slow.until(self._talk.slow_answer)

    def end(self):
        """HTTP says `Connection: close` and does it; a raw handler talks until its client says the end."""
        for one in (self.kept, self.half, self.silent, self.slow):
            if self._talk.is_raw:
                one.half_close()
            one.end()
            one.close()


def test_who_was_accepted_before_sigterm_is_answered(service, server):
    master = start(service, server)
    four = Four(master)
    master.signal(signal.SIGTERM)
    master.nobody_accepts()
    four.speak()
    four.end()
    assert master.wait() == 0
    assert "worker_died" not in master.log


def test_who_was_accepted_before_the_worker_is_used_up_is_answered(service, server):
    raw = server.startswith("raw")
    master = start(service, server, "--max-requests", "5" if raw else "3")  # the first, and those of the four
    four = Four(master)
    eventually(lambda: [row["state"] for row in master.rows()].count(row_cells.QUIESCING) == 1, "one retires")
    four.speak()
    four.end()
    assert "max_requests=" in master.log.until("worker_retired")
    with Speaker(master).say(master.talk.whole) as next_one:
        next_one.until(master.talk.answer)
    assert "worker_died" not in master.log


def test_who_is_accepted_when_the_app_falls_asleep_is_answered(service, server):
    """He comes when the Master has asked a worker that cannot answer."""
    master = start(service, server, "--idle", "0.4", "--log-level", "debug")
    (worker,) = master.workers
    worker.kill(signal.SIGSTOP)
    master.log.until("do=QUIESCE")
    talk = master.talk
    with Speaker(master) as silent, Speaker(master).say(talk.half) as half, Speaker(master).say(talk.whole) as whole:
        master.log.until("resumed")
        worker.kill(signal.SIGCONT)
        whole.until(talk.answer)  # he came last, so all are accepted
        half.say(talk.rest).until(talk.answer)
        silent.say(talk.whole).until(talk.answer)
    assert master.wait() == 0
    assert master.log.count("slept") == 1


def test_who_is_kept_alive_or_in_flight_is_waited_for_before_sleep(service, gate, server):
    master = start(service, server, "--idle", "0.2", "--keepalive", "0.1")
    talk = master.talk
    with Speaker(master).say(talk.slow) as slow, Speaker(master).say(talk.whole) as kept:
        kept.until(talk.answer)
        if talk.is_raw:
            kept.half_close()
        assert kept.end() == b""  # keepalive closes it, in order
        master.in_flight()
        assert "slept" not in master.log
        with gate.open("w"):
            pass
        slow.until(talk.slow_answer)
    assert master.wait() == 0
    assert "slept" in master.log


# ### What streams


@pytest.fixture(params=["SIGTERM", "max_requests"])
def going(request):
    """The options, and how a worker with two streams is told to go."""
    if request.param == "SIGTERM":
        return (), lambda master: master.signal(signal.SIGTERM)
    return ("--max-requests", "4"), lambda master: Speaker(master).say(get()).until(b"hello")


@pytest.mark.parametrize("server", ASGI)
def test_a_stream_is_ended_in_order_when_drain_is_nearly_over(service, server, going):
    more, go = going
    master = start(service, server, "--drain", "1.5", *more)
    with Speaker(master).say(get("/sse")) as sse, websocket(master) as ws:
        sse.until(b"data: hello\n\n")
        ws.send("hello")
        assert ws.recv() == "hello"
        master.in_flight(2)
        go(master)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv()
        assert caught.value.rcvd.code == 1012
        assert sse.end() == b"\r\n0\r\n\r\n"
    if not more:
        assert master.wait() == 0
    else:
        master.log.until("worker_retired")
    assert "worker_died" not in master.log


@pytest.mark.parametrize("server", ASGI)
def test_a_stream_goes_on_while_drain_lasts(service, gate, server, going):
    more, go = going
    master = start(service, server, *more)
    with Speaker(master).say(get(f"/sse?{gate}")) as sse, websocket(master) as ws:
        sse.until(b"data: hello\n\n")
        ws.send("hello")
        assert ws.recv() == "hello"
        go(master)
        eventually(lambda: row_cells.QUIESCING in [row["state"] for row in master.rows()], "one retires")
        ws.send("still here")
        assert ws.recv() == "still here"
        with gate.open("w"):
            pass
        sse.until(b"data: bye\n\n")
        assert sse.end() == b"\r\n0\r\n\r\n"
    if not more:
        assert master.wait() == 0
    else:
        master.log.until("worker_retired")
    assert "worker_died" not in master.log
