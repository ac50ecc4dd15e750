"""Who else runs in our name: in our cgroup under systemd, below us or our Lookout elsewhere."""

from __future__ import annotations

import atexit
import ctypes
import io
import json
import os
import select
import subprocess
import time
from pathlib import Path

import pytest

from spyglass_systemd.protocols import offspring, strangers

NOBODY = frozenset()
PR_SET_CHILD_SUBREAPER = 36
ALONE = "echo; read line"
WITH_A_CHILD = "exec 3<&0; cat <&3 & echo; wait"  # what runs in the background has no stdin of its own
CGROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))


def found(ours=NOBODY, environ=None, lookout_pid=0):
    return strangers.find(frozenset(ours), environ or {}, lookout_pid)


def pids_of(strangers_found):
    return {pid for pid, _ in strangers_found}


def by_systemd():
    return {"SYSTEMD_EXEC_PID": str(os.getpid())}


@pytest.fixture
def program():
    """Starts a shell that runs until the test is over."""
    started = []

    def program(commands):
        process = subprocess.Popen(["sh", "-c", commands], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        started.append(process)
        process.stdout.readline()
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def in_child(body):
    """What `body(say)` says in a forked child, which is waited for."""
    reader, writer = os.pipe()

    def run():
        os.close(reader)
        atexit._clear()
        body(lambda thing: os.write(writer, json.dumps(thing).encode() + b"\n"))

    pid, pidfd = offspring.fork(run)
    os.close(writer)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    data = b""
    while poll.poll(20_000) and (part := os.read(reader, 65536)):
        data += part
    os.close(reader)
    os.close(pidfd)
    assert offspring.reap(pid) == 0
    return [json.loads(line) for line in data.splitlines()]


def hold():
    """Open for as long as its maker holds the other end: whoever reads it waits."""
    return os.pipe()


# ### Below us


def test_what_is_older_than_we_are_is_not_ours_though_our_lookout_has_started_it(program):
    """`sh -c 'sleep 40 & exec spyglass lookout ...'`: the process that became the Lookout had a life before."""
    older = program(ALONE)
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))  # what proc_pid_stat(5) counts in
    lookout = os.getpid()
    (pids,) = in_child(lambda say: say([pid for pid, _ in found(lookout_pid=lookout)]))
    assert older.pid not in pids


def test_a_program_that_the_app_started_is_found_with_its_name(program):
    process = program(ALONE)
    assert (process.pid, "sh") in found()


def test_what_it_has_started_itself_is_found_too(program):
    of_other_tests = pids_of(found())
    process = program(WITH_A_CHILD)
    pids = pids_of(found()) - of_other_tests
    assert process.pid in pids
    assert len(pids) == 2


def test_our_own_processes_are_none_but_what_they_start_is(program):
    of_other_tests = pids_of(found())
    worker = program(WITH_A_CHILD)
    pids = pids_of(found([worker.pid])) - of_other_tests
    assert worker.pid not in pids
    assert os.getpid() not in pids
    assert len(pids) == 1


def test_the_dead_are_none():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.pid not in pids_of(found())
    process.wait()


@pytest.mark.parametrize("name", ["a b", ") Z 1 (", "((", "\n) R 0"])
def test_a_command_may_be_called_anything(name):
    def body(say):
        reader, writer = hold()
        named, tell = os.pipe()

        def child():
            os.close(writer)
            Path("/proc/self/comm").write_text(name)
            os.write(tell, b".")
            os.read(reader, 1)

        pid, pidfd = offspring.fork(child)
        os.read(named, 1)
        say(dict(found())[pid])
        os.close(writer)
        offspring.reap(pid)
        os.close(pidfd)

    assert in_child(body) == [name.replace("\n", " ")]


def test_processes_that_are_no_ones_of_ours_are_none():
    def body(say):
        say(found())

    assert in_child(body) == [[]]


# ### Below our Lookout


def test_an_orphan_is_found_below_the_lookout_that_inherits_it():
    """A daemon that the app has started: its parent has exited."""

    def stranger_with_no_parent(reader, writer):
        told, tell = os.pipe()

        def parent():
            pid, _ = offspring.fork(lambda: (os.close(writer), os.read(reader, 1)))
            os.write(tell, b"%d" % pid)

        pid, _ = offspring.fork(parent)
        offspring.reap(pid)
        return int(os.read(told, 99))

    def lookout(say):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        me, (reader, writer) = os.getpid(), hold()

        def master():
            orphan = stranger_with_no_parent(reader, writer)
            with_lookout, alone = found(lookout_pid=me), found()
            say([orphan in dict(with_lookout), me in dict(with_lookout), os.getpid() in dict(with_lookout), alone])

        pid, _ = offspring.fork(master)
        offspring.reap(pid)

    assert in_child(lookout) == [[True, False, False, []]]


# ### Under systemd


@pytest.fixture
def cgroup():
    """A cgroup of the hierarchy by which we look, with nobody in it."""
    for mount in CGROUPS:
        at = mount / f"spyglass-test-{os.getpid()}"
        try:
            at.mkdir()
        except OSError:
            continue
        if (at / "cgroup.procs").exists():
            yield at
            at.rmdir()
            return
        at.rmdir()
    pytest.skip("needs a cgroup hierarchy that can be written")


def test_the_members_of_our_cgroup_are_found_wherever_they_come_from(cgroup, program):
    """Under systemd the cgroup is what counts: it is what systemd kills."""
    other = program(ALONE)
    procs = cgroup / "cgroup.procs"
    procs.write_text(str(other.pid))

    def body(say):
        home = strangers._lines("/proc/self/cgroup")
        procs.write_text(str(os.getpid()))
        assert strangers._lines("/proc/self/cgroup") != home
        say(found(environ=by_systemd()))
        say(found([other.pid], environ=by_systemd()))
        say(found(environ={"SYSTEMD_EXEC_PID": "1"}))  # a shell in somebody else's service

    try:
        assert in_child(body) == [[[other.pid, "sh"]], [], []]
    finally:
        other.kill()
        other.wait(20)


def files(monkeypatch, contents):
    """A system of which only these files can be read, and /proc/PID/stat of everybody."""

    def read(path, **_):
        if path in contents:
            return io.StringIO(contents[path])
        if path.endswith("/stat"):
            return io.StringIO(f"{path.split('/')[2]} (cmd) S 1 {' '.join('0' * 20)}")
        raise FileNotFoundError

    monkeypatch.setattr(strangers, "open", read, raising=False)


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("0::/system.slice/x.service", "/sys/fs/cgroup/system.slice/x.service"),
        ("0::/system.slice/x.service", "/sys/fs/cgroup/unified/system.slice/x.service"),
        ("1:name=systemd:/system.slice/x.service", "/sys/fs/cgroup/systemd/system.slice/x.service"),
        ("0::/a:b", "/sys/fs/cgroup/a:b"),
    ],
)
def test_a_cgroup_is_found_in_each_way_that_hierarchies_are_mounted(monkeypatch, line, path):
    me = os.getpid()
    files(monkeypatch, {"/proc/self/cgroup": f"4:memory:/elsewhere\n{line}\n", f"{path}/cgroup.procs": f"{me}\n7\n5\n"})
    assert found(environ=by_systemd()) == ((5, "cmd"), (7, "cmd"))


def test_a_cgroup_that_does_not_have_us_in_it_is_not_ours(monkeypatch):
    me = os.getpid()
    procs = {
        "/proc/self/cgroup": "1:name=systemd:/x\n0::/x\n",
        "/sys/fs/cgroup/systemd/x/cgroup.procs": "5\n",
        "/sys/fs/cgroup/x/cgroup.procs": "6\n",
        "/sys/fs/cgroup/unified/x/cgroup.procs": f"{me}\n7\n",
    }
    files(monkeypatch, procs)
    assert found(environ=by_systemd()) == ((7, "cmd"),)


def test_where_no_cgroup_can_be_read_there_is_nobody(monkeypatch):
    files(monkeypatch, {"/proc/self/cgroup": "0::/x\n"})
    assert found(environ=by_systemd()) == ()


def test_whoever_goes_while_we_look_is_none(monkeypatch):
    me = os.getpid()
    contents = {"/proc/self/cgroup": "0::/x\n", "/sys/fs/cgroup/x/cgroup.procs": f"{me}\n5\n", "/proc/5/stat": ""}
    files(monkeypatch, contents)
    assert found(environ=by_systemd()) == ()
