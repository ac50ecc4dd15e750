"""What the gate asks of the loop: stop accepting, answer everybody, say so, go."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest
from wsgi_worker import serving

from spyglass_systemd.backends.base import FINAL, LAST_CALL, PAUSE
from spyglass_systemd.words.reports import Greeted, Quiesced, Stirred

ON_ITS_WAY = 0.3  # seconds that a request may be late: the requirement itself names them


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def wait_for_quiet(worker, number):
    report = worker.hear(Quiesced)
    assert report.number == number
    return report


def test_nobody_is_there(threads):
    with serving(hello, threads=threads) as worker:
        report = wait_for_quiet(worker, worker.quiesce(PAUSE))
        assert (report.accepted, report.answered) == (0, 0)


def test_the_first_connection_is_told_of():
    with serving(hello) as worker:
        for _ in range(2):
            worker.ask()
        assert worker.hear(Greeted).listener == "http"
        assert not [report for report in worker.reports if isinstance(report, Greeted)]


# ### The three clients whom servers forget


def test_a_client_that_has_not_said_anything_yet_is_answered(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        worker.eventually(lambda: worker.row.open == 1)
        number = worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        time.sleep(ON_ITS_WAY)
        client.get()
        response = client.response()
        assert (response.code, response.header("Connection")) == (200, "close")
        assert client.is_at_its_end()
        client.socket.close()
        assert wait_for_quiet(worker, number).answered == 1
        worker.stop()
        assert worker.status == 0


def test_a_client_in_the_middle_of_a_head_is_answered(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        client.send(b"GET / HT")
        worker.eventually(lambda: worker.row.open == 1)
        worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        time.sleep(ON_ITS_WAY)
        client.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        response = client.response()
        assert (response.code, response.header("Connection")) == (200, "close")
        assert client.is_at_its_end()


def test_a_client_between_two_requests_is_answered(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        client.get()
        assert client.response().header("Connection") is None
        worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        time.sleep(ON_ITS_WAY)
        client.get()
        response = client.response()
        assert (response.code, response.header("Connection")) == (200, "close")
        assert client.is_at_its_end()


def test_a_client_whose_answer_is_on_its_way_gets_all_of_it(threads, tmp_path):
    os.mkfifo(tmp_path / "go")

    def app(_environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        yield b"hello"
        (tmp_path / "go").read_bytes()
        yield b"world"

    with serving(app, threads=threads) as worker, worker.connect() as client:
        client.get()
        assert client.head().code == 200
        assert client.exactly(5) == b"hello"
        number = worker.quiesce(FINAL)
        (tmp_path / "go").write_bytes(b"x")
        assert client.exactly(5) == b"world"
        assert client.is_at_its_end()
        client.socket.close()
        assert wait_for_quiet(worker, number).answered == 1


def test_a_client_that_keeps_a_connection_open_is_let_go_after_a_second(threads):
    with serving(hello, threads=threads, keepalive=60.0) as worker, worker.connect() as client:
        client.get()
        client.response()
        number = worker.quiesce(FINAL)
        assert client.is_at_its_end()
        assert worker.row.open == 1, "it is not over until the client has heard"
        client.socket.close()
        wait_for_quiet(worker, number)


def test_pipelined_requests_are_all_answered_before_the_end(threads):
    """The first answer says that it is the last; what comes behind it is the client's to ask again (RFC 9112, 9.6)."""
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        worker.eventually(lambda: worker.row.open == 1)
        worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        assert client.response().header("Connection") == "close"
        assert client.is_at_its_end()


# ### Pause and resume


def test_a_pause_leaves_the_backlog_alone_until_it_is_over(threads):
    with serving(hello, threads=threads) as worker:
        wait_for_quiet(worker, worker.quiesce(PAUSE))
        with worker.connect() as client:
            client.get()
            worker.resume()
            assert client.response().header("Connection") is None
            assert worker.row.accepted == 1


def test_a_pause_with_somebody_there_is_told_of_and_changes_nothing_for_him(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        client.get()
        client.response()
        number = worker.quiesce(PAUSE)
        assert worker.hear(Stirred).number == number
        client.get()
        assert client.response().header("Connection") is None
        worker.resume()
        assert worker.ask().code == 200


def test_only_what_was_accepted_counts_for_quiet(threads):
    with serving(hello, threads=threads) as worker:
        number = worker.quiesce(PAUSE)
        wait_for_quiet(worker, number)
        with worker.connect() as client:
            client.get()
            number = worker.quiesce(PAUSE)
            assert wait_for_quiet(worker, number).accepted == 0
            worker.resume()
            assert client.response().code == 200
            assert worker.row.accepted == 1


# ### No way back


def test_a_last_call_serves_the_backlog(threads):
    with serving(hello, threads=threads) as worker, contextlib.ExitStack() as stack:
        wait_for_quiet(worker, worker.quiesce(PAUSE))
        clients = [stack.enter_context(worker.connect()) for _ in range(20)]
        for client in clients:
            client.get()
        number = worker.quiesce(LAST_CALL)
        for client in clients:
            assert client.response().header("Connection") == "close"
            client.socket.close()
        report = wait_for_quiet(worker, number)
        assert (report.accepted, report.answered) == (20, 20)
        worker.stop()


def test_a_final_quiesce_leaves_the_backlog_to_others(threads):
    with serving(hello, threads=threads) as worker, contextlib.ExitStack() as stack:
        wait_for_quiet(worker, worker.quiesce(PAUSE))
        for _ in range(20):
            stack.enter_context(worker.connect()).get()
        report = wait_for_quiet(worker, worker.quiesce(FINAL))
        assert (report.accepted, report.answered) == (0, 0)
        worker.stop()


def test_the_address_is_free_when_there_is_no_way_back(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        worker.eventually(lambda: worker.row.open == 1)
        worker.quiesce(FINAL)
        worker.eventually(lambda: worker.row.state == 3)
        worker.socket.close()  # the test was the other holder
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(worker.address)
        client.get()
        assert client.response().code == 200


def test_an_orphan_answers_everybody_and_goes(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        worker.eventually(lambda: worker.row.open == 1)
        worker.channel.close()
        worker.eventually(lambda: worker.row.state == 3)
        client.get()
        assert client.response().header("Connection") == "close"
        client.socket.close()
        worker.wait()
        assert worker.status == 0
        worker.is_balanced()


def test_stop_does_not_wait(threads):
    with serving(hello, threads=threads) as worker, worker.connect() as client:
        client.send(b"GET /")
        worker.eventually(lambda: worker.row.open == 1)
        worker.stop()
        assert worker.status == 0


def test_an_idle_worker_sleeps():
    """No wake-ups while nothing happens: the processor's clock for it stands still."""
    with serving(hello) as worker:
        worker.ask()

        def switches():
            lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
            return next(line for line in lines if line.startswith("voluntary"))

        worker.eventually(lambda: worker.row.open == 0)
        before = switches()
        time.sleep(ON_ITS_WAY)  # nothing is waited for: that nothing happens is what is tested
        assert switches() == before


def test_who_is_told_to_leave_in_the_turn_it_was_woken_for_a_visitor_takes_him(tmp_path):
    """The kernel wakes one worker for each connection; it has told this one, and no other would hear of it."""
    os.mkfifo(tmp_path / "gate")

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            (tmp_path / "gate").open().close()
        return hello(environ, start_response)

    with serving(app) as worker, worker.connect() as busy, worker.connect() as visitor:
        busy.get("/wait")
        worker.eventually(lambda: worker.row.busy_since_ns)
        visitor.get()
        number = worker.quiesce(FINAL)
        with (tmp_path / "gate").open("w"):
            pass
        assert busy.response().code == 200
        assert visitor.response().code == 200
        busy.socket.close()
        visitor.socket.close()
        assert wait_for_quiet(worker, number).answered == 2
        worker.stop()
