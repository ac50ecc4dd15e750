"""A crew of real processes, and what may come in one turn of the Master's loop."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from spyglass_systemd.processes import hearing
from spyglass_systemd.processes import patience as module
from spyglass_systemd.processes.alarm import Alarm
from spyglass_systemd.processes.crew import Crew
from spyglass_systemd.processes.roster import ACCEPTING, WorkerHandle
from spyglass_systemd.processes.succession import Succession
from spyglass_systemd.protocols import control, offspring
from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words.listener import AF_UNIX, Listener
from spyglass_systemd.words.options import Settings
from spyglass_systemd.words.reports import Accepting, Forked, Quiesced, Resume, Said
from spyglass_systemd.words.states import Event

LIMIT = 20.0  # seconds
APP = "import atexit\natexit._clear()\ndef app(environ, start_response): pass\n"


class Log:
    def __init__(self):
        self.events = []

    def event(self, name, *_, **fields):
        self.events.append((name, fields))

    def __contains__(self, name):
        return name in [event for event, _ in self.events]

    def fields_of(self, name):
        """Of the one event of this name."""
        (fields,) = [fields for event, fields in self.events if event == name]
        return fields


class World:
    """A crew, and the loop of a Master that turns when it is told to."""

    def __init__(self, directory, app=APP, **settings):
        (directory / "blog.py").write_text(app)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(directory / "s"))
        self.sock.listen()
        self.sock.setblocking(False)
        self.board = Scoreboard.create("", 8, os.getpid())
        self.log = Log()
        self.events = []
        self.alarm = Alarm()
        settings = Settings(app="blog:app", name="blog", chdir=str(directory), **settings)
        listeners = (Listener(self.sock.fileno(), "", AF_UNIX, str(directory / "s")),)
        self.crew = Crew(listeners, self.board, settings, self.log, self.events.append)

    def begin(self):
        self.crew.roster.current = self.crew.begin(())
        return self.crew.roster.current

    def turn(self, timeout_ms=50.0):
        """All that is ready has its say, as in Master._wait."""
        sources = hearing.sources(self.crew)
        poll = select.poll()
        for fd, (events, _) in sources.items():
            poll.register(fd, events)
        for fd, _ in poll.poll(timeout_ms):
            sources[fd][1]()

    def check(self, **how):
        self.alarm.reset()
        self.crew.check(self.alarm, **({"may_fork": True, "first_only": False} | how))

    def run(self, until):
        eventually(until, self.turn)

    def run_all(self, until, **how):
        eventually(until, lambda: (self.check(**how), self.turn()))

    def close(self):
        for worker in self.crew.roster.workers():
            worker.channel.close()
        self.crew.kill_all("the test is over")
        self.run_all(lambda: not self.crew.roster.generations, may_fork=False)
        self.sock.close()


def eventually(until, meanwhile=lambda: time.sleep(0.005)):
    deadline = time.monotonic() + LIMIT
    while not until():
        assert time.monotonic() < deadline
        meanwhile()


def gone(pid):
    """Dead, and waited for."""
    return not Path(f"/proc/{pid}").exists()


def readable(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


@pytest.fixture
def world(tmp_path):
    worlds = []

    def world(*args, **settings):
        worlds.append(World(tmp_path, *args, **settings))
        return worlds[-1]

    yield world
    for each in worlds:
        each.close()


def awake(world):
    """One generation whose first worker accepts; both."""
    generation = world.begin()
    (worker,) = generation.workers.values()
    world.run(lambda: Event.READY in world.events and worker.pid)
    world.events.clear()
    assert worker.state == ACCEPTING
    return generation, worker


# ### What comes in one turn


def test_a_worker_and_the_template_that_has_reaped_it_may_be_found_dead_at_once(world):
    world = world()
    generation, worker = awake(world)
    offspring.send_signal(worker.pidfd, signal.SIGKILL)
    eventually(lambda: gone(worker.pid))
    eventually(lambda: readable(generation.channel.fileno()))  # it has told how
    offspring.send_signal(generation.pidfd, signal.SIGKILL)
    eventually(lambda: readable(generation.pidfd))
    world.turn()
    assert world.crew.roster.generations == {}
    assert world.events == [Event.TEMPLATE_LOST]
    assert world.log.fields_of("worker_died")["how"] == "signal SIGKILL"


def test_a_worker_that_nobody_has_reaped_is_buried_with_its_template(world):
    world = world()
    generation, worker = awake(world)
    offspring.send_signal(generation.pidfd, signal.SIGSTOP)  # it will not say how
    offspring.send_signal(worker.pidfd, signal.SIGKILL)
    eventually(lambda: readable(worker.pidfd))
    world.turn()
    assert generation.workers
    offspring.send_signal(generation.pidfd, signal.SIGKILL)
    eventually(lambda: readable(generation.pidfd))
    world.turn()
    assert world.crew.roster.generations == {}


def test_a_worker_that_accepts_counts_before_the_loss_of_its_template_and_never_after(world):
    """It serves on. Whoever is heard of later is no reason to be ready: his generation may be thrown away by then."""
    world = world()
    generation = world.begin()
    (worker,) = generation.workers.values()
    eventually(lambda: readable(worker.channel.fileno()))  # it accepts, and says so
    offspring.send_signal(generation.pidfd, signal.SIGKILL)
    eventually(lambda: readable(generation.pidfd))
    world.turn()
    assert world.events == [Event.READY, Event.TEMPLATE_LOST]
    world.crew._accepting(worker, Accepting(1))
    assert world.events == [Event.READY, Event.TEMPLATE_LOST]


def test_a_successor_that_is_said_to_be_ready_twice_succeeds_once():
    current = object()
    roster = SimpleNamespace(current=current, successor=None)
    Succession.succeed(SimpleNamespace(_crew=SimpleNamespace(roster=roster)))
    assert roster.current is current


# ### Workers that cannot start the app

FIRST_ONLY = """
try:
    open("first", "x").close()
except FileExistsError:
    raise ValueError("not twice")
"""


def test_one_worker_that_cannot_start_the_app_does_not_keep_others_from_being_tried(world):
    world = world(APP + FIRST_ONLY, preload=False, workers=2)
    generation, _ = awake(world)
    world.run_all(lambda: "worker_died" in world.log)
    assert generation.trouble == ("", "")
    assert world.log.fields_of("worker_died")["reason"] == "importing 'blog': ValueError: not twice"
    Path(world.crew.settings.chdir, "first").unlink()
    world.run_all(lambda: len(generation.accepting) == 2)
    assert Event.BROKEN not in world.events


def test_a_generation_of_which_no_worker_can_start_the_app_is_broken_with_its_reason(world):
    world = world(APP + "1 / 0\n", preload=False)
    generation = world.begin()
    world.run_all(lambda: Event.BROKEN in world.events)
    assert world.events == [Event.BROKEN]
    summary, trace = generation.trouble
    assert summary == "importing 'blog': ZeroDivisionError: division by zero"
    assert "1 / 0" in trace


@pytest.mark.parametrize(("kind", "broken"), [("raw", True), ("wsgi", False)])
def test_a_kind_of_which_no_worker_lives_breaks_the_app_though_another_kind_serves(world, kind, broken):
    world = world()
    generation, _ = awake(world)
    for number in range(10, 14):
        worker = WorkerHandle(number, 1, None, world.board.rows[7], time.monotonic(), kind)
        world.crew._replace(generation, worker, "exit 1")
    assert world.events == [Event.BROKEN] * broken


# ### Templates that do not go


def test_a_template_that_does_not_leave_is_ended(world, monkeypatch):
    monkeypatch.setattr(module, "_LEAVE", 0.05)
    world = world(APP + "import sys, threading\nsys.stdout.flush = lambda: threading.Event().wait()\n")
    generation = world.begin()
    world.run(lambda: generation.loaded)
    world.crew.release(generation)
    world.run_all(lambda: generation.lost)
    assert "template_died" not in world.log


def test_to_release_a_template_twice_gives_it_no_more_time(world):
    world = world()
    generation, _ = awake(world)
    world.crew.release(generation)
    since = generation.born
    world.crew.release(generation)
    assert generation.born == since


# ### Children are not believed blindly


def speaking_for(worker):
    """The worker's end of its channel, in our hands: it has lost its own, and goes."""
    worker.channel.close()
    worker.channel, theirs = control.pair()
    return theirs


def test_a_worker_that_sends_what_is_no_message_is_hung_up_on_and_replaced(world):
    world = world(workers=1)
    generation, worker = awake(world)
    line = speaking_for(worker)
    with socket.socket(fileno=line.detach()) as sock:
        sock.send(b"GET / HTTP/1.1")
        world.turn()
        assert worker.channel.closed
        assert sock.recv(1) == b""
    world.run_all(lambda: worker.number not in generation.workers and len(generation.accepting) == 1)


@pytest.mark.parametrize("report", [Said("x", 6, "y"), Quiesced(1, 1, 1)])
def test_descriptors_that_a_worker_sends_are_not_kept(world, report):
    world = world()
    _, worker = awake(world)
    line = speaking_for(worker)
    reader, writer = os.pipe()
    line.send(report, (writer,))
    world.turn()
    assert os.read(reader, 1) == b""
    os.close(reader)
    line.close()


def test_a_worker_that_says_what_only_others_say_is_not_heard(world):
    world = world()
    _, worker = awake(world)
    line = speaking_for(worker)
    line.send(Resume(1))
    line.send(Forked(1, 1, 1))
    world.turn()
    assert world.events == []
    line.close()


# ### Who may have accepted somebody


def test_an_answer_to_an_older_quiesce_does_not_dismiss_who_retires(world):
    world = world(workers=1)
    _, worker = awake(world)
    world.crew.quiesce("sleep")
    eventually(lambda: readable(worker.channel.fileno()))  # its answer, unread
    offspring.send_signal(worker.pidfd, signal.SIGSTOP)
    world.crew.resume()
    world.crew.retire(worker, "stop")
    world.turn()
    try:
        assert not worker.quiet
    finally:
        offspring.send_signal(worker.pidfd, signal.SIGCONT)
    world.run(lambda: worker.quiet)


def test_workers_of_a_discarded_generation_finish(world):
    world = world(workers=1)
    generation, worker = awake(world)
    world.crew.discard(generation)
    assert not worker.doomed
    world.run_all(lambda: not world.crew.roster.generations, may_fork=False)
    assert "worker_retired" in world.log


# ### A Master without descriptors


def test_a_worker_whose_pidfd_finds_no_room_goes_and_another_is_tried(world):
    world = world(workers=1)
    generation = world.begin()
    eventually(lambda: world.board.rows[0].state == row_cells.ACCEPTING)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filler = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filler.append(os.dup(0))
        world.run(lambda: generation.workers[1].pid)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in filler:
            os.close(fd)
    (worker,) = generation.workers.values()
    assert (worker.pidfd, worker.channel.fileno()) == (-1, -1)
    assert "LimitNOFILE=" in worker.reason
    world.run_all(lambda: worker.number not in generation.workers and len(generation.accepting) == 1)
