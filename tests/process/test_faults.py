"""What a machine does to an app: no descriptors, no room, no clock to trust. It answers again, and leaves nothing.

The other rows of docs/reference/faults.md are elsewhere; a test here holds that each names a test that there is.
"""

from __future__ import annotations

import ast
import contextlib
import re
import resource
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from harness import AROUND, children, descriptors, eventually, said, wait_at

ROOT = Path(__file__).parents[2]


def wake(master, workers=2):
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.log.until(" ready ")
    master.all_accept(workers)
    eventually(lambda: [*descriptors(master.pid).values()].count("anon_inode:[pidfd]") == 1 + workers)
    return master


def zombies(master):
    """Children of the Master and of its Templates that nobody has waited for."""
    found = []
    for parent in (master.pid, *children(master.pid)):
        for pid in children(parent):
            stat = Path(f"/proc/{pid}/stat")
            if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
                found.append(pid)
    return found


def check_whole(master, before, workers=2):
    """It answers by itself; nobody is left over or unwaited for, and the Master has no more open than before."""
    eventually(lambda: master.request("say('here')").status == 200)
    master.all_accept(workers)
    eventually(lambda: len(master.members()) == 2 + workers, "nobody is left over")
    eventually(lambda: zombies(master) == [], "all were waited for")
    eventually(lambda: len(descriptors(master.pid)) == before, "nothing was left open")


# ### The limit of descriptors


@pytest.mark.parametrize("who", ["master", "template", "worker"])
def test_without_a_descriptor_it_goes_on_and_answers_again(service, who):
    """In each process in turn, and a worker dies meanwhile, which needs some everywhere."""
    master = wake(service())
    before = len(descriptors(master.pid))
    pids = {"master": master.pid, "template": master.template.pid, "worker": master.workers[0].pid}
    limits = resource.prlimit(pids[who], resource.RLIMIT_NOFILE)
    resource.prlimit(pids[who], resource.RLIMIT_NOFILE, (8, limits[1]))
    master.workers[1].kill()
    with master.connect().ask("say('late, or now')") as connection:
        master.log.until("worker_died")
        resource.prlimit(pids[who], resource.RLIMIT_NOFILE, limits)
        assert said(connection.read()) == ["late, or now"]
    check_whole(master, before)


def test_without_a_descriptor_a_reload_fails_and_the_old_code_serves_on(service):
    master = wake(service())
    before = len(descriptors(master.pid))
    limits = resource.prlimit(master.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(master.pid, resource.RLIMIT_NOFILE, (8, limits[1]))
    master.signal(signal.SIGHUP)
    assert "Too many open files" in master.log.until("reload_failed")
    assert master.ask("say('here')") == ["here"]
    resource.prlimit(master.pid, resource.RLIMIT_NOFILE, limits)
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    check_whole(master, before)


# ### The clock

JUMPS = """
import itertools, time
year = 366 * 24 * 3600.0
turns, real = itertools.cycle((-year, 0.0, year)), time.time
time.time = lambda: real() + next(turns)
"""


def test_a_wall_clock_that_jumps_years_changes_nothing(service):
    """Each look at it is a year off, in the Master, the Template and the workers."""
    options = ("--idle", "0.3", "--request-timeout", "5s", "--drain", "5s", "--log-level", "debug")
    master = service(*options, around=AROUND.format(before=JUMPS, after=""))
    with master.start(waiting="say(time.time() - time.clock_gettime(time.CLOCK_REALTIME) > 1e7)") as connection:
        connection.read()
    master.all_ready(2)
    off = "say(round((time.time() - time.clock_gettime(time.CLOCK_REALTIME)) / 1e7))"
    assert len({master.ask(off)[0] for _ in range(3)}) > 1
    answer = master.request("say(1)")
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer.fields["date"])
    assert master.wait() == 0
    assert "slept" in master.log
    assert "died" not in master.log
    with master.start(waiting="say('again')") as connection:
        assert said(connection.read()) == ["again"]


# ### The backlog


def fill(address):
    """As many connections as the backlog takes."""
    waiting = []
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        try:
            client.connect(address)
        except BlockingIOError:  # the backlog is full: unix(7)
            client.close()
            return waiting
        waiting.append(client)


def test_a_backlog_that_is_full_is_served_when_somebody_accepts_again(service, listener, gate):
    sock = listener()
    sock.listen(2)
    master = wake(service("--workers", "1", listeners=[sock]), 1)
    before = len(descriptors(master.pid))
    with master.connect().ask(wait_at(gate)) as busy:
        master.in_flight()
        waiting = fill(master.addresses[0])
        assert waiting
        with gate.open("w"):
            pass
        assert said(busy.read()) == ["answered"]
    for client in waiting:
        client.settimeout(20)
        client.sendall(b"POST / HTTP/1.0\r\nContent-Length: 6\r\n\r\nsay(1)")
        assert client.recv(1000).startswith(b"HTTP/1.")
        client.close()
    check_whole(master, before, 1)


# ### Places that are gone, or full


def test_when_the_runtime_directory_goes_the_app_serves_on_and_the_next_one_too(service):
    master = wake(service("--idle", "1s"))
    before = len(descriptors(master.pid))
    shutil.rmtree(master.run)
    assert master.ask("say('here')") == ["here"]
    master.workers[0].kill()
    master.log.until("worker_died")
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    assert master.ask("say('here')") == ["here"]
    eventually(lambda: len(descriptors(master.pid)) == before)
    assert master.wait() == 0
    with master.start(waiting="say('again')") as connection:
        assert said(connection.read()) == ["again"]


FULL = """
set -e
mount -t tmpfs -o size=64k none /var/tmp
dd if=/dev/zero of=/var/tmp/full bs=4k 2>/dev/null || true
exec "$0" "$@"
"""


def test_a_body_for_which_there_is_no_room_is_refused_and_the_next_request_served(service):
    prefix = ["unshare", "-m", "sh", "-c", FULL]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    master = wake(service("--environment", "TMPDIR=/var/tmp", prefix=prefix))
    before = len(descriptors(master.pid))
    size = 3 << 20
    with master.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % size)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(b"#" * size)
        assert connection.read().status == 503
    assert "No space left on device" in master.log.until("spool_full")
    check_whole(master, before)
    assert "died" not in master.log


# ### A tree of faults, one after another


def test_a_manager_that_does_not_read_at_first_hears_that_the_app_is_ready(service):
    """Its queue is full for a second, whoever it is that fills it."""
    first = """
import time
from spyglass_systemd.protocols.notify import Notifier
room, until = Notifier._has_room, time.monotonic() + 2
Notifier._has_room = lambda self, patience: time.monotonic() > until and room(self, patience)
"""
    master = service("--watch", "1h", around=AROUND.format(before=first, after=""))
    master.start()
    assert "READY=1" in master.letters.until("READY=1")
    assert master.ask("say(1)") == [1]
    assert master.stop() == 0


def test_after_a_row_of_deaths_the_master_is_as_it_was(service):
    master = wake(service("--idle", "1000s"))
    before = len(descriptors(master.pid))
    for number in range(4):
        victims = [master.template] if number % 2 else master.workers
        reloads = master.log.count("reloaded")
        for victim in victims:
            victim.kill()
        if number % 2:
            eventually(lambda: master.log.count("reloaded") > reloads)  # noqa: B023  # it is asked here and now
        eventually(lambda: len(master.templates) == 1)
        master.all_accept(2)
    check_whole(master, before)


# ### The table


def rows():
    table = (ROOT / "docs" / "reference" / "faults.md").read_text()
    return [
        line.strip("|").split("|")
        for line in table.splitlines()
        if line.startswith("| ") and not line.startswith("| fault ")
    ]


def test_each_row_of_the_table_of_faults_names_tests_that_there_are():
    there = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names = [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        there |= {f"{path.parent.name}/{path.name}::{name}" for name in names if name.startswith("test_")}
    named = {
        f"{path}::{name}" for row in rows() for path, name in re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", row[-1])
    }
    assert named - there == set()
    assert all(re.search(r"`\w+/test_\w+\.py::test_\w+`", row[-1]) for row in rows())
    assert all(all(cell.strip() for cell in row) for row in rows())


def test_the_table_has_a_row_for_each_fault_that_we_answer_for():
    faults = "\n".join(row[0] for row in rows())
    wanted = (
        "import error, segfault, exit, hang, SIGKILL, SIGSEGV, SIGSTOP, out of memory, busy loop, leak, idle, forking, "
        "importing, Master killed, Master stopped, Master hung, Lookout, subprocess, /run full, descriptors, TasksMax, "
        "journal, state, spool, journald, NOTIFY_SOCKET, wall clock, suspend, socket path, backlog, RuntimeDirectory, "
        "TOML"
    )
    assert [fault for fault in wanted.split(", ") if fault not in faults] == []
