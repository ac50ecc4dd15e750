"""The scoreboard, read as any tool reads it: by another process, without asking anybody."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess

import pytest
from harness import eventually, said, wait_at

from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.words.states import State


def state(master):
    header, _ = master.board()
    return list(State)[header[scoreboard.H_STATE]]


def wake(master, workers=2):
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept(workers)
    master.has_open(0)
    return master


def test_the_board_says_in_which_state_the_app_is(service, gate):
    app = f"open({str(gate)!r}).close()\nfrom wsgiref.simple_server import demo_app as app"
    master = service("--doze", "0.1", app=app)
    master.start()
    eventually(lambda: (master.run / "scoreboard").exists() and state(master) is State.WATCHING)
    with master.connect().ask() as connection:
        eventually(lambda: state(master) is State.WAKING)
        with gate.open("w"):
            pass
        assert connection.read().status == 200
    eventually(lambda: state(master) is State.AWAKE)
    eventually(lambda: state(master) is State.DOZING)
    assert master.stop() == 0
    assert state(master) is State.ASLEEP


def test_the_board_says_that_an_app_is_broken(service):
    master = service(app="import nosuch")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert state(master) is State.FAILED
    header, rows = master.board()
    assert header[scoreboard.H_FAILURES] == 1
    assert rows == []


def test_the_board_shows_each_worker_and_what_it_does(service, gate):
    master = wake(service())
    rows = master.rows()
    assert {row["pid"] for row in rows} == {worker.pid for worker in master.workers}
    assert {row["worker"] for row in rows} == {1, 2}
    assert {row["generation"] for row in rows} == {1}
    assert sum(row["requests"] for row in rows) == sum(row["accepted"] for row in rows) == 1
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        (busy,) = [row for row in master.rows() if row["in_flight"]]
        assert busy["open"] == 1
        assert busy["requests"] == busy["answered"] + 1
        with gate.open("w"):
            pass
        connection.read()
    master.has_open(0)
    assert sum(row["answered"] for row in master.rows()) == 2
    assert not any(row["in_flight"] for row in master.rows())


def test_the_phases_of_the_wake_are_on_the_board(service):
    master = wake(service())
    header, _ = master.board()
    assert header[scoreboard.H_PID] == master.pid
    assert 0 < header[scoreboard.H_BEGAN] <= header[scoreboard.H_READY]
    for phase in (scoreboard.H_PYTHON_US, scoreboard.H_IMPORT_US, scoreboard.H_BOOT_US):
        assert header[phase] > 0
    ready = master.log.until(" ready ")
    assert re.search(r"ms=\d+\.\d python=\d+\.\d load=\d+\.\d boot=\d+\.\d$", ready)


def test_the_row_of_a_dead_worker_is_cleared_and_what_it_did_is_kept(service):
    master = wake(service("--workers", "1"), 1)
    (victim,) = master.workers
    victim.kill()
    master.log.until("worker_died")
    rows = master.all_accept(1)
    assert victim.pid != rows[0]["pid"]
    assert rows[0]["requests"] == 0
    header, _ = master.board()
    assert header[scoreboard.H_PAST_REQUESTS] == header[scoreboard.H_PAST_ANSWERED] == 1


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_whoever_may_enter_the_directory_may_read_the_board_and_nobody_else_may_write(service, umask):
    old = os.umask(umask)
    try:
        master = wake(service())
    finally:
        os.umask(old)
    assert stat.S_IMODE((master.run / "scoreboard").stat().st_mode) == 0o644
    assert [entry.name for entry in master.run.iterdir()] == ["scoreboard"]


def test_each_master_makes_its_board_anew(service):
    """Who has the old one open keeps it whole."""
    master = service("--idle", "0.1")
    boards = []
    for _ in range(2):
        with master.start(waiting="say(1)") as connection:
            connection.read()
        with (master.run / "scoreboard").open("rb") as file:
            assert master.wait() == 0
            boards.append((os.fstat(file.fileno()).st_ino, len(file.read())))
    assert boards[0][0] != boards[1][0]
    assert boards[0][1] == boards[1][1]


def test_without_a_directory_to_put_it_in_the_app_is_served_all_the_same(service):
    master = service("--idle", "0.1")
    master.run.rmdir()
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    assert master.wait() == 0


@pytest.mark.skipif(os.geteuid() or not shutil.which("mount"), reason="needs to mount a tmpfs")
def test_on_a_full_tmpfs_the_app_is_served_all_the_same(service):
    """A store into a hole of a full tmpfs is a SIGBUS, not an error."""
    master = service("--idle", "0.1")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "none", master.run], check=False).returncode:
        pytest.skip("needs to mount a tmpfs")
    try:
        (master.run / "full").write_bytes(b"x" * 4096)
        with master.start(waiting="say(1)") as connection:
            assert said(connection.read()) == [1]
        assert master.wait() == 0
        assert [entry.name for entry in master.run.iterdir()] == ["full"]
    finally:
        subprocess.run(["umount", "-l", master.run], check=True)
