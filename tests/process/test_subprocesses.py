"""What the app has started keeps it awake: systemd would kill it without a word."""

from __future__ import annotations

import signal

import pytest
from harness import APPS, IMPATIENT, Process, children, eventually, said, take_time

SLEEP = "KEPT.append(subprocess.Popen(['sleep', '1000'])); say(KEPT[-1].pid)"


@pytest.fixture
def wake_and_start():
    """Wakes it and has a process started by the app."""
    started = []

    def wake_and_start(master):
        with master.start(waiting=SLEEP) as connection:
            started.extend(Process(pid) for pid in said(connection.read()))
        return started[-1]

    yield wake_and_start
    for process in started:
        if not process.gone:
            process.kill()


@pytest.mark.usefixtures("sd")
def test_a_process_that_the_app_has_started_keeps_it_awake_and_is_named(service, wake_and_start):
    master = service("--idle", "0.1")
    process = wake_and_start(master)
    assert f"kept awake by sleep (pid {process.pid})" in master.letters.until("kept awake")
    assert master.ask("say('here')") == ["here"]
    process.kill()
    assert master.wait() == 0
    assert "slept" in master.log


def test_status_names_it_no_longer_when_somebody_comes(service, wake_and_start):
    master = service("--idle", "0.1", "--header-timeout", "60")
    wake_and_start(master)
    master.letters.until("kept awake")
    with master.connect():
        master.letters.until("STATUS=awake, 2 workers")


def test_what_has_ended_and_is_not_waited_for_is_no_process(service):
    master = service("--idle", "0.1")
    with master.start(waiting="KEPT.append(subprocess.Popen(['true'])); say(KEPT[0].pid)") as connection:
        (pid,) = said(connection.read())
    assert pid
    assert master.wait() == 0


def test_a_process_that_one_of_its_workers_has_left_behind_keeps_it_awake_too(service, wake_and_start):
    """Its parent is dead, and it is a child of the Lookout's or of systemd's, not of ours any more."""
    master = service("--idle", "0.3", lookout=True)
    process = wake_and_start(master)
    for worker in master.workers:
        worker.kill()
    assert f"kept awake by sleep (pid {process.pid})" in master.letters.until("kept awake")
    process.kill()
    assert master.wait() == 0


def test_it_may_be_told_not_to_care(service, wake_and_start):
    master = service("--idle", "0.1", "--ignore-subprocesses")
    process = wake_and_start(master)
    assert master.process.wait(20) == 0
    assert "kept awake" not in master.letters
    assert not process.gone
    process.kill()
    assert master.wait() == 0


def test_it_does_not_keep_a_master_that_is_told_to_stop(service, wake_and_start):
    master = service()
    process = wake_and_start(master)
    master.signal(15)
    assert master.process.wait(20) == 0
    assert not process.gone
    process.kill()


def test_a_process_that_is_started_while_all_are_asked_to_be_quiet_keeps_it_awake(service, gate):
    """By a thread of the app: the count of connections knows nothing of it."""
    source = f"""
import threading
def work():
    open({str(gate)!r}).close()
    subprocess.run(["sleep", "1000"])
threading.Thread(target=work, daemon=True).start()
say(os.getpid())
"""
    master = service("--idle", "0.3", "--log-level", "debug")
    with master.start(waiting=source) as connection:
        (working,) = said(connection.read())
    master.all_ready(2)
    (other,) = [worker for worker in master.workers if worker.pid != working]
    other.kill(signal.SIGSTOP)
    master.log.until("do=QUIESCE")
    with gate.open("w"):
        (sleep,) = [Process(pid) for pid in eventually(lambda: children(working), "sleep runs")]
    other.kill(signal.SIGCONT)
    master.log.until("resumed")
    master.letters.until("kept awake by ")
    sleep.kill()
    assert master.wait() == 0


def test_it_keeps_a_master_that_watches_because_the_template_has_died(service, wake_and_start):
    master = service("--doze", "0.2", "--idle", "0.4", "--watch", "0.2", lookout=True)
    process = wake_and_start(master)
    master.letters.until("kept awake by sleep")
    master.template.kill()
    master.letters.until("watching, kept awake by sleep")
    take_time(0.5)  # more than `watch`
    assert master.process.poll() is None
    process.kill()
    assert master.wait() == 0


def test_it_keeps_a_master_whose_app_is_broken(service, wake_and_start, tmp_path):
    master = service(
        "--idle", "0.4", "--pythonpath", str(APPS), app="from knife import *", around=IMPATIENT, lookout=True
    )
    process = wake_and_start(master)
    (tmp_path / "app" / "blog.py").write_text("raise RuntimeError('broken')")
    workers = master.workers
    master.template.kill()
    master.log.until("reload_failed")
    for worker in workers:
        worker.kill()
    master.letters.until("answering 503), kept awake by sleep")
    assert master.process.poll() is None
    process.kill()
    assert master.wait() == 69
