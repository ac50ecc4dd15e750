"""What keeps an app awake though nobody asks anything, and what ends it: streams, background tasks, leases."""

from __future__ import annotations

import contextlib
import signal

import pytest
from harness import eventually, take_time
from speakers import Speaker, get, websocket
from websockets.exceptions import ConnectionClosed

from spyglass_systemd.protocols import row as row_cells

IDLE = 0.1


def woken(service, *more, spec="pushy:app"):
    """A Master that has served once, and sleeps as soon as it may."""
    master = service("--workers", "1", "--idle", str(IDLE), *more, spec=spec)
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        first.end()
    return master


class Held:
    """What holds the app awake, from its beginning to `let_go`."""

    def __init__(self, service, gate, how):
        self.gate = gate
        self.opened = contextlib.ExitStack()
        # The first visitor is the one who holds, so that the app has no time to sleep before he comes.
        self.master = master = service("--workers", "1", "--idle", str(IDLE), spec="pushy:app")
        target = {
            "websocket": "/",
            "sse": "/sse",
            "stream": f"/sse?{gate}",
            "request": f"/wait?{gate}",
            "background": f"/background?{gate}",
            "lease": f"/lease?{gate}",
        }[how]
        self.connection = Speaker(master).say(get(target, close=how in ("background", "lease")))
        self.how = how
        master.start()
        if how == "websocket":
            self.websocket = self.opened.enter_context(websocket(master))
            self.connection.close()
            self.websocket.send("x")
            self.websocket.recv()
        elif how in ("background", "lease"):
            self.connection.end()
            self.connection.close()
        elif how != "request":
            self.connection.until(b"data: hello\n\n")

    def let_go(self):
        if self.how == "websocket":
            self.opened.close()
        elif self.how != "sse":
            with self.gate.open("w"):
                pass
        self.connection.close()


@pytest.mark.parametrize("how", ["websocket", "sse", "stream", "request", "background", "lease"])
def test_what_lasts_keeps_the_app_awake_and_then_it_sleeps(service, gate, how):
    held = Held(service, gate, how)
    take_time(10 * IDLE)
    assert "slept" not in held.master.log
    assert held.master.process.poll() is None
    held.let_go()
    assert held.master.wait() == 0
    assert "slept" in held.master.log
    assert " shutdown" in held.master.log


# ### Leases


def test_status_says_which_lease_keeps_the_app_awake(service, gate):
    held = Held(service, gate, "lease")
    held.master.letters.until("kept awake by lease report")
    held.let_go()
    assert held.master.wait() == 0


def test_a_lease_of_a_thread_is_held_until_the_thread_is_done(service, gate):
    """In a WSGI worker."""
    master = service("--workers", "1", "--idle", "0.2")
    work = f"""
import threading
from spyglass_systemd import keep_awake
held = threading.Event()
def work():
    with keep_awake('import job'):
        held.set()
        open({str(gate)!r}).close()
threading.Thread(target=work).start()
held.wait()
say('began')
"""
    with master.start(waiting=work) as first:
        first.read()
    master.letters.until("kept awake by lease import job")
    assert "slept" not in master.log
    with gate.open("w"):
        pass
    assert master.wait() == 0
    master.log.until("slept")


def test_a_lease_dies_with_its_process(service):
    master = service("--workers", "1", "--idle", "0.3")
    with master.start(waiting="from spyglass_systemd import keep_awake; KEPT.append(keep_awake('for ever'))") as first:
        first.read()
    master.letters.until("kept awake by lease for ever")
    (worker,) = master.workers
    worker.kill()
    master.log.until("worker_died")
    assert master.wait() == 0
    master.log.until("slept")


def test_a_worker_that_is_used_up_leaves_when_its_lease_is_over(service, gate):
    master = service("--workers", "1", "--max-requests", "1", spec="pushy:app")
    with Speaker(master).say(get(f"/lease?{gate}", close=True)) as first:
        master.start()
        first.end()
    eventually(lambda: row_cells.QUIET in [row["state"] for row in master.rows()], "it is quiet")
    assert "worker_retired" not in master.log
    with gate.open("w"):
        pass
    master.log.until("worker_retired")
    assert "worker_died" not in master.log


# ### max_stream_idle


def test_a_websocket_that_carries_nothing_is_closed_with_1001_and_the_app_sleeps(service):
    master = woken(service, "--idle", "0.5", "--max-stream-idle", "0.2")
    with websocket(master) as ws:
        ws.send("x")
        assert ws.recv() == "x"
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv()
        assert caught.value.rcvd.code == 1001
    assert master.wait() == 0
    master.log.until("slept")
    assert "Traceback" not in master.log


def test_a_stream_that_carries_nothing_is_ended_in_order_and_the_app_sleeps(service):
    master = woken(service, "--idle", "0.5", "--max-stream-idle", "0.2")
    with Speaker(master).say(get("/sse")) as sse:
        sse.until(b"data: hello\n\n")
        assert sse.end() == b"\r\n0\r\n\r\n"
    assert master.wait() == 0
    master.log.until("slept")
    assert "Traceback" not in master.log


def test_a_websocket_that_carries_something_now_and_then_is_left_open(service):
    master = woken(service, "--idle", "0.5", "--max-stream-idle", "0.5")
    with websocket(master) as ws:
        for _ in range(8):
            take_time(0.1)
            ws.send("x")
            assert ws.recv() == "x"


def test_a_request_that_is_not_answered_yet_is_no_idle_stream(service, gate):
    master = woken(service, "--idle", "0.5", "--max-stream-idle", "0.1")
    with Speaker(master).say(get(f"/wait?{gate}")) as slow:
        take_time(0.5)
        with gate.open("w"):
            pass
        slow.until(b"hello")


@pytest.mark.parametrize("handler", ["handler", "stream"])
def test_a_raw_connection_that_says_nothing_is_closed(service, handler):
    master = service("--workers", "1", "--kind", "raw", "--max-stream-idle", "0.2", spec=f"lines:{handler}")
    with Speaker(master).say(b"hello\n") as one:
        master.start()
        one.until(b"hello\n")
        assert one.end() == b""
    assert master.stop() == 0
    assert "failed" not in master.log


def test_many_streams_of_two_workers_end_as_one_does(service):
    master = service("--workers", "2", "--drain", "1.5", spec="pushy:app")
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        first.end()
    master.all_accept(2)
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(Speaker(master).say(get("/sse"))) for _ in range(10)]
        sockets = [opened.enter_context(websocket(master)) for _ in range(10)]
        for stream in streams:
            stream.until(b"data: hello\n\n")
        master.in_flight(20)
        master.signal(signal.SIGTERM)
        for stream in streams:
            assert stream.end() == b"\r\n0\r\n\r\n"
        for ws in sockets:
            with pytest.raises(ConnectionClosed, match="1012"):
                ws.recv()
    assert master.wait() == 0
    assert "worker_died" not in master.log
