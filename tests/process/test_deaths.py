"""Deaths of every process at every time: the port answers again without anyone's help, and nobody is left behind."""

from __future__ import annotations

import os
import signal

import pytest
from harness import APPS, AROUND, IMPATIENT, Process, eventually, said, slow_to_come, take_time, wait_at

SEGFAULT = "import ctypes; ctypes.string_at(0)"


def wake(master, workers=2):
    """Start it; wait until all its workers accept."""
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept(workers)
    return master


def answers_again(master):
    """Whether the port answers, asked until it does."""
    return eventually(lambda: master.request("say(os.getpid())").status == 200)


# ### A worker


def test_when_a_worker_dies_the_others_serve_and_another_takes_its_place(service):
    master = wake(service())
    victim, other = master.workers
    victim.kill()
    assert master.ask("say(os.getpid())") != [victim.pid]
    assert master.log.until("worker_died").endswith(f'pid={victim.pid} worker_died how="signal SIGKILL" reason=""')
    rows = master.all_accept(2)
    assert {row["pid"] for row in rows} == {worker.pid for worker in master.workers}
    assert other.pid in {row["pid"] for row in rows}
    assert victim.pid not in {row["pid"] for row in rows}


def test_when_all_workers_die_the_port_answers_again(service):
    master = wake(service())
    victims = master.workers
    for victim in victims:
        victim.kill()
    (pid,) = master.ask("say(os.getpid())")
    assert pid not in {victim.pid for victim in victims}
    assert "failed" not in master.log


def test_the_dead_are_counted_in_what_was_done(service):
    master = wake(service("--idle", "0.3"))
    for victim in master.workers:
        victim.kill()
    eventually(lambda: master.log.count("worker_died") == 2)
    assert master.wait() == 0
    assert master.log.until("slept").count("requests=1 connections=1") == 1


@pytest.mark.parametrize(
    ("source", "how"),
    [
        (SEGFAULT, 'how="signal SIGSEGV'),
        ("os._exit(3)", 'how="exit 3"'),
        ("os.kill(os.getpid(), 9)", 'how="signal SIGKILL"'),
        ("os.abort()", 'how="signal SIGABRT'),
    ],
)
def test_an_app_that_ends_its_process_loses_that_request_only(service, source, how):
    master = wake(service())
    with master.connect().ask(source) as connection:
        assert connection.sock.recv(1) == b""
    assert how in master.log.until("worker_died")
    assert master.ask("say('here')") == ["here"]
    master.all_accept(2)


@pytest.mark.parametrize("source", ["sys.exit(3)", "raise KeyboardInterrupt", "raise MemoryError"])
def test_an_app_that_raises_to_leave_does_not_end_its_worker(service, source):
    master = wake(service())
    workers = {worker.pid for worker in master.workers}
    assert master.request(source).status == 500
    assert master.ask("say(os.getpid())")[0] in workers
    assert "worker_died" not in master.log


def test_workers_that_die_whenever_they_boot_are_a_broken_app(service):
    master = service("--no-preload", app="import os\nos._exit(3)")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert "3 workers in a row died before they could accept: exit 3" in master.log.until(" failed ")
    master.letters.until("READY=1")


def test_an_app_that_cannot_be_loaded_in_a_worker_is_a_broken_app(service):
    master = service("--no-preload", app="import nosuch")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert "No module named 'nosuch'" in master.log.until(" failed ")
    master.log.until("ModuleNotFoundError")  # the last line of it
    assert master.log.count("Traceback") == 1


def test_a_worker_that_has_stopped_answering_a_quiesce_is_replaced_not_waited_for_for_ever(service):
    """SIGSTOP: it holds nobody, and does not answer."""
    impatient = AROUND.format(before="from spyglass_systemd.processes import vigil; vigil._PROOF_LIMIT = 0.2", after="")
    master = service("--idle", "0.3", "--log-level", "debug", around=impatient)
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_ready(2)
    stopped = master.workers[0]
    stopped.kill(signal.SIGSTOP)
    assert 'reason="did not answer a quiesce"' in master.log.until("worker_died")
    assert stopped.wait()
    assert master.wait() == 0


# ### The Template


def test_when_the_template_dies_its_workers_serve_on_until_others_have_come(service, gate):
    master = wake(service())
    old, template = master.workers, master.template
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        template.kill()
        assert 'how="signal SIGKILL"' in master.log.until("template_died")
        master.log.until("reloaded")
        eventually(lambda: master.ask("say(os.getppid())") == [master.template.pid])
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    for worker in old:
        assert worker.wait()
    master.all_accept(2)
    assert "worker_died" not in master.log


def test_when_the_template_dies_before_the_master_has_read_anything_its_worker_serves_on(service, gate, tmp_path):
    os.mkfifo(tmp_path / "import")
    master = service("--workers", "1", around=slow_to_come(tmp_path / "import"))
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    with master.connect().ask(wait_at(gate)) as connection:
        master.in_flight()
        master.template.kill()
        with (tmp_path / "import").open("w"):
            pass
        master.log.until("reloaded")
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered"]
    assert "failed" not in master.log


def test_when_the_template_and_all_workers_die_the_port_answers_again(service):
    master = wake(service())
    victims = [master.template, *master.workers]
    for victim in victims:
        victim.kill(signal.SIGSTOP)
    for victim in victims:
        victim.kill()
    answers_again(master)
    master.all_accept(2)
    assert master.stop() == 0


def test_when_the_template_dies_while_it_imports_the_app_is_answered_for_and_tried_again(service, gate, tmp_path):
    wait = f"import os\nif not os.path.exists({str(tmp_path / 'mended')!r}): open({str(gate)!r}).close()\n"
    master = service(app=wait + "from wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        eventually(lambda: len(master.templates) == 1)
        (tmp_path / "mended").touch()
        master.template.kill()
        answer = connection.read()
    assert answer.status == 503
    assert int(answer.fields["retry-after"]) >= 1
    assert "the app ended the process that imported it: signal SIGKILL" in master.log.until(" failed ")
    eventually(lambda: master.request().status == 200)
    assert "attempts=1" in master.log.until("recovered")


def test_a_template_that_dies_again_and_again_does_not_end_the_service_of_its_workers(service, tmp_path):
    """Its successor cannot be loaded: the old workers serve on, and it is tried again until it can."""
    master = service(app="from wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.all_accept(2)
    blog = tmp_path / "app" / "blog.py"
    good = blog.read_text()
    blog.write_text("raise RuntimeError('broken since')")
    old = master.workers
    master.template.kill()
    assert "broken since" in master.log.until("reload_failed")
    assert master.request().status == 200
    assert not any(worker.gone for worker in old)
    blog.write_text(good)
    master.log.until("reloaded")
    for worker in old:
        assert worker.wait()
    assert master.request().status == 200


def test_when_the_last_worker_of_a_lost_template_dies_the_next_ones_come_at_once(service, tmp_path):
    """It was to be tried again in a thousand seconds, while the old workers served on."""
    patient = AROUND.format(
        before="from spyglass_systemd.policy import respawn; respawn.pause = lambda _: 1e3", after=""
    )
    master = service(
        "--workers", "1", "--idle", "1h", "--pythonpath", str(APPS), app="from knife import *", around=patient
    )
    with master.start(waiting="say(1)") as connection:
        connection.read()
    (worker,) = master.workers
    blog = tmp_path / "app" / "blog.py"
    blog.write_text("raise RuntimeError('broken since')")
    master.template.kill()
    master.log.until("reload_failed")
    blog.write_text("from knife import *")
    worker.kill()
    assert master.ask("say(2)") == [2]
    assert master.stop() == 0


# ### The Master


def test_when_the_master_dies_all_below_it_end(service):
    master = wake(service())
    below = [master.template, *master.workers]
    master.process.kill()
    for process in below:
        assert process.wait()
    assert master.wait() == -signal.SIGKILL
    assert master.members() == []


def test_when_the_master_dies_what_is_accepted_is_answered(service, gate):
    master = wake(service())
    below = [master.template, *master.workers]
    with master.connect().ask(wait_at(gate)) as busy, master.connect() as silent:
        master.in_flight()
        master.has_open(2)
        master.process.kill()
        assert below[0].wait()
        take_time(0.3)
        assert said(silent.ask("say('answered')").read()) == ["answered"]
        with gate.open("w"):
            pass
        assert said(busy.read()) == ["answered"]
    for process in below:
        assert process.wait()


def test_when_the_master_dies_while_the_app_is_imported_the_import_ends(service, gate):
    master = service(app=f"open({str(gate)!r}).close()\nfrom wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        eventually(lambda: len(master.templates) == 1)
        template = master.template
        master.letters.until("EXTEND_TIMEOUT_USEC=")
        master.process.kill()
        with gate.open("w"):  # to kill it is the service manager's, who has its cgroup; left alone, it goes by itself
            pass
        assert template.wait()
        assert master.wait() == -signal.SIGKILL
        assert connection.sock.fileno() > 0


def test_when_the_master_dies_with_a_connection_waiting_the_next_one_answers_it(service):
    master = wake(service())
    below = [Process(pid) for pid in master.members() if pid != master.pid]
    for process in below:
        process.kill(signal.SIGSTOP)
    with master.connect().ask("say('answered')") as connection:
        for process in [master.process, *below]:
            process.kill()
        assert master.wait() == -signal.SIGKILL
        master.start()
        assert said(connection.read()) == ["answered"]


def test_after_a_reload_too_all_below_a_master_that_dies_end(service):
    """A second Template must not hold the first one's channels: who waits for their end would wait for ever."""
    master = wake(service())
    for _ in range(2):
        master.signal(signal.SIGHUP)
        master.log.until("reloaded")
    master.all_accept(2)
    below = [Process(pid) for pid in master.members() if pid != master.pid]
    master.process.kill()
    for process in below:
        assert process.wait()


def test_requests_that_kill_their_workers_again_and_again_do_not_keep_the_others_waiting(service):
    master = service("--workers", "1", around=IMPATIENT)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    for _ in range(12):
        with master.connect().ask("os._exit(3)") as connection:
            assert connection.sock.recv(1) == b""
    assert master.ask("say('here')") == ["here"]
    assert "failed" not in master.log


def test_nobody_falls_asleep_while_all_workers_are_dead_and_somebody_waits(service):
    master = service("--workers", "1", "--idle", "0.1")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    for _ in range(2):
        with master.connect().ask("os._exit(3)") as connection:
            assert connection.sock.recv(1) == b""
    assert master.ask("say('here')") == ["here"]
    assert "resumed" not in master.log
    assert master.wait() == 0


@pytest.fixture
def bereaved(service):
    """A Master that waits for ever before it replaces a worker that has died; another one serves."""

    def bereaved(*options):
        forever = "from spyglass_systemd.policy import respawn; respawn.delay.__defaults__ = 1000.0, 1000.0"
        master = wake(service(*options, around=AROUND.format(before=forever, after="")))
        for number in (1, 2):  # the first is replaced at once
            victim = master.workers[-1]
            victim.kill()
            eventually(lambda: master.log.count("worker_died") == number)  # noqa: B023  # it is asked here and now
            if number == 1:
                master.all_accept(2)
        return master

    return bereaved


def test_what_died_before_keeps_no_new_generation_waiting(bereaved):
    master = bereaved()
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    master.all_accept(2)


def test_what_died_before_keeps_nobody_waiting_who_rouses_the_app(bereaved):
    master = bereaved("--doze", "0.5")
    master.log.until("dozed")
    assert master.ask("say('here')") == ["here"]


# ### Between a fork and what is said of it


def dies_unsaid(flag):
    """For `around`: where `flag` is, the next Template that forks a worker dies before it can tell the Master."""
    return AROUND.format(
        before=f"""
import os
from spyglass_systemd.protocols import offspring
fork = offspring.fork
def fork_and_die(body, *, join=True, **more):
    found = fork(body, join=join, **more)
    if join and os.path.exists({str(flag)!r}):
        os.unlink({str(flag)!r})
        os.kill(os.getpid(), 9)
    return found
offspring.fork = fork_and_die
""",
        after="",
    )


def test_a_worker_whose_template_died_before_it_could_say_so_serves_as_any_other(service, gate, tmp_path):
    master = wake(service("--workers", "1", around=dies_unsaid(tmp_path / "flag")), 1)
    master.log.until(" ready ")
    (tmp_path / "flag").touch()
    master.workers[0].kill()
    with master.connect().ask(f"say(os.getpid())\n{wait_at(gate)}") as connection:
        master.in_flight()
        master.log.until("reloaded")
        (row,) = [row for row in master.rows() if row["in_flight"]]
        eventually(lambda: master.ask("say(os.getppid())") == [master.template.pid])
        assert len(master.rows()) == 2
        with gate.open("w"):
            pass
        assert said(connection.read()) == [row["pid"], "answered"]
    master.all_accept(1)
    assert len(master.members()) == 3
    assert master.stop() == 0


def test_a_worker_whose_template_died_before_it_could_say_so_may_die_as_any_other(service, tmp_path):
    master = wake(service("--workers", "1", around=dies_unsaid(tmp_path / "flag")), 1)
    master.log.until(" ready ")
    (tmp_path / "flag").touch()
    old = master.workers[0].pid
    master.workers[0].kill()
    with master.connect().ask("os._exit(3)") as connection:
        assert connection.sock.recv(1) == b""
    assert master.ask("say('here')") == ["here"]
    (row,) = master.all_accept(1)
    assert row["pid"] != old
    assert master.stop() == 0


# ### Between the wake of a worker and its accept

DIES_AT_THE_DOOR = """
import os
from spyglass_systemd.backends.wsgi.entrance import Entrance
turn = Entrance.turn
def turn_or_die(self, fds):
    if os.path.exists({flag!r}):
        os.unlink({flag!r})
        os.kill(os.getpid(), 9)
    return turn(self, fds)
Entrance.turn = turn_or_die
from spyglass_systemd.policy import respawn
respawn.delay.__defaults__ = 1000.0, 1000.0
"""


def test_whoever_a_dying_worker_was_woken_for_is_seen_by_another(service, tmp_path):
    """EPOLLEXCLUSIVE wakes one worker. If that one dies before it accepts, the others sleep on."""
    around = AROUND.format(before=DIES_AT_THE_DOOR.format(flag=str(tmp_path / "flag")), after="")
    master = wake(service("--workers", "3", around=around), 3)
    for count in (1, 2):  # the first is replaced at once, and a new one looks into the backlog by itself
        (tmp_path / "flag").touch()
        assert master.ask("say('here')") == ["here"]
        eventually(lambda: master.log.count("worker_died") == count)  # noqa: B023  # it is asked here and now
        master.all_accept(4 - count)
