"""The fuse, with real sockets: what a client of a broken app sees, whatever it does."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from spyglass_systemd.processes import fuse as module
from spyglass_systemd.processes.alarm import Alarm
from spyglass_systemd.processes.fuse import Fuse
from spyglass_systemd.words.listener import AF_INET, AF_UNIX, Listener

LIMIT = 20.0  # seconds for anything here
PATIENCE = 1000.0  # seconds: nobody's is over but by `expire`
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\0\x09\0\x50"  # a PROXY header for 192.0.2.1
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close(2) sends RST


class Port:
    """A listener, the fuse behind it, and the loop that a Master is."""

    def __init__(self, *socks, raw=()):
        self.socks = socks
        listeners = tuple(Listener(s.fileno(), "", s.family, s.getsockname()) for s in socks)
        self.fuse = Fuse(listeners, PATIENCE, frozenset(socks[index].fileno() for index in raw))
        self.alarm = Alarm()
        self.turns = 0

    def connect(self, index=0):
        client = socket.socket(self.socks[index].family)
        client.settimeout(LIMIT)
        client.connect(self.socks[index].getsockname())
        return client

    def turn(self, timeout_ms=20.0):
        """Whatever is ready has its say."""
        self.turns += 1
        self.alarm.reset()
        sources = self.fuse.sources()
        if self.fuse.accepts(self.alarm):
            sources |= {sock.fileno(): (select.POLLIN, self.fuse.accept) for sock in self.socks}
        poll = select.poll()
        for fd, (events, _) in sources.items():
            poll.register(fd, events)
        for fd, _ in poll.poll(timeout_ms):
            sources[fd][1]()

    def run(self, until):
        deadline = time.monotonic() + LIMIT
        while not until():
            assert time.monotonic() < deadline
            self.turn()

    def settle(self):
        """Until there is nothing more to do."""
        self.turn(0)
        self.turn(0)

    def answer(self, client):
        """Everything that the client is sent until the end."""
        data = []
        client.setblocking(False)

        def ended():
            with contextlib.suppress(BlockingIOError):
                while part := client.recv(65536):
                    data.append(part)
                return True
            return False

        self.run(ended)
        return b"".join(data)

    def ask(self, request, index=0):
        with self.connect(index) as client:
            client.sendall(request)
            return self.answer(client)


@pytest.fixture
def sock():
    with socket.create_server(("127.0.0.1", 0), backlog=128) as sock:
        sock.setblocking(False)
        yield sock


@pytest.fixture
def port(sock):
    """And nothing may be left of it."""
    gc.collect()  # what an earlier test has left
    before = descriptors()
    port = Port(sock)
    yield port
    port.fuse.close()
    assert port.fuse.open == 0
    assert descriptors() <= before


def descriptors():
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def refused(answer):
    return answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")


def split(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    return status, dict(field.lower().split(": ", 1) for field in fields), body


# ### The answer


def test_a_request_is_answered_with_503_that_says_when_to_come_again(port):
    port.fuse.retry_at = time.monotonic() + 60
    assert split(port.ask(REQUEST))[1]["retry-after"] in {"59", "60"}
    port.fuse.retry_at = 0.0  # it is tried just now
    status, fields, body = split(port.ask(REQUEST))
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert fields["retry-after"] == "1"
    assert fields["cache-control"] == "no-store"
    assert fields["connection"] == "close"
    assert b"not available" in body
    assert port.fuse.refused == 2


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (b"text/html,application/xhtml+xml,*/*;q=0.8", "text/html; charset=utf-8"),
        (b"application/json", "application/json"),
        (b"*/*", "text/plain; charset=utf-8"),
    ],
)
def test_the_answer_is_in_the_clients_own_format(port, accept, media_type):
    request = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: " + accept + b"\r\n\r\n"
    assert split(port.ask(request))[1]["content-type"] == media_type
    assert split(port.ask(b"PROXY TCP4 192.0.2.1 192.0.2.2 9 80\r\n" + request))[1]["content-type"] == media_type
    assert split(port.ask(V2 + request))[1]["content-type"] == media_type


def test_a_head_request_gets_a_head_alone(port):
    status, fields, body = split(port.ask(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert status == "HTTP/1.1 503 Service Unavailable"
    assert int(fields["content-length"]) > 0
    assert body == b""


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"UPDATEREDIRECTREF /x HTTP/1.1\nHost: x\n\n",  # the longest method there is, and a bare LF
        b"GET /" + b"x" * 8000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * 100_000 + b"\r\n\r\n",
        REQUEST * 3,  # one answer, and the end
    ],
    ids=["1.0", "options", "long-method", "long-target", "long-head", "pipelined"],
)
def test_whatever_looks_like_a_request_gets_one_answer(port, request_):
    answer = port.ask(request_)
    assert refused(answer)
    assert answer.count(b"HTTP/1.1 503") == 1


@pytest.mark.parametrize(
    "came", [b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nAccep", V2 + b"GET / HTTP/1.1\r\n"]
)
def test_who_has_not_said_all_is_answered_when_his_time_is_over(port, came):
    with port.connect() as client:
        client.sendall(came)
        port.settle()
        assert port.fuse.refused == 0
        port.fuse.expire(port.fuse.deadline())
        assert refused(port.answer(client))


def test_a_head_longer_than_we_look_is_answered_for_what_was_seen(port):
    with port.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nAccept: application/json\r\nCookie: " + b"x" * 20_000)
        assert b"application/json" in port.answer(client)


def test_who_ends_in_the_middle_of_a_head_is_answered(port):
    with port.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nAccept: te")
        client.shutdown(socket.SHUT_WR)
        assert refused(port.answer(client))


def test_a_head_that_comes_byte_by_byte_is_answered(port):
    with port.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in REQUEST:
            client.send(bytes([byte]))
            port.turn()
        assert refused(port.answer(client))


def test_a_client_that_has_closed_its_direction_is_answered(port):
    with port.connect() as client:
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        assert refused(port.answer(client))
        port.settle()
        assert port.fuse.open == 0


def test_a_client_that_uploads_gets_its_answer_ten_times_of_ten(port):
    """503 and close reached none of ten: a close with unread bytes is a reset, and the reset overtakes the answer."""
    size, answers = 30 << 20, []
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    block = b"x" * (1 << 20)

    def upload():
        with port.connect() as client:
            try:
                client.sendall(head)
                for _ in range(size // len(block)):
                    client.sendall(block)
                data = b""
                while part := client.recv(65536):
                    data += part
            except OSError as error:
                data = repr(error).encode()
            answers.append(data)

    threads = [threading.Thread(target=upload) for _ in range(10)]
    for thread in threads:
        thread.start()
    port.run(lambda: len(answers) == 10)
    for thread in threads:
        thread.join(LIMIT)
    assert [answer for answer in answers if not refused(answer)] == []
    assert port.fuse.refused == 10


def test_a_client_that_reads_slowly_gets_the_whole_answer(port, monkeypatch):
    body = b"x" * (8 << 20)
    monkeypatch.setattr(module.unavailable, "answer", lambda *_: b"HTTP/1.1 503\r\n\r\n" + body)
    with port.connect() as client:
        client.sendall(REQUEST)
        port.turn()
        port.turn()
        ((events, _),) = port.fuse.sources().values()
        assert events == select.POLLOUT
        assert split(port.answer(client))[2] == body


@pytest.mark.parametrize("address", ["path", "\0abstract"])
def test_every_listener_is_answered_for(sock, tmp_path, address):
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s") if address == "path" else f"{address}{os.getpid()}")
        unix.listen()
        unix.setblocking(False)
        port = Port(sock, unix)
        assert {listener.family for listener in port.fuse._listeners.values()} == {AF_INET, AF_UNIX}
        assert refused(port.ask(REQUEST, 0))
        assert refused(port.ask(REQUEST, 1))
        port.fuse.close()


# ### What is no request


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"get / HTTP/1.1\r\n",
        b"\r\n\r\nx",
        b"PROXY TCP4 nonsense\r\n" + REQUEST,
        V2 + b"hello\r\n",
        b"\0",
        b" ",
        b" / HTTP/1.1\r\n",
        b"X" * 25,
        b"GET /" + b"x" * 20_000,
    ],
    ids=[
        "tls",
        "http2",
        "http09",
        "ssh",
        "lower",
        "empty",
        "proxy",
        "proxied",
        "nul",
        "space",
        "no-method",
        "method",
        "line",
    ],
)
def test_what_is_no_request_is_closed_without_a_word(port, data):
    with contextlib.suppress(ConnectionResetError):  # where not all of it was read
        assert port.ask(data) == b""
    port.settle()
    assert port.fuse.open == 0
    assert port.fuse.refused == 0


def test_a_raw_connection_is_closed_at_once_whether_it_speaks_or_not(sock):
    port = Port(sock, raw=[0])
    with port.connect() as silent:
        assert port.answer(silent) == b""
    with contextlib.suppress(ConnectionResetError):
        assert port.ask(REQUEST) == b""
    assert port.fuse.refused == 0
    assert port.fuse.last_activity > 0


def test_a_listener_of_requests_beside_a_raw_one_is_answered(sock):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        port = Port(sock, other, raw=[0])
        with contextlib.suppress(ConnectionResetError):
            assert port.ask(REQUEST, 0) == b""
        assert refused(port.ask(REQUEST, 1))
        port.fuse.close()


# ### Time


@pytest.mark.parametrize("data", [b"", b"G", b"GET / HTTP/1.1"])
def test_a_client_has_its_patience_to_say_what_it_is(port, data):
    with port.connect() as client:
        client.sendall(data)
        port.settle()
        deadline = port.fuse.deadline()
        port.fuse.expire(deadline - 0.001)
        assert port.fuse.open == 1
        port.fuse.expire(deadline)
        assert port.fuse.open == 0
        assert port.fuse.deadline() is None
        assert client.recv(1) == b""


def test_patience_is_for_the_whole_head_and_does_not_begin_anew(port):
    with port.connect() as client:
        port.settle()
        before = port.fuse.deadline()
        client.sendall(b"G")
        port.settle()
        assert port.fuse.deadline() == before


def test_a_client_that_has_its_answer_and_does_not_go_is_seen_off(port):
    with port.connect() as client:
        client.sendall(REQUEST)
        port.run(lambda: port.fuse.refused)
        port.settle()
        assert port.fuse.open == 1
        assert port.fuse.deadline() < time.monotonic() + PATIENCE / 2
        port.fuse.expire(port.fuse.deadline())
        assert port.fuse.open == 0
        assert refused(client.recv(4096))


def test_the_deadline_is_that_of_the_first(port):
    with port.connect(), port.connect():
        port.run(lambda: port.fuse.open == 2)
        first, second = sorted(caller.deadline for caller in port.fuse._callers.values())
        assert first < second
        assert port.fuse.deadline() == first


def test_nobody_sends_for_ever(port, monkeypatch):
    monkeypatch.setattr(module, "_DISCARD", 1 << 20)
    gone = threading.Event()

    def flood():
        with port.connect() as client, contextlib.suppress(OSError):
            client.sendall(REQUEST)
            while True:
                client.sendall(b"x" * 65536)
        gone.set()

    thread = threading.Thread(target=flood)
    thread.start()
    port.run(gone.is_set)
    thread.join(LIMIT)
    assert port.fuse.open == 0


def test_who_sends_without_end_keeps_nobody_waiting(port, monkeypatch):
    """A turn takes so much of what is thrown away and no more, however much is there."""
    monkeypatch.setattr(module, "_DISCARD_TURNS", 2)
    monkeypatch.setattr(module, "_DISCARD_PART", 1000)
    with port.connect() as client, port.connect() as other:
        client.sendall(REQUEST + b"x" * 100_000)
        port.run(lambda: port.fuse.refused)
        (caller,) = [caller for caller in port.fuse._callers.values() if caller.answered]
        assert caller.discarded == 2000
        other.sendall(REQUEST)
        assert refused(port.answer(other))
        assert caller.discarded <= 2000 * port.turns


# ### Clients that go when they like


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset])
@pytest.mark.parametrize("said", [b"", b"GET /", REQUEST, REQUEST + b"x" * 100_000])
@pytest.mark.parametrize("turns", range(4))
def test_a_client_may_go_at_any_moment(port, end, said, turns):
    """Before it is accepted, while it speaks, while it is answered, when it has been."""
    client = port.connect()
    for part in (said[: len(said) // 2], said[len(said) // 2 :])[: turns or 1]:
        client.sendall(part)
        if turns:
            port.turn(5)
    end(client)
    port.run(lambda: port.fuse.open == 0)
    assert refused(port.ask(REQUEST))


def test_a_client_that_is_reset_while_it_is_answered_is_forgotten(port, monkeypatch):
    monkeypatch.setattr(module.unavailable, "answer", lambda *_: b"x" * (8 << 20))
    client = port.connect()
    client.sendall(REQUEST)
    port.run(lambda: port.fuse.refused)
    reset(client)
    port.run(lambda: port.fuse.open == 0)


# ### Bounds


def test_who_comes_when_it_holds_as_many_as_it_may_waits_in_the_backlog(port, monkeypatch):
    monkeypatch.setattr(module, "_HELD", 2)
    with port.connect() as first, port.connect(), port.connect() as third:
        third.sendall(REQUEST)
        port.run(lambda: port.fuse.open == 2)
        port.settle()
        assert not port.fuse.accepts(port.alarm)
        assert port.fuse.open == 2
        port.fuse.accept()  # asked all the same
        assert port.fuse.open == 2
        first.close()
        assert refused(port.answer(third))


@contextlib.contextmanager
def no_descriptor_left():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filler = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filler.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filler:
            os.close(fd)


def test_without_a_descriptor_it_takes_a_breath_instead_of_spinning(port):
    with port.connect() as client:
        client.sendall(REQUEST)
        with no_descriptor_left():
            port.turn(1000)
            assert port.fuse.open == 0
            port.alarm.reset()
            assert not port.fuse.accepts(port.alarm)
            assert 0 < port.alarm.timeout_ms <= 1000
        port.alarm.now += 1.1
        assert port.fuse.accepts(port.alarm)
        assert refused(port.answer(client))


def test_without_a_descriptor_those_who_are_there_are_answered(port):
    with port.connect() as client:
        port.run(lambda: port.fuse.open == 1)
        with no_descriptor_left():
            client.sendall(REQUEST)
            assert refused(port.answer(client))


def test_a_connection_that_was_aborted_in_the_backlog_is_no_reason_to_pause(port, monkeypatch):
    """ECONNABORTED, accept(2): Linux hands such a connection out, others may not."""

    class Aborting(module._socket.socket):
        def _accept(self):
            raise ConnectionAbortedError

    with monkeypatch.context() as patched, port.connect() as client:
        patched.setattr(module._socket, "socket", Aborting)
        port.fuse.accept()
        port.alarm.reset()
        assert port.fuse.accepts(port.alarm)
        patched.undo()
        client.sendall(REQUEST)
        assert refused(port.answer(client))


def test_its_descriptors_are_named_for_a_template_to_close(port):
    with port.connect(), port.connect():
        port.run(lambda: port.fuse.open == 2)
        assert len({*port.fuse.descriptors}) == 2
        for fd in port.fuse.descriptors:
            assert not os.get_inheritable(fd)
            assert not os.get_blocking(fd)
        port.fuse.close()
        assert port.fuse.descriptors == ()


def test_the_listener_is_left_as_it_was(port, sock):
    port.ask(REQUEST)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    assert not os.get_blocking(sock.fileno())
