"""ASGI: what a worker of uvicorn's protocols owes to the app, to its client and to its Master."""

from __future__ import annotations

import ast
import concurrent.futures
import contextlib
import hashlib
import os
import random
import re
import select
import signal

import pytest
from harness import eventually, said, take_time
from packages import installed
from speakers import Speaker, get, options, websocket
from websockets.exceptions import ConnectionClosed

VERSIONS = {"0.17.6": "10.4", "0.32.0": "15.0.1"}  # of uvicorn in Debian 12 and 13, and websockets with them


def asked(master, target="/"):
    """What the app tells of one request."""
    with Speaker(master).say(get(target, close=True)) as one:
        return told(one.end())


def told(answer):
    return ast.literal_eval(answer.partition(b"hello ")[2].decode())


def woken(service, *more):
    master = service("--workers", "1", *more, spec="pushy:app")
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        master.first = first.end()
    return master


# ### What serves


@pytest.mark.parametrize(
    ("server", "protocol", "loop"), [("asgi-h11", "h11", "asyncio"), ("asgi-httptools", "httptools", "uvloop")]
)
def test_the_fastest_that_is_installed_serves(service, server, protocol, loop):
    words = options(server)
    master = service("--workers", "1", *words[:-1], spec=words[-1])
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        found = told(first.end())
    assert found["protocol"] == f"uvicorn.protocols.http.{protocol}_impl"
    assert found["loop"].startswith(loop)


@pytest.fixture(params=sorted(VERSIONS))
def uvicorn(request):
    """A directory with another uvicorn, which comes before ours."""
    version = request.param
    return installed(f"uvicorn-{version}", f"uvicorn=={version}", f"websockets=={VERSIONS[version]}", "asgiref")


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_an_older_uvicorn_serves_as_well(service, uvicorn, server):
    words = [*options(server)[:-1], "--pythonpath", str(uvicorn), "--drain", "2", "--workers", "1"]
    master = service(*words, "--root-path", "/blog", "--environment", "TELL=uvicorn", spec="pushy:app")
    with Speaker(master).say(get("/blog/x")) as kept:
        master.start()
        kept.until(b"hello")
        assert f"uvicorn={uvicorn}" in master.log.until("app pid")
        with websocket(master) as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
        with websocket(master) as ws, Speaker(master).say(get("/sse")) as sse, Speaker(master) as silent:
            sse.until(b"data: hello\n\n")
            ws.send("hello")
            assert ws.recv() == "hello"
            master.has_open(4)
            master.signal(signal.SIGTERM)
            master.nobody_accepts()
            answer = kept.say(get("/x")).end()
            assert b"\r\nconnection: close\r\n" in answer.lower()
            assert b"\r\nconnection: close\r\n" in silent.say(get("/x")).end().lower()
            assert sse.end() == b"\r\n0\r\n\r\n"
            with pytest.raises(Exception, match="1012"):
                ws.recv()
    master.log.until(" shutdown")
    assert master.wait() == 0
    assert "worker_died" not in master.log


def test_a_wsgi_wake_does_not_import_asyncio(service):
    master = service("--workers", "1")
    with master.start(waiting="say([m for m in ('asyncio', 'uvicorn') if m in sys.modules])") as first:
        assert said(first.read()) == [[]]


def test_uvicorn_that_is_missing_is_named_with_the_way_to_install_it(service, tmp_path):
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "uvicorn.py").write_text("raise ImportError('hidden')\n")
    source = "async def app(scope, receive, send): pass"
    master = service("--pythonpath", str(tmp_path / "hidden"), app=source)
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        assert first.end().startswith(b"HTTP/1.1 503 ")
    assert "an ASGI app needs uvicorn" in master.log.until("failed")
    assert "spyglass-systemd[asgi]" in master.log


@pytest.mark.parametrize("spec", ["pushy:Legacy", "pushy:make()"])
def test_asgi_2_and_a_factory_are_served(service, spec):
    master = service("--workers", "1", spec=spec)
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        assert told(first.end())["path"] == "/"


def test_the_app_is_mounted_where_root_path_says(service):
    master = woken(service, "--root-path", "/blog")
    found = asked(master, "/blog/x")
    assert found["root_path"] == "/blog"


# ### Its answers


def test_an_app_that_fails_is_answered_500_and_its_traceback_is_in_the_log(service):
    master = woken(service)
    with Speaker(master).say(get("/fail", close=True)) as one:
        assert one.end().startswith(b"HTTP/1.1 500 ")
    master.log.until("ValueError: broken")


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_an_answer_to_http_1_0_that_breaks_off_is_seen_to(service, listener, server):
    """Which ends with its connection: so this one ends by a reset."""
    source = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"abc", "more_body": True})
    if scope["path"] == "/fail":
        raise ValueError("broken")
    await send({"type": "http.response.body", "body": b"def"})
"""
    master = service("--workers", "1", *options(server)[:-1], app=source, listeners=[listener("v4")])
    with Speaker(master).say(b"GET / HTTP/1.0\r\n\r\n") as first:
        master.start()
        assert first.end().endswith(b"\r\n\r\nabcdef")
    with Speaker(master).say(b"GET /fail HTTP/1.0\r\n\r\n") as one, pytest.raises(ConnectionResetError):
        one.end()


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_an_app_that_fails_in_a_way_that_cannot_be_told_is_answered_500(service, server):
    source = """
async def app(scope, receive, send):
    raise SyntaxError("m", ("f", 1, "x", "text"))
"""
    master = service("--workers", "1", *options(server)[:-1], app=source)
    with Speaker(master).say(get()) as first:
        master.start()
        assert first.end().startswith(b"HTTP/1.1 500 ")
    master.log.until("SyntaxError")


def test_a_body_that_the_app_does_not_read_does_not_reset_its_answer(service):
    """30 MB, which the client sends to its end before it reads."""
    master = woken(service)
    with Speaker(master) as one:
        size = 30 * 1024 * 1024
        one.say(b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(30):
            one.say(b"x" * 1024 * 1024)
        assert one.end().startswith(b"HTTP/1.1 200 ")
    eventually(lambda: [row["open"] for row in master.rows()] == [0])


def test_a_client_that_reads_nothing_is_not_waited_for(service):
    """Neither by the app that has written nor by the Master that would sleep."""
    master = woken(service, "--idle", "0.3", "--write-timeout", "0.4")
    with Speaker(master).say(get("/big?30000000", close=True)):
        master.has_open(1)
        assert master.wait() == 0
    master.log.until("slept")


@pytest.mark.parametrize("said_so_far", [b"", b"GET / HTTP/1.1\r\nHo"], ids=["silent", "half-head"])
def test_who_says_nothing_for_header_timeout_is_closed(service, said_so_far):
    master = woken(service, "--header-timeout", "0.3")
    with Speaker(master).say(said_so_far) as one:
        assert one.end().partition(b"\r\n")[0] == (b"HTTP/1.1 408 Request Timeout" if said_so_far else b"")


def test_half_the_head_of_a_head_request_is_refused_without_a_body(service):
    master = woken(service, "--header-timeout", "0.3")
    with Speaker(master).say(b"HEAD / HTTP/1.1\r\nHo") as one:
        answer = one.end()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_connection_that_is_kept_alive_has_keepalive_and_not_header_timeout(service):
    master = woken(service, "--header-timeout", "0.2", "--keepalive", "1.5")
    with Speaker(master).say(get()) as kept:
        kept.until(b"}\n")
        kept.connection.sock.settimeout(0.7)
        with pytest.raises(TimeoutError):
            kept.connection.sock.recv(1)
        kept.connection.sock.settimeout(20)
        kept.say(get()).until(b"}\n")
        assert kept.end() == b""


def test_requests_in_one_breath_are_answered_in_order(service):
    master = woken(service)
    with Speaker(master).say(get("/1") + get("/2") + get("/3", close=True)) as one:
        assert re.findall(rb"'path': '/(\d)'", one.end()) == [b"1", b"2", b"3"]
    eventually(lambda: [row["in_flight"] for row in master.rows()] == [0])


def test_a_connection_ends_after_max_pipelined_requests_that_were_sent_ahead(service):
    master = woken(service, "--max-pipelined", "2")
    with Speaker(master).say(b"".join(get(f"/{n}") for n in range(9))) as one:
        answer = one.end()
    assert re.findall(rb"'path': '/(\d)'", answer) == [b"0", b"1", b"2"]
    assert answer.lower().count(b"\r\nconnection: close\r\n") == 1


def test_a_body_over_the_limit_is_refused(service):
    master = woken(service, "--body-limit", "1KiB")
    with Speaker(master).say(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1025\r\n\r\n") as one:
        assert one.end().startswith(b"HTTP/1.1 413 ")
    chunks = b"POST /wait HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n%b\r\n" % bytes(1024)
    with Speaker(master).say(chunks + b"1\r\nx\r\n0\r\n\r\n") as one:
        assert one.end().startswith(b"HTTP/1.1 413 ")
    master.has_open(0)


PIECES = 1 << 16


def echoed(ws, data):
    """What the app makes of a message."""
    ws.send(data)
    return ws.recv()


@pytest.mark.parametrize("library", ["websockets", "wsproto"])
@pytest.mark.parametrize(
    ("version", "how"), [("", "whole"), ("", "pieces"), ("", "text"), ("", "packed"), ("0.17.6", "pieces")]
)
def test_a_message_over_the_limit_closes_its_websocket(service, tmp_path, library, version, how):
    words = []
    if version:
        packages = (f"uvicorn=={version}", f"websockets=={VERSIONS[version]}", "asgiref")
        words = ["--pythonpath", str(installed(f"uvicorn-{version}", *packages))]
    if library == "wsproto":
        (tmp_path / "hidden").mkdir()
        (tmp_path / "hidden" / "websockets.py").write_text("raise ImportError('hidden')\n")
        words = ["--pythonpath", str(tmp_path / "hidden"), *words]
    master = woken(service, *words)
    with websocket(master, "/ws") as ws:
        assert len(echoed(ws, "x" * 1_000_000)) == 1_000_000
        data = {"text": "x" * (2 << 20), "packed": bytes(2 << 20)}.get(how, random.Random(1).randbytes(2 << 20))
        if how == "pieces":
            data = [data[at : at + PIECES] for at in range(0, len(data), PIECES)]
        with pytest.raises((ConnectionClosed, OSError)):
            echoed(ws, data)
    master.log.until("websocket disconnected code=")
    with Speaker(master).say(get(close=True)) as one:
        assert one.end().startswith(b"HTTP/1.1 200 ")


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def test_the_head_of_a_message_over_the_limit_is_enough(service):
    master = woken(service, "--message-limit", "64KiB")
    with Speaker(master).say(UPGRADE) as one:
        one.until(b"\r\n\r\n")
        one.say(b"\x82\xff" + (65537).to_bytes(8, "big") + bytes(4))
        one.until((1009).to_bytes(2, "big"))


def test_the_access_log_is_the_combined_format(service, capfd):
    master = woken(service, "--access-log")
    with Speaker(master).say(
        b'GET /a%20b?c HTTP/1.1\r\nHost: t\r\nUser-Agent: "x\r\nReferer: y\r\nConnection: close\r\n\r\n'
    ) as one:
        one.end()
    with websocket(master) as ws:
        ws.send("x")
        ws.recv()
    with Speaker(master).say(get("/fail", close=True)) as one:
        one.end()
    master.stop()
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r'- - - \[.{26}\] "GET /a%20b\?c HTTP/1.1" 200 \d+ "y" "\\"x" ms=\d+ worker=1', lines[1])
    assert '"GET /ws HTTP/1.1" 101 - ' in lines[2]
    assert '"GET /fail HTTP/1.1" 500 - ' in lines[3]


# ### Clients that are slow, many, or say too much

READS = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/late":
        with open(scope["query_string"]) as gate:
            gate.read()
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
    body = b"read %d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""
POST = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


def reading(service, *more):
    """A service whose app reads each body to its end."""
    master = service("--workers", "1", *more, app=READS)
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        first.end()
    return master


def drip(speaker, data=b"x"):
    """Say a little again and again, until there is an answer."""
    while not select.select([speaker.connection.sock], [], [], 0.02)[0]:
        speaker.say(data)
    return speaker


def test_a_body_that_stops_gets_a_408(service):
    master = reading(service, "--header-timeout", "0.3")
    with Speaker(master).say(POST % 100_000 + b"hello") as one:
        assert one.end().startswith(b"HTTP/1.1 408 ")
    master.has_open(0)


def test_a_body_that_drips_gets_a_408(service):
    master = reading(service, "--header-timeout", "0.4", "--min-rate", "1MiB")
    with Speaker(master).say(POST % 100_000) as one:
        assert drip(one).end().startswith(b"HTTP/1.1 408 ")


def test_a_body_that_takes_its_time_is_waited_for(service):
    master = reading(service, "--header-timeout", "0.3", "--min-rate", "1KiB")
    with Speaker(master).say(POST % 100_000) as one:
        for _ in range(50):
            one.say(b"x" * 2000)
            take_time(0.02)
        assert one.end().endswith(b"read 100000")


def test_a_body_that_waits_for_the_app_is_not_slow(service, gate):
    """The app reads late; until then nothing more is taken from the client than a buffer holds."""
    source = READS.replace("with open(", "import asyncio\n        with await asyncio.to_thread(open, ")
    master = service("--workers", "1", "--header-timeout", "0.3", app=source)
    size = 8 << 20
    head = (POST % size).replace(b"POST /", f"POST /late?{gate}".encode())
    with Speaker(master) as one:
        one.connection.sock.settimeout(0.05)
        left = memoryview(head + b"x" * size)
        with contextlib.suppress(TimeoutError):
            while left:
                left = left[one.connection.sock.send(left) :]
        master.start()
        master.in_flight()
        take_time(1.5)
        with gate.open("w"):
            pass
        one.connection.sock.settimeout(20)
        one.say(left)
        assert one.end().endswith(b"read %d" % size)


DIGESTS = """
import hashlib

async def app(scope, receive, send):
    assert scope["type"] == "http"
    digest, more = hashlib.sha256(), True
    while more:
        message = await receive()
        digest.update(message.get("body", b""))
        more = message.get("more_body")
    told = digest.hexdigest().encode() + b"\\n"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})
"""


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_large_bodies_arrive_whole_and_the_connection_goes_on(service, server):
    """By Content-Length, in chunks, and a plain request between, on one connection; many at once share their bound."""
    data = random.Random(1).randbytes(3 << 20)
    parts = [data[at : at + 99_999] for at in range(0, len(data), 99_999)]
    whole = POST.replace(b"Connection: close\r\n", b"") % len(data) + data
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    chunked = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked
    told = [(request, hashlib.sha256(body).hexdigest().encode() + b"\n")
            for request, body in ((whole, data), (get(), b""), (chunked, data), (whole, data))]  # fmt: skip
    master = service("--workers", "1", *options(server)[:-1], app=DIGESTS)

    def visit():
        with Speaker(master) as one:
            for request, digest in told:
                one.say(request).until(digest)
        return True

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        visits = [pool.submit(visit) for _ in range(20)]
        master.start()
        assert all(each.result() for each in visits)
    eventually(lambda: [row["in_flight"] for row in master.rows()] == [0])


def test_a_client_that_takes_little_by_little_for_ever_is_given_up(service):
    master = woken(service, "--write-timeout", "0.4", "--min-rate", "1GiB")
    came = 0
    with Speaker(master).say(get("/big?30000000", close=True)) as one, contextlib.suppress(ConnectionResetError):
        while data := one.connection.sock.recv(4096):
            came += len(data)
            take_time(0.01)
    assert came < 10_000_000
    master.has_open(0)


def test_no_more_connections_are_held_than_max_connections(service):
    master = woken(service, "--max-connections", "3")
    eventually(lambda: [row["open"] for row in master.rows()] == [0])
    clients = [Speaker(master) for _ in range(10)]
    for client in clients:
        client.say(get())
    for client in clients[:3]:
        client.until(b"}\n")
    assert [(row["accepted"], row["open"]) for row in master.rows()] == [(4, 3)]
    master.log.until("max_connections=3")
    clients[0].close()
    clients[3].until(b"}\n")
    clients[1].close()
    clients[4].until(b"}\n")
    for client in clients:
        client.close()
    assert master.stop() == 0


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(service, server):
    words = options(server)
    master = service("--workers", "1", *words[:-1], spec=words[-1])
    with Speaker(master).say(b"GET / HTTP/1.1\r\nHost: test\r\n") as one:
        master.start()
        answer = drip(one, b"A: " + b"x" * 4000 + b"\r\n").end()
    assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


# ### A child of the app's that comes back

FORKS = """
import asyncio, os, sys

async def app(scope, receive, send):
    assert scope["type"] == "http"
    how = scope["path"]
    async def answer(body):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    if how == "/late":
        await answer(b"late")
    pid = os.fork() if how != "/" else -1
    if pid == 0:
        if how == "/exit":
            sys.exit(7)
        if how == "/raise":
            raise ValueError("in the child")
        if how == "/await":
            await asyncio.sleep(0)
            os._exit(9)
        if how == "/answer":
            await answer(b"from the child")
        return
    told = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if pid > 0 else 0
    if how == "/late":
        print("late child", told, file=sys.stderr, flush=True)
    else:
        await answer(b"status %d" % told)
"""


@pytest.mark.parametrize("server", ["asgi-h11", "asgi-httptools"])
def test_a_child_of_the_app_that_comes_back_to_the_loop_is_ended(service, server):
    """It neither answers nor serves; its parent hears its status, and goes on."""
    master = service("--workers", "1", *options(server)[:-1], app=FORKS)
    with Speaker(master).say(get("/")) as first, Speaker(master) as other:
        master.start()
        first.until(b"status 0")
        other.say(get("/")).until(b"status 0")
        for how, status in (("exit", 7), ("return", 1), ("raise", 1), ("await", 1), ("answer", 1)):
            answer = first.say(get(f"/{how}")).until(b"status %d" % status)
            assert answer.count(b"HTTP/1.1 ") == 1
            other.say(get("/")).until(b"status 0")
        first.say(get("/late")).until(b"late")
        master.log.until("late child 1")
        first.say(get("/", close=True)).until(b"status 0")
        assert first.end() == b""
    eventually(lambda: [row["answered"] for row in master.rows()] == [14])
    assert master.stop() == 0


# ### Lifespan


def test_each_worker_has_a_lifespan_and_its_shutdown_runs_at_stop(service):
    master = service("--workers", "2", spec="pushy:app")
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        first.end()
    master.all_accept(2)
    assert master.log.count(" startup") == 2
    assert master.stop() == 0
    assert master.log.count(" shutdown") == 2


def test_the_lifespans_shutdown_runs_before_sleep(service):
    master = woken(service, "--idle", "0.2")
    assert master.wait() == 0
    assert (master.log.count(" shutdown"), master.log.count("slept")) == (1, 1)


def test_the_lifespans_shutdown_runs_when_a_worker_retires(service):
    master = woken(service, "--max-requests", "1")
    master.log.until(" shutdown")
    master.log.until("worker_retired")


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("no migrations", "no migrations"),
        ("raise", "lifespan's startup: no database"),
        ("exit", "SystemExit(3) in the lifespan"),
    ],
)
def test_a_startup_that_fails_is_a_failed_app(service, how, why):
    master = service("--workers", "1", "--idle", "0.3", "--environment", f"STARTUP_FAILS={how}", spec="pushy:app")
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        assert first.end().startswith(b"HTTP/1.1 503 ")
    assert master.wait() == 69
    assert why in str(master.log)
    assert master.log.count("Traceback") == (how != "no migrations")


def test_an_app_without_lifespan_is_served(service):
    source = (
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 204, 'headers': []})\n"
        "    await send({'type': 'http.response.body'})\n"
    )
    master = service("--workers", "1", app=source)
    with Speaker(master).say(get(close=True)) as first:
        master.start()
        assert first.end().startswith(b"HTTP/1.1 204 ")
    assert "Assertion" not in master.log


# ### A loop that does not run


def test_app_code_that_blocks_the_loop_is_ended_by_request_timeout(service):
    master = woken(service, "--request-timeout", "0.4")
    with Speaker(master).say(get("/block")) as stuck:
        assert "app code ran over request_timeout=0.4s without a byte" in master.log.until("worker_died")
        with pytest.raises(AssertionError, match="the end"):
            stuck.until(b"hello")
    assert asked(master)["path"] == "/"


def test_app_code_that_waits_for_long_does_not_block(service, gate):
    master = woken(service, "--request-timeout", "0.2")
    with Speaker(master).say(get(f"/wait?{gate}")) as slow:
        slow.connection.sock.settimeout(0.8)
        with pytest.raises(TimeoutError):
            slow.connection.sock.recv(1)
        with gate.open("w"):
            pass
        slow.connection.sock.settimeout(20)
        slow.until(b"hello")
    assert "worker_died" not in master.log


def test_a_worker_whose_master_is_gone_answers_and_leaves(service, gate):
    master = woken(service)
    (worker,) = master.workers
    with Speaker(master).say(get(f"/wait?{gate}")) as slow:
        master.in_flight()
        os.kill(master.pid, signal.SIGKILL)
        with gate.open("w"):
            pass
        assert told(slow.end())["path"] == "/wait"
    assert worker.wait()
    master.log.until(" shutdown")


def test_a_worker_whose_master_is_gone_leaves_when_the_last_client_goes_without_a_word(service):
    master = woken(service)
    (worker,) = master.workers
    with Speaker(master):
        master.has_open(1)
        os.kill(master.pid, signal.SIGKILL)
        master.nobody_accepts()
    assert worker.wait()
    master.log.until(" shutdown")
