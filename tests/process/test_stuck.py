"""What does not come back: a request, an import, a fork, a process that was stopped. It is named, and replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness import APPS, AROUND, eventually, said, take_time, wait_at

PATIENT = ("--request-timeout", "1000s")
ASGI = """
import time
async def app(scope, receive, send):
    if scope["path"] == "/stuck":
        time.sleep(1000)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
    await send({"type": "http.response.body", "body": b"here"})
"""
DEMO = "from wsgiref.simple_server import demo_app as app\n"
IN_C = "sum(range(10 ** 15))"  # a loop that no handler of Python's can interrupt


def wake(master, workers=2):
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept(workers)
    return master


def stack_in(log, *, until):
    """The lines of the log between `stuck` and the death of who was."""
    first = log.until(" stuck ")
    at = log.all.index(first)
    last = log.until(until)
    return first, log.all[at + 1 : log.all.index(last)]


# ### A request


@pytest.mark.parametrize("threads", ["1", "3"])
@pytest.mark.parametrize("source", ["time.sleep(1000)", IN_C], ids=["waits", "computes in C"])
def test_a_request_that_does_not_come_back_is_named_with_its_stack_and_its_worker_replaced(service, threads, source):
    master = wake(service("--request-timeout", "0.3", "--threads", threads))
    (pid,) = [master.ask("say(os.getpid())")[0]]
    head = f"POST /report?year=2031 HTTP/1.1\r\nHost: test\r\nContent-Length: {len(source)}\r\n\r\n"
    with master.connect().send(head.encode() + source.encode()) as connection:
        assert connection.sock.recv(1) == b""
    first, stack = stack_in(master.log, until="worker_died")
    assert 'request="POST /report?year=2031 HTTP/1.1"' in first
    assert first.endswith("app code ran over request_timeout=0.3s without a byte")
    assert any(line.strip().startswith('File "<string>", line 1') for line in stack)
    assert any("knife.py" in line for line in stack)
    assert not any("/spyglass_systemd/" in line for line in stack)
    assert master.ask("say('here')") == ["here"]
    master.all_accept(2)
    assert pid


def test_the_request_that_is_named_is_the_one_that_runs_now(service):
    master = wake(service("--request-timeout", "0.3", "--workers", "1"), 1)
    for path in ("/before", "/stuck"):
        with master.connect() as connection:
            source = "say(1)" if path == "/before" else "time.sleep(1000)"
            connection.send(f"POST {path} HTTP/1.0\r\nContent-Length: {len(source)}\r\n\r\n{source}".encode())
            connection.sock.recv(1)
    assert 'request="POST /stuck HTTP/1.0"' in master.log.until(" stuck ")


def test_nothing_of_a_name_in_a_stack_reaches_the_terminal(service):
    master = wake(service("--request-timeout", "0.3", "--workers", "1"), 1)
    with master.connect().ask(r"exec(compile('time.sleep(1000)', 'evil\x1b[31m\nname', 'exec'))") as connection:
        assert connection.sock.recv(1) == b""
    _, stack = stack_in(master.log, until="worker_died")
    assert any(r"evil\\x1b[31m\\x0aname" in line or r"evil\x1b[31m\x0aname" in line for line in stack)
    assert "\x1b" not in str(master.log)


def test_an_asgi_app_that_blocks_its_loop_is_named_with_its_stack(service):
    master = service("--request-timeout", "0.4", "--workers", "1", app=ASGI)
    with master.start(waiting="") as connection:
        assert b"here" in connection.read().body
    with master.connect().send(b"GET /stuck HTTP/1.1\r\nHost: test\r\n\r\n") as connection:
        assert connection.sock.recv(1) == b""
    first, stack = stack_in(master.log, until="worker_died")
    assert 'request="GET /stuck"' in first
    assert any("blog.py" in line for line in stack)
    assert master.request().status == 200


def test_a_slow_client_is_no_stuck_request(service):
    master = wake(service("--request-timeout", "0.3", "--workers", "1", "--header-timeout", "20s"), 1)
    with master.connect().send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 6\r\n\r\n") as connection:
        master.has_open(1)
        take_time(0.7)
        assert said(connection.send(b"say(1)").read()) == [1]
    assert " stuck " not in master.log


# ### An import, a boot, a fork


def test_an_import_that_does_not_end_is_told_with_its_stack(service):
    master = service("--import-timeout", "0.4", app="import time\ntime.sleep(1000)\n")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    master.log.until("the import did not end within import_timeout=0.4s")
    assert 'blog.py", line 2 in <module>' in master.log.until("blog.py")
    assert "frozen importlib" not in master.log


def test_a_worker_that_does_not_come_to_accept_is_told_with_its_stack(service):
    app = f"import os, time\nif os.path.exists('stuck'): time.sleep(1000)\n{DEMO}"
    master = service("--no-preload", "--workers", "1", "--import-timeout", "0.8", app=app)
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    stuck = master.directory / "app" / "stuck"
    stuck.touch()
    master.workers[0].kill()
    first, stack = stack_in(master.log, until="did not accept")
    assert first.endswith("did not accept (import_timeout) within 0.8s")
    stuck.unlink()
    assert any("blog.py" in line for line in stack) or 'blog.py", line 2' in master.log.until("blog.py")
    eventually(lambda: master.request().status == 200)


FORKS_SOON = AROUND.format(before="from spyglass_systemd.processes import patience; patience.FORK = 0.3", after="")


def test_a_template_that_is_stopped_is_replaced_when_it_is_needed(service):
    master = wake(service("--workers", "1", around=FORKS_SOON), 1)
    stopped = master.template
    stopped.kill(signal.SIGSTOP)
    master.workers[0].kill()
    assert master.ask("say('here')") == ["here"]
    assert stopped.gone
    assert "forked no worker for 0.3s" in str(master.log)


def test_a_template_that_cannot_fork_is_told_with_its_stack(service, gate):
    """A lock that a thread of the app holds, and that a fork takes first: the usual way to get there."""
    app = f"""
import os
def before():
    if os.path.exists('stuck'):
        open({str(gate)!r}).close()
os.register_at_fork(before=before)
from knife import app
"""
    master = wake(service("--pythonpath", str(APPS), "--workers", "1", around=FORKS_SOON, app=app), 1)
    stuck = master.directory / "app" / "stuck"
    stuck.touch()
    master.workers[0].kill()
    first, stack = stack_in(master.log, until="template_died")
    assert first.endswith("forked no worker for 0.3s")
    assert any("in before" in line for line in stack)
    stuck.unlink()
    eventually(lambda: master.request("say('here')").status == 200)


# ### Stopped from outside


def test_a_worker_that_is_stopped_with_connections_open_is_replaced(service):
    master = wake(service("--request-timeout", "0.4", "--workers", "1", "--keepalive", "1000s", "--idle", "2000s"), 1)
    with master.connect().ask("say(1)", close=False) as kept:
        assert said(kept.read()) == [1]
        master.in_flight(0)
        (stopped,) = master.workers
        stopped.kill(signal.SIGSTOP)
        assert "was stopped over request_timeout=0.4s" in master.log.until("worker_died")
        assert kept.sock.recv(1) == b""
    assert master.ask("say('here')") == ["here"]


def test_who_was_stopped_together_with_all_is_not_late(service, gate):
    """A machine that was suspended: each deadline is over, and nobody is to blame."""
    master = wake(service("--request-timeout", "0.5", "--workers", "1"), 1)
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        everybody = [master.pid, *[process.pid for process in (master.template, *master.workers)]]
        for pid in everybody:
            os.kill(pid, signal.SIGSTOP)
        take_time(2.5)
        for pid in everybody:
            os.kill(pid, signal.SIGCONT)
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert "worker_died" not in master.log


# ### And who watches the Master? It proves that its own loop turns, and nothing else.

PING = "WATCHDOG=1"


def pings(master, count=5):
    """Wait until it has said so often more that it lives."""
    before = master.letters.count(PING)
    eventually(lambda: master.letters.count(PING) >= before + count, "it says that it lives")


def test_a_long_import_does_not_keep_the_master_from_saying_that_it_lives(service, gate):
    master = service(
        "--import-timeout", "1000s", app=f"open({str(gate)!r}).close()\nfrom knife import app", watchdog="100000"
    )
    with master.start(waiting=""):
        pings(master)
        assert "READY=1" not in master.letters


def test_a_long_request_does_not_keep_the_master_from_saying_that_it_lives(service, gate):
    master = wake(service(*PATIENT, "--workers", "1", watchdog="100000"), 1)
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        pings(master)
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]


def test_a_reload_does_not_keep_the_master_from_saying_that_it_lives(service, gate):
    app = f"import os\nif os.path.exists('slow'): open({str(gate)!r}).close()\n{DEMO}"
    master = service(app=app, watchdog="100000")
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    (master.directory / "app" / "slow").touch()
    master.signal(signal.SIGHUP)
    master.letters.until("RELOADING=1")
    pings(master)
    assert "reloaded" not in master.log
    with gate.open("w"):
        pass
    master.log.until("reloaded")


def test_a_master_that_is_stopped_says_no_more_that_it_lives(service):
    master = wake(service(watchdog="100000"))
    pings(master)
    master.signal(signal.SIGSTOP)
    eventually(lambda: " T " in Path(f"/proc/{master.pid}/stat").read_text())
    before = master.letters.count(PING)
    take_time(0.5)
    assert master.letters.count(PING) == before
    master.signal(signal.SIGCONT)
    pings(master)
