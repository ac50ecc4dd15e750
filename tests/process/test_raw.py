"""Raw handlers: blocking, of socketserver, and async; what they are given, how they end, and several apps at once."""

from __future__ import annotations

import signal

import pytest
from harness import eventually, take_time
from speakers import Speaker, get

ALL = [("lines:handler", "raw"), ("lines:Handler", "auto"), ("lines:stream", "auto")]
BOTH = [ALL[0], ALL[2]]


def woken(service, spec, kind, *more, words=b"hello\n", **how):
    master = service("--workers", "1", "--threads", "4", "--kind", kind, *more, spec=spec, **how)
    with Speaker(master).say(words) as first:
        master.start()
        first.until(words)
    return master


@pytest.mark.parametrize(("spec", "kind"), ALL)
@pytest.mark.parametrize("family", ["path", "v4"])
def test_a_handler_talks_and_then_the_app_sleeps(service, listener, spec, kind, family):
    master = woken(service, spec, kind, "--idle", "0.2", listeners=[listener(family)])
    with Speaker(master) as one:
        one.say(b"one\ntwo\n").until(b"one\ntwo\n")
        one.half_close()
        assert one.end() == b""
    assert master.wait() == 0
    master.log.until("slept")


def test_a_handler_that_may_be_wsgi_is_asked_for_its_kind(service):
    master = service("--workers", "1", "--idle", "0.3", spec="lines:handler")
    with Speaker(master).say(b"hello\n") as first:
        master.start()
        assert first.end() == b""  # no HTTP, so no 503
    master.log.until("lines:handler(connection, _address) may be WSGI or a raw handler")
    assert master.wait() == 69


def test_an_async_handler_that_fails_in_a_way_that_cannot_be_told_is_named(service):
    source = """
async def app(reader, writer):
    if await reader.readline() == b"fail\\n":
        raise SyntaxError("m", ("f", 1, "x", "text"))
    writer.write(b"hello\\n")
"""
    master = service("--workers", "1", "--kind", "raw", app=source)
    with Speaker(master).say(b"fail\n") as first:
        master.start()
        assert first.end() == b""
    assert "SyntaxError" in master.log.until("handler_failed")
    with Speaker(master).say(b"hello\n") as one:
        assert one.end() == b"hello\n"
    assert "worker_died" not in master.log


@pytest.mark.parametrize(("spec", "kind"), BOTH)
def test_a_handler_that_fails_ends_one_connection(service, spec, kind):
    master = woken(service, spec, kind)
    with Speaker(master).say(b"hello\nfail\nmore than it reads\n") as one:
        assert one.end() == b"hello\n"
    master.log.until("handler_failed")
    master.log.until("ValueError: broken")
    with Speaker(master).say(b"still here\n") as one:
        one.until(b"still here\n")
    eventually(lambda: [(row["open"], row["in_flight"]) for row in master.rows()] == [(0, 0)])
    assert "worker_died" not in master.log


ODD = """
def app(connection, _address):
    word = connection.recv(100)
    if word == b"odd":
        raise SyntaxError("m", ("f", 1, "x", "text"))
    connection.sendall(word)
"""


def test_an_exception_that_cannot_be_written_down_ends_one_talk_only(service):
    master = service("--workers", "1", "--kind", "raw", app=ODD)
    with Speaker(master).say(b"hello") as first:
        master.start()
        assert first.end() == b"hello"
    with Speaker(master).say(b"odd") as one:
        assert one.end() == b""
    master.log.until("SyntaxError (no traceback can be written: TypeError)")
    with Speaker(master).say(b"hello") as one:
        assert one.end() == b"hello"
    assert "worker_died" not in master.log


PARENT = """
import os, signal, sys
def app(connection, _address):
    word = connection.recv(100).decode()
    pid = os.fork()
    if not pid:
        signal.alarm(10)  # where it does not end
        if word == "returns":
            return
        sys.exit(int(word))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    connection.sendall(b"%d" % status)
"""


def test_a_child_of_the_handler_that_comes_back_from_it_ends_and_its_connection_goes_on(service):
    master = service("--workers", "1", "--kind", "raw", "--idle", "0.3", app=PARENT)
    with Speaker(master).say(b"3") as first:
        master.start()
        assert first.end() == b"3"
    with Speaker(master).say(b"returns") as one:
        assert one.end() == b"0"
    assert master.wait() == 0
    assert "handler_failed" not in master.log


def test_nobody_is_accepted_while_all_threads_are_at_work(service):
    master = woken(service, "lines:handler", "raw", "--threads", "2")
    with Speaker(master).say(b"a\n") as a, Speaker(master).say(b"b\n") as b, Speaker(master).say(b"c\n") as c:
        a.until(b"a\n")
        b.until(b"b\n")
        master.has_open(2)
        a.half_close()
        c.until(b"c\n")


@pytest.mark.parametrize(("spec", "kind"), ALL)
def test_a_talk_without_end_sees_the_end_of_its_input_when_drain_is_nearly_over(service, spec, kind):
    master = woken(service, spec, kind, "--drain", "1")
    with Speaker(master).say(b"hello\n") as one:
        one.until(b"hello\n")
        master.signal(signal.SIGTERM)
        one.say(b"again\n").until(b"again\n")
        assert one.end() == b""
    assert master.wait() == 0
    assert "worker_died" not in master.log


SEVERAL = """
async def push(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"push"})

def site(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"site"]

def echo(connection, address):
    connection.sendall(connection.recv(4096))
"""


def test_each_listener_leads_to_its_app_of_whatever_kind(service, listener, tmp_path):
    """One Master, one Template, one decision to sleep."""
    config = tmp_path / "blog.toml"
    config.write_text(
        'idle = "500ms"\nworkers = 1\n'
        '[listeners.site]\napp = "blog:site"\n[listeners.push]\napp = "blog:push"\n'
        '[listeners.echo]\napp = "blog:echo"\nkind = "raw"\n'
    )
    listeners = [listener("v4") for _ in range(3)]
    master = service(app=SEVERAL, config=config, listeners=listeners, names="site:push:echo")
    asked = []
    for address, words in zip(master.addresses, (get(close=True), get(close=True), b"echo"), strict=True):
        master.addresses[0] = address
        asked.append(Speaker(master).say(words))
    master.start()
    assert [one.end()[-4:] for one in asked] == [b"site", b"push", b"echo"]
    for one in asked:
        one.close()
    assert len(master.all_accept(3)) == 3
    assert len(master.templates) == 1
    assert master.wait() == 0
    master.log.until("slept")


FLOODS = """
import asyncio

async def floods(reader, writer):
    line = await reader.readline()
    if line == b"stream\\n":
        while True:
            writer.write(bytes(65536))
            await writer.drain()
    writer.write(bytes(8 << 20) if line == b"at once\\n" else line)
"""


def flooding(service, *more):
    """A service whose handler answers with more than anybody's buffers hold."""
    master = service("--workers", "1", *more, app=FLOODS, spec="blog:floods")
    with Speaker(master).say(b"hello\n") as first:
        master.start()
        first.until(b"hello\n")
    return master


@pytest.mark.parametrize("words", [b"at once\n", b"stream\n"])
def test_a_client_that_reads_nothing_of_an_async_handler_does_not_keep_the_app_awake(service, words):
    master = flooding(service, "--max-stream-idle", "0.4", "--idle", "2")
    with Speaker(master).say(words) as one:
        one.connection.sock.recv(1)
        assert master.wait() == 0
    master.log.until("slept")


def test_a_client_that_takes_its_time_gets_all_that_an_async_handler_has_left(service):
    master = flooding(service, "--write-timeout", "0.4", "--idle", "2")
    came = 0
    with Speaker(master).say(b"at once\n") as one:
        while data := one.connection.sock.recv(65536):
            came += len(data)
            take_time(0.02)
    assert came == 8 << 20


def test_an_async_handler_that_blocks_its_loop_is_ended_by_request_timeout(service):
    master = woken(service, "lines:stream", "raw", "--request-timeout", "0.4")
    with Speaker(master).say(b"block\n") as stuck:
        assert "app code ran over request_timeout=0.4s without a byte" in master.log.until("worker_died")
        assert stuck.end() == b""
    with Speaker(master).say(b"hello\n") as next_one:
        next_one.until(b"hello\n")
    assert master.stop() == 0


def test_a_child_of_an_async_handler_that_comes_back_to_the_loop_is_ended(service):
    source = """
import asyncio, os, sys

async def app(reader, writer):
    while line := await reader.readline():
        pid = os.fork()
        if pid == 0:
            if line == b"exit\\n":
                sys.exit(7)
            if line == b"raise\\n":
                raise ValueError("in the child")
            if line == b"await\\n":
                await asyncio.sleep(0)
                os._exit(9)
            return
        writer.write(b"status %d\\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    master = service("--workers", "1", "--kind", "raw", app=source)
    with Speaker(master).say(b"exit\n") as one:
        master.start()
        one.until(b"status 7\n")
        for how in (b"return\n", b"raise\n", b"await\n"):
            assert one.say(how).until(b"\n") == b"status 1\n"
        one.half_close()
        assert one.end() == b""
    assert master.stop() == 0


def test_an_async_handler_that_waits_for_long_does_not_block(service, gate):
    master = woken(service, "lines:stream", "raw", "--request-timeout", "0.3")
    with Speaker(master).say(f"wait {gate}\n".encode()) as slow:
        take_time(1)
        with gate.open("w"):
            pass
        slow.until(b"wait")
    assert "worker_died" not in master.log
    assert master.stop() == 0
