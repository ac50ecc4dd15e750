"""Clients that are slow, silent, greedy or gone: each is his own problem, and the books stay balanced."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import threading
import time
from pathlib import Path

import pytest
from wsgi_worker import LIMIT, serving

from spyglass_systemd.words.reports import Said


@pytest.fixture(params=[1, 4], ids=["inline", "pool"])
def threads(request):
    return request.param


def hello(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


PIECE = b"0123456789abcdef" * 4096


def large(environ, start_response):
    """As many pieces of 64 KiB as the path says, each when it is asked for."""
    count = int(environ["PATH_INFO"][1:] or 0)
    start_response("200 OK", [("Content-Length", str(count * len(PIECE)))])
    return (PIECE for _ in range(count))


def test_nobody_waits_for_those_who_say_nothing(threads):
    with serving(hello, threads=threads) as worker, contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(worker.connect())
        assert worker.ask().body == b"hello"
        worker.eventually(lambda: worker.row.accepted == 501)
        assert worker.row.open >= 500
        stack.close()
        worker.eventually(lambda: worker.row.open == 0)


def test_nobody_waits_for_those_who_say_little(threads):
    with serving(hello, threads=threads) as worker, contextlib.ExitStack() as stack:
        for beginning in (b"G", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nhell"):
            for _ in range(5):
                stack.enter_context(worker.connect()).send(beginning)
        assert worker.ask().body == b"hello"


def test_nobody_waits_for_those_who_do_not_read(threads):
    with serving(large, threads=threads) as worker, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(worker.connect(small=True)) for _ in range(5)]
        for client in slow:
            client.get("/200")
        worker.eventually(lambda: worker.row.requests == 5)
        assert worker.ask(b"GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").body == PIECE
        worker.eventually(lambda: worker.row.in_flight == 5)
        for client in slow:
            assert client.response().body == PIECE * 200


def test_an_app_whose_client_is_slow_is_not_busy():
    with serving(large) as worker, worker.connect(small=True) as client:
        client.get("/2000")
        worker.eventually(lambda: worker.row.in_flight == 1 and worker.row.busy_since_ns == 0)
        client.socket.close()
        worker.eventually(lambda: worker.row.open == 0)


def test_a_thread_waits_for_its_client_only_where_far_too_much_waits():
    def little():
        from spyglass_systemd.backends.wsgi import shared

        shared._FULL = 1 << 20

    with serving(large, threads=2, prepare=little) as worker, worker.connect(small=True) as client:
        client.get("/500")
        worker.eventually(lambda: worker.row.in_flight == 1 and worker.row.busy_since_ns == 0)
        assert worker.ask(b"GET /1 HTTP/1.0\r\n\r\n").body == PIECE
        assert client.response().body == PIECE * 500
        client.get("/500")
        worker.eventually(lambda: worker.row.requests == 3)
        client.socket.close()
        worker.eventually(lambda: worker.row.open == 0)


def test_an_iterable_is_asked_only_for_what_its_client_takes():
    reader, writer = os.pipe()

    def app(_environ, start_response):
        start_response("200 OK", [])
        for _ in range(10_000):
            os.write(writer, b".")
            yield PIECE

    with serving(app) as worker, worker.connect(small=True) as client:
        client.get()
        client.head()
        worker.eventually(lambda: worker.row.in_flight == 1 and worker.row.busy_since_ns == 0)
        taken = len(os.read(reader, 1 << 20))
        assert taken * len(PIECE) < 16 << 20  # what the kernel keeps for a client, and a little
    os.close(reader)
    os.close(writer)


def test_calls_that_wait_run_side_by_side_and_no_more_than_there_are_threads():
    """Four that wait for each other; a fifth that waits for nobody comes after them."""
    together = threading.Barrier(4)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/meet":
            together.wait(LIMIT)
        start_response("200 OK", [])
        return [threading.current_thread().name.encode()]

    with serving(app, threads=4) as worker, contextlib.ExitStack() as stack:
        four = [stack.enter_context(worker.connect()) for _ in range(4)]
        fifth = stack.enter_context(worker.connect())
        for client in four:
            client.get("/meet")
        for client in four:
            assert client.response().code == 200
        for client in four[:3]:
            client.get("/meet")
        worker.eventually(lambda: worker.row.in_flight == 3 and worker.row.requests == 7)
        fifth.get("/")
        fifth.response()
        four[3].get("/meet")
        names = {client.response().body for client in four}
        assert len(names) == 4


def test_calls_that_do_not_wait_are_answered_by_one_thread_after_another():
    def app(_environ, start_response):
        start_response("200 OK", [])
        return [b"x"]

    with serving(app, threads=4) as worker, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(worker.connect()) for _ in range(50)]
        for _ in range(5):
            for client in clients:
                client.get()
            for client in clients:
                assert client.response().body == b"x"


def test_an_app_that_yields_for_ever_lets_others_have_their_turn(threads):
    def app(environ, start_response):
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/ever":
            return [b"hello"]
        return iter(lambda: b"x", None)

    with serving(app, threads=threads) as worker, worker.connect() as greedy:
        greedy.get("/ever")
        greedy.head()
        done = threading.Event()

        def read():
            with contextlib.suppress(OSError):
                while not done.is_set() and greedy.socket.recv(1 << 20):
                    pass

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(3):
                assert worker.ask().body == b"hello"
        finally:
            done.set()
            reader.join()
        greedy.reset()
        worker.eventually(lambda: worker.row.open == 0)


def test_suspended_iterables_do_not_see_each_others_context():
    import contextvars

    current = contextvars.ContextVar("current")

    def app(environ, start_response):
        start_response("200 OK", [])
        path = environ["PATH_INFO"]
        token = current.set(path)
        for _ in range(100):
            assert current.get() == path
            yield PIECE
        current.reset(token)
        yield b"well"

    with serving(app) as worker, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(worker.connect(small=True)) for _ in range(3)]
        for n, client in enumerate(clients):
            client.get(f"/{n}", close=True)
        worker.eventually(lambda: worker.row.requests == 3)
        for client in clients:
            assert client.response().body == PIECE * 100 + b"well"
        assert worker.said == ""


# ### Times


def test_who_says_nothing_is_let_go_without_a_word():
    with serving(hello, header_timeout=0.1) as worker, worker.connect() as client:
        assert client.is_at_its_end()


def test_who_stops_in_the_middle_of_a_head_gets_a_408():
    with serving(hello, header_timeout=0.1) as worker, worker.connect() as client:
        client.send(b"GET / HT")
        response = client.response()
        assert (response.code, response.header("Connection")) == (408, "close")
        assert client.is_at_its_end()


def test_who_stops_in_the_middle_of_a_head_that_wants_no_body_gets_none():
    with serving(hello, header_timeout=0.1) as worker, worker.connect() as client:
        client.send(b"HEAD / HT")
        assert client.response("HEAD").code == 408
        assert client.is_at_its_end()


def test_a_head_that_never_ends_gets_a_408_however_busy_it_is():
    with serving(hello, header_timeout=0.3) as worker, worker.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n")
        while not select.select([client.socket], [], [], 0.01)[0]:
            client.send(b"A")
        assert client.response().code == 408


def test_a_body_that_stops_gets_a_408():
    with serving(hello, header_timeout=0.1) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello")
        assert client.response().code == 408


def test_a_body_that_takes_its_time_is_waited_for():
    """Three times the limit, at a good rate."""
    with serving(hello, header_timeout=0.1) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
        end = time.monotonic() + 0.3
        sent = 0
        while time.monotonic() < end:
            client.send(bytes(500))
            sent += 500
            assert not select.select([client.socket], [], [], 0.01)[0], client.to_the_end()
        client.send(bytes(60_000 - sent))
        assert client.response().code == 200


def test_a_connection_that_is_not_used_is_closed():
    with serving(hello, keepalive=0.1) as worker, worker.connect() as client:
        client.get()
        client.response()
        assert client.is_at_its_end()


def test_a_client_that_takes_nothing_is_given_up(threads):
    with serving(large, threads=threads, write_timeout=0.1) as worker, worker.connect(small=True) as client:
        client.get("/2000")
        worker.eventually(lambda: worker.row.open == 0 and worker.row.accepted == 1)
        assert worker.ask(b"GET /1 HTTP/1.0\r\n\r\n").code == 200


def drip(worker, client, pause=0.01):
    """Read a little of the answer at a time, until the server has had enough."""
    client.get("/2000")
    client.head()
    with contextlib.suppress(ConnectionResetError):
        while worker.row.open and client.socket.recv(4096):
            time.sleep(pause)


def test_a_client_that_takes_little_by_little_for_ever_is_given_up(threads):
    """It is never still for write_timeout, and never as fast as min_rate."""
    with serving(large, threads=threads, write_timeout=0.2, min_rate=1 << 30) as worker:
        with worker.connect(small=True) as client:
            drip(worker, client)
            worker.eventually(lambda: worker.row.open == 0)
        assert worker.ask(b"GET /1 HTTP/1.0\r\n\r\n").code == 200


def test_a_client_that_takes_less_than_min_rate_is_given_up_though_it_takes_without_a_pause(threads):
    """The whole answer is there at once, and epoll has something to tell again and again within write_timeout."""

    def app(_environ, start_response):
        start_response("200 OK", [])
        return [PIECE] * 1000

    with serving(app, threads=threads, write_timeout=0.5, min_rate=1 << 30) as worker:
        with worker.connect() as client:
            client.get(close=True)
            client.head()
            seen = 0
            with contextlib.suppress(ConnectionResetError):
                while data := client.socket.recv(200_000):
                    seen += len(data)
                    time.sleep(0.005)  # what makes him slow: 40 MB a second at most, of a GiB
            assert seen < 900 * len(PIECE)
        worker.eventually(lambda: worker.row.open == 0)


def test_a_client_that_takes_its_time_gets_all(threads):
    with serving(large, threads=threads, write_timeout=0.2, min_rate=1000) as worker:
        with worker.connect(small=True) as client:
            client.get("/40")
            client.head()
            end = time.monotonic() + 0.6
            body = client.exactly(1000)
            while time.monotonic() < end:
                body += client.exactly(20_000)
                time.sleep(0.01)
            body += client.exactly(40 * len(PIECE) - len(body))
        assert body == PIECE * 40


def test_a_body_that_drips_gets_a_408():
    with serving(hello, header_timeout=0.3, min_rate=1 << 20) as worker, worker.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        while not select.select([client.socket], [], [], 0.01)[0]:
            client.send(b"A")
        assert client.response().code == 408


# ### Numbers


def test_no_more_connections_are_held_than_max_connections_and_the_next_waits_in_the_backlog(threads):
    with serving(hello, threads=threads, max_connections=3) as worker, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(worker.connect()) for _ in range(5)]
        for client in clients:
            client.get()
        for client in clients[:3]:
            assert client.response().code == 200
        assert (worker.row.accepted, worker.row.open) == (3, 3)
        said = worker.hear(Said)
        assert (said.event, said.level) == ("full", 4)
        worker.quiesce(0)
        worker.resume()
        clients[2].get()
        assert clients[2].response().code == 200
        assert worker.row.accepted == 3, "what the Master says lets nobody in"
        clients[0].socket.close()
        assert clients[3].response().code == 200
        assert worker.row.accepted == 4
        clients[1].socket.close()
        assert clients[4].response().code == 200
        assert not [report for report in worker.reports if isinstance(report, Said)]


def test_a_sibling_serves_whom_a_full_worker_cannot():
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(serving(hello, max_connections=1))
        two = stack.enter_context(serving(hello, max_connections=1, listener=one.socket))
        clients = [stack.enter_context(one.connect()) for _ in range(2)]
        for client in clients:
            client.get()
            assert client.response().code == 200
        assert (one.row.open, two.row.open) == (1, 1)


def test_who_is_in_the_backlog_of_a_full_worker_is_served_when_it_leaves():
    with serving(hello, max_connections=1) as worker, worker.connect() as first, worker.connect() as second:
        first.get()
        assert first.response().code == 200
        second.get()
        worker.quiesce(2)  # the last call
        assert second.response().code == 200


def test_a_connection_ends_after_max_pipelined_requests_that_were_sent_ahead(threads):
    with serving(hello, threads=threads, max_pipelined=3) as worker:
        with worker.connect() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
            answers = [client.response() for _ in range(4)]
            assert [answer.header("Connection") for answer in answers] == [None, None, None, "close"]
            assert client.is_at_its_end()
        with worker.connect() as client:
            for _ in range(10):
                client.get()
                assert client.response().header("Connection") is None
        assert worker.end().answered == 14


# ### The end of a connection


def test_an_answer_reaches_a_client_that_is_still_sending(threads):
    """30 MB of a body that was refused: none of it may turn the answer into a reset connection."""
    with serving(hello, threads=threads, body_limit=1000) as worker:
        for _ in range(5):
            with worker.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
                sender = threading.Thread(target=client.send, args=(bytes(30_000_000),))
                sender.start()
                sender.join()
                assert client.response().code == 413
                assert client.is_at_its_end()


def test_what_follows_a_last_request_does_not_harm_its_answer(threads):
    with serving(hello, threads=threads) as worker:
        for _ in range(20):
            with worker.connect() as client:
                client.send(b"GET / HTTP/1.0\r\n\r\n" + bytes(100_000))
                assert client.response().body == b"hello"
                assert client.is_at_its_end()


def test_a_client_that_never_closes_is_not_waited_for_for_ever():
    def brief():
        from spyglass_systemd.backends.wsgi import farewell

        farewell.SILENCE = 0.1

    with serving(hello, prepare=brief) as worker, worker.connect() as client:
        client.send(b"GET /\r\n\r\n")
        assert client.response().code == 400
        worker.eventually(lambda: worker.row.open == 0)


def test_the_end_reaches_a_client_though_a_child_of_the_app_has_the_connection(threads):
    def app(_environ, start_response):
        if not os.fork():
            os.close(held[1])
            os.read(held[0], 1)
            os._exit(0)
        start_response("200 OK", [])
        return [b"hello"]

    held = os.pipe()
    try:
        with serving(app, threads=threads) as worker, worker.connect() as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            assert client.to_the_end().endswith(b"hello")
            client.socket.close()
            assert worker.ask().code == 200  # nothing stale is left in epoll
            worker.end()
    finally:
        for end in held:
            os.close(end)


# ### Books


def mess(worker):
    """Clients that go at every odd moment."""
    yes = b"POST /5 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    beginnings = [
        b"",
        b"\r\n",
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"GET /\r\n\r\n",
        yes[:-3],
        yes,
        yes + yes,
        yes + b"G",
        yes + b"GET /\r\n\r\n",
        b"GET /100 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /1 HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: " + bytes(9000),
    ]
    for beginning in beginnings:
        for read in (0, 1, 100):
            for go in ("close", "reset", "half_close", "shutdown"):
                client = worker.connect(small=True)
                with contextlib.suppress(OSError):
                    client.send(beginning)
                    if read and beginning.endswith(b"\r\n\r\n"):
                        client.socket.recv(read)
                    if go == "reset":
                        client.reset()
                    elif go == "half_close":
                        client.half_close()
                    elif go == "shutdown":
                        client.socket.shutdown(socket.SHUT_RDWR)
                client.socket.close()


def test_the_books_are_balanced_after_a_mess(threads):
    with serving(large, threads=threads, header_timeout=1.0) as worker:
        assert worker.ask(b"GET /1 HTTP/1.0\r\n\r\n").body == PIECE
        worker.eventually(lambda: worker.row.open == 0)
        before = worker.descriptors()  # with those of whoever forked it: the test runner
        mess(worker)
        worker.eventually(lambda: worker.row.open == 0)
        assert worker.ask(b"GET /1 HTTP/1.0\r\n\r\n").body == PIECE
        worker.eventually(lambda: worker.row.open == 0)
        worker.is_balanced()
        assert worker.row.accepted > 150
        said = [line for line in worker.said.splitlines() if "Error" in line]
        assert all(line.startswith("ValueError: invalid literal for int()") for line in said), said
        assert worker.descriptors() <= before


def test_an_iterable_is_closed_when_its_client_goes(threads):
    reader, writer = os.pipe()

    class Body:
        def __iter__(self):
            return self

        def __next__(self):
            return PIECE

        def close(self):
            os.write(writer, b"c")

    def app(_environ, start_response):
        start_response("200 OK", [])
        return Body()

    with serving(app, threads=threads) as worker:
        for go in ("reset", "close"):
            client = worker.connect()
            client.get()
            client.head()
            client.reset() if go == "reset" else client.socket.close()
            assert select.select([reader], [], [], LIMIT)[0]
            assert os.read(reader, 10) == b"c"
        worker.eventually(lambda: worker.row.open == 0)
    os.close(reader)
    os.close(writer)


# ### Descriptors


def test_without_descriptors_it_serves_on_and_says_so_once():
    def few():
        """Room for ten more, whatever this process has inherited from ours."""
        taken = {int(fd.name) for fd in Path("/proc/self/fd").iterdir()}
        limit = [fd for fd in range(100 + len(taken)) if fd not in taken][10]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    with serving(hello, prepare=few) as worker, contextlib.ExitStack() as stack:
        first = stack.enter_context(worker.connect())
        first.get()
        first.response()
        clients = [stack.enter_context(worker.connect()) for _ in range(30)]
        said = worker.hear(Said)
        assert (said.event, said.level) == ("exhausted", 3)
        assert "Too many open files" in said.text
        first.get()
        assert first.response().body == b"hello"
        for client in clients:
            client.get(close=True)
            assert client.response().body == b"hello"
            client.socket.close()
        assert not [report for report in worker.reports if isinstance(report, Said)]


def test_a_body_that_cannot_be_kept_is_refused_and_told():
    def small():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with serving(hello, prepare=small, spool=1000) as worker:
        with worker.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000))
            assert client.response().code == 503
        assert worker.hear(Said).event == "spool_full"
        assert worker.ask().code == 200


def test_two_workers_share_a_listener():
    """Whoever is busy leaves the rest of the backlog to the other."""
    reader, writer = os.pipe()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/wait":
            os.read(reader, 1)
        start_response("200 OK", [])
        return [str(os.getpid()).encode()]

    with serving(app) as one, serving(app, listener=one.socket) as two, one.connect() as waiting:
        waiting.get("/wait")
        one.eventually(lambda: one.row.busy_since_ns or two.row.busy_since_ns)
        busy, free = (one, two) if one.row.busy_since_ns else (two, one)
        for _ in range(20):
            assert one.ask().body == str(free.pid).encode()
        os.write(writer, b"x")
        assert waiting.response().body == str(busy.pid).encode()
    os.close(reader)
    os.close(writer)
