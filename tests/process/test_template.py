"""A Template in the hands of a Master that the test is: what it has, what it says, when it goes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from pathlib import Path

import pytest

from spyglass_systemd.processes import template
from spyglass_systemd.protocols import offspring
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words.listener import AF_UNIX, Listener
from spyglass_systemd.words.options import Settings
from spyglass_systemd.words.reports import Accepting, Broken, Forked, Loaded, NotForked, Reaped, Stop

LIMIT = 20.0  # seconds
# It answers with what `said()` returns. The test run's own atexit functions are none of its.
APP = """
import atexit, gc, json, os
atexit._clear()
def said():
    return None
def app(environ, start_response):
    body = json.dumps(said()).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Master:
    """What a Master has: a board, a listener, generations; and what it hears."""

    def __init__(self, directory):
        self.directory = directory
        self.board = Scoreboard.create("", 8, os.getpid())
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(str(directory / "s"))
        self.sock.listen()
        self.sock.setblocking(False)
        self.generations = []
        self.pidfds = []
        self.workers = 0

    def start(self, app=APP, *, foreign=(), **settings):
        (self.directory / "blog.py").write_text(app)
        listeners = (Listener(self.sock.fileno(), "", AF_UNIX, str(self.directory / "s")),)
        settings = Settings(app="blog:app", name="blog", chdir=str(self.directory), **settings)
        self.generations.append(template.start(1, listeners, self.board, settings, foreign))
        return self.generations[-1]

    def hire(self, generation):
        self.workers += 1
        return template.hire(generation, self.workers, self.board.free_row())

    def hear(self, source, kind):
        """The next report of this kind from a Template or a worker, with what came along; others are passed over."""
        deadline = time.monotonic() + LIMIT
        poll = select.poll()
        poll.register(source.channel.fileno(), select.POLLIN)
        while True:
            for i, (report, fds) in enumerate(heard := self._rest(source)):
                self.pidfds += fds
                if isinstance(report, kind):
                    self._kept[source.channel] = heard[i + 1 :]
                    return report, fds
            assert not source.channel.closed, f"{kind.__name__} was never said"
            assert poll.poll((deadline - time.monotonic()) * 1000), f"{kind.__name__} was not said"

    def _rest(self, source):
        return self._kept.pop(source.channel, []) + source.channel.receive()

    _kept: dict = {}  # noqa: RUF012  # heard with something else, and not yet asked for

    def ask(self):
        """What the app says to one request."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(str(self.directory / "s"))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while part := client.recv(65536):
                data += part
        head, _, body = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), data
        return json.loads(body)

    def close(self):
        for generation in self.generations:
            for worker in generation.workers.values():
                worker.channel.close()
            generation.channel.close()
            offspring.send_signal(generation.pidfd, signal.SIGKILL)
            offspring.reap(generation.pid)
            os.close(generation.pidfd)
        for pidfd in self.pidfds:
            ends(pidfd)
            os.close(pidfd)
        self.sock.close()


def ends(pidfd):
    """Wait for the end of a process."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(LIMIT * 1000), "it did not end"


def status_of(generation):
    ends(generation.pidfd)
    return os.waitstatus_to_exitcode(os.waitid(os.P_PIDFD, generation.pidfd, os.WEXITED | os.WNOWAIT).si_status << 8)


@pytest.fixture
def master(tmp_path):
    master = Master(tmp_path)
    yield master
    master.close()


@pytest.fixture
def gate(tmp_path):
    """An app that opens this for reading waits until the test opens it for writing."""
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


# ### The import


def test_it_says_what_it_has_loaded(master):
    generation = master.start()
    report, _ = master.hear(generation, Loaded)
    assert report.import_us > 0
    assert report.kinds == "wsgi"
    assert report.threads == ""


def test_it_says_which_threads_the_app_has_started(master):
    wait = "threading.Thread(target=threading.Event().wait, name={!r}).start()\n"
    generation = master.start(APP + "import threading\n" + wait.format("poller") + wait.format("mailer"))
    assert sorted(master.hear(generation, Loaded)[0].threads.splitlines()) == ["mailer", "poller"]


def test_it_says_which_threads_python_does_not_know_of(master):
    source = (
        "import _thread; lock = _thread.allocate_lock(); lock.acquire(); _thread.start_new_thread(lock.acquire, ())\n"
    )
    (name,) = master.hear(master.start(APP + source), Loaded)[0].threads.splitlines()
    assert name.startswith(("python", "pytest"))


def test_an_app_that_does_not_load_is_told_of_with_its_traceback_and_the_template_leaves(master):
    generation = master.start(f"{APP}\n1 / 0\n")
    report, _ = master.hear(generation, Broken)
    assert report.summary == "importing 'blog': ZeroDivisionError: division by zero"
    assert report.trace.splitlines()[1].strip().startswith(f'File "{master.directory}/blog.py"')
    assert status_of(generation) == 0


def test_what_to_do_about_it_is_told_too(master):
    generation = master.start(APP.replace("def app(", "def application("))
    assert master.hear(generation, Broken)[0].summary.endswith("(did you mean 'application'?)")


def test_an_app_that_ends_the_process_ends_it_with_its_own_status(master):
    generation = master.start("import os\nos._exit(3)\n")
    assert status_of(generation) == 3
    assert generation.channel.receive() == []
    assert generation.channel.closed


def test_the_collector_sleeps_during_the_import_and_what_was_imported_is_out_of_its_sight(master):
    source = "DURING = gc.isenabled()\ndef said():\n    return [DURING, gc.isenabled(), gc.get_freeze_count() > 1000]\n"
    generation = master.start(APP + source)
    master.hear(master.hire(generation), Accepting)
    assert master.ask() == [False, True, True]


# ### What it has of the Master's


def test_the_masters_descriptors_are_closed_before_the_app_is_imported(master, gate):
    reader, writer = os.pipe()
    generation = master.start(f"open({str(gate)!r})\n{APP}", foreign=(writer,))
    os.close(writer)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    assert poll.poll(LIMIT * 1000) == [(reader, select.POLLHUP)]  # while it waits at the gate
    with gate.open("w"):
        pass
    master.hear(generation, Loaded)
    os.close(reader)


def test_they_are_closed_by_name_and_a_library_keeps_its_own(master):
    """libsystemd has a socket to the journal: closed by range, its number would become a client's connection."""
    reader, writer = os.pipe()
    link = f"/proc/self/fd/{writer}"
    generation = master.start(f"{APP}\ndef said():\n    return os.readlink({link!r})\n")
    master.hear(master.hire(generation), Accepting)
    assert master.ask() == os.readlink(link)  # noqa: PTH115  # it is no path
    os.close(reader)
    os.close(writer)


def test_it_does_not_hold_the_other_end_of_its_own_channel(master):
    """Else it would never notice that its Master is gone."""
    generation = master.start()
    master.hear(generation, Loaded)
    generation.channel.close()
    assert status_of(generation) == 0


def test_the_app_has_no_word_to_the_service_manager(master, monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "1")
    generation = master.start(APP + "FOUND = sorted(os.environ)\ndef said():\n    return FOUND\n")
    master.hear(master.hire(generation), Accepting)
    found = master.ask()
    assert not [name for name in found if name.startswith(("NOTIFY_", "WATCHDOG_"))]
    assert "PATH" in found


def test_signals_that_are_the_masters_do_nothing_to_it(master):
    generation = master.start()
    master.hear(generation, Loaded)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        offspring.send_signal(generation.pidfd, number)
    master.hear(master.hire(generation), Accepting)


# ### Workers


def test_a_worker_is_told_of_with_a_pidfd_that_is_its_own(master):
    generation = master.start()
    worker = master.hire(generation)
    report, (pidfd,) = master.hear(generation, Forked)
    assert report.worker == worker.number
    assert f"\nPid:\t{report.pid}\n" in Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    assert not os.get_inheritable(pidfd)
    master.hear(worker, Accepting)
    assert (worker.row.pid, worker.row.worker) == (report.pid, worker.number)
    assert Path(f"/proc/{report.pid}/stat").read_text().split()[3] == str(generation.pid)


def test_a_worker_that_was_asked_for_during_the_import_comes_after_it(master, gate):
    generation = master.start(f"open({str(gate)!r})\n{APP}")
    worker = master.hire(generation)
    with gate.open("w"):
        pass
    master.hear(generation, Loaded)
    master.hear(generation, Forked)
    master.hear(worker, Accepting)


def channels(pid):
    """The ends of channels that a process holds, but for those that it has from the test run."""
    table = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    seqpackets = {f"socket:[{line[6]}]" for line in table if line[4] == "0005"}

    def held(pid):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(entry)  # noqa: PTH115  # it is no path

    return seqpackets & {*held(pid)} - {*held(os.getpid())}


def test_workers_that_were_asked_for_at_once_have_one_channel_each(master, gate):
    generation = master.start(f"open({str(gate)!r})\n{APP}")
    workers = [master.hire(generation) for _ in range(3)]
    with gate.open("w"):
        pass
    pids = [master.hear(generation, Forked)[0].pid for _ in workers]
    for worker in workers:
        master.hear(worker, Accepting)
    held = [channels(pid) for pid in [generation.pid, *pids]]
    assert [len(ends_of_one) for ends_of_one in held] == [1, 1, 1, 1]
    assert len(set().union(*held)) == 4


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda worker, _: worker.channel.send(Stop()), 0),
        (lambda _, pidfd: offspring.send_signal(pidfd, signal.SIGKILL), signal.SIGKILL),
    ],
    ids=["stop", "kill"],
)
def test_a_worker_that_ends_is_reaped_and_how_is_told(master, end, status):
    generation = master.start()
    worker = master.hire(generation)
    forked, (pidfd,) = master.hear(generation, Forked)
    master.hear(worker, Accepting)
    end(worker, pidfd)
    assert master.hear(generation, Reaped)[0] == Reaped(worker.number, forked.pid, status)
    ends(pidfd)
    assert not Path(f"/proc/{forked.pid}").exists()


def test_an_app_that_ignores_its_children_costs_their_status_and_nothing_else(master):
    generation = master.start(APP + "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n")
    first = master.hire(generation)
    _, (pidfd,) = master.hear(generation, Forked)
    master.hear(first, Accepting)
    offspring.send_signal(pidfd, signal.SIGKILL)
    ends(pidfd)
    master.hear(master.hire(generation), Accepting)
    assert not [report for report, _ in generation.channel.receive() if isinstance(report, Reaped)]


def test_what_the_app_has_printed_is_written_once(master):
    out = master.directory / "out"
    generation = master.start(f"{APP}\nimport sys\nsys.stdout = open({str(out)!r}, 'a')\nprint('imported')\n")
    for _ in range(2):
        worker = master.hire(generation)
        master.hear(worker, Accepting)
        worker.channel.send(Stop())
        master.hear(generation, Reaped)
    generation.channel.send(Stop())
    assert status_of(generation) == 0
    assert out.read_text() == "imported\n"


@pytest.mark.parametrize("stream", ["None", "open('/dev/full', 'w')", "__import__('io').StringIO()"])
def test_an_app_may_do_with_its_streams_what_it_likes(master, stream):
    generation = master.start(f"{APP}\nimport sys\nsys.stdout = {stream}\nprint('x', file=sys.stdout or sys.stderr)\n")
    master.hear(master.hire(generation), Accepting)


# ### A worker that is not to be had

NO_PROCESS = """
import resource
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
if os.geteuid() == 0:
    os.setuid(65534)  # root is never held by it
"""
NO_DESCRIPTOR = """
import resource, spyglass_systemd.backends.wsgi.loop
resource.setrlimit(resource.RLIMIT_NOFILE, (128, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
FILLER = []
try:
    while True:
        FILLER.append(os.dup(0))
except OSError:
    pass
"""


def test_a_worker_that_cannot_be_forked_is_told_of_and_the_template_goes_on(master):
    generation = master.start(APP + NO_PROCESS)
    for _ in range(2):
        worker = master.hire(generation)
        report, _ = master.hear(generation, NotForked)
        assert report == NotForked(worker.number, "Resource temporarily unavailable")
        assert worker.channel.receive() == []
        assert worker.channel.closed  # nobody has the other end
    generation.channel.send(Stop())
    assert status_of(generation) == 0


def asked_for_two(master, gate, descriptors_left):
    """Two workers of an app that leaves so many descriptors, asked for at once."""
    leave = f"for _ in range({descriptors_left}): os.close(FILLER.pop())\n"
    generation = master.start(f"open({str(gate)!r}).close()\n{APP}{NO_DESCRIPTOR}{leave}")
    workers = [master.hire(generation) for _ in range(2)]
    with gate.open("w"):
        pass
    return generation, workers


def test_a_worker_for_which_there_is_no_descriptor_is_told_of_and_never_is(master, gate):
    generation, workers = asked_for_two(master, gate, 1)
    said = [master.hear(generation, NotForked)[0] for _ in workers]
    assert {report.worker: report.reason for report in said} == {
        1: "Too many open files",  # one for its channel, none for a pidfd
        2: "the app has no descriptor left",
    }
    for worker in workers:
        assert worker.channel.receive() == []
        assert worker.channel.closed
    generation.channel.send(Stop())
    assert status_of(generation) == 0


def test_two_descriptors_are_enough_for_a_worker(master, gate):
    generation, workers = asked_for_two(master, gate, 2)
    assert master.hear(generation, NotForked)[0].worker == 1
    forked, fds = master.hear(generation, Forked)
    assert (forked.worker, len(fds)) == (2, 1)
    master.hear(workers[1], Accepting)


def test_a_template_that_cannot_be_forked_leaves_nothing_open(master, monkeypatch):
    def fail():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = {entry.name for entry in Path("/proc/self/fd").iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(os, "fork", fail)
        with pytest.raises(OSError, match="temporarily unavailable"):
            master.start()
    assert {entry.name for entry in Path("/proc/self/fd").iterdir()} == before


# ### Its end


@pytest.mark.parametrize(
    "last",
    ["", "import threading; threading.Thread(target=threading.Event().wait).start()\n"],
    ids=["alone", "with-a-thread-that-never-ends"],
)
@pytest.mark.parametrize("orphaned", [False, True], ids=["told", "orphaned"])
def test_it_leaves_at_once_when_it_is_told_to_or_orphaned(master, last, orphaned):
    generation = master.start(APP + last)
    master.hear(generation, Loaded)
    if orphaned:
        generation.channel.close()
    else:
        generation.channel.send(Stop())
    assert status_of(generation) == 0


def test_what_the_app_registered_for_its_end_is_run(master):
    end = master.directory / "end"
    generation = master.start(f"{APP}\natexit.register(lambda: open({str(end)!r}, 'w').close())\n")
    master.hear(generation, Loaded)
    generation.channel.send(Stop())
    assert status_of(generation) == 0
    assert end.exists()


def test_its_workers_serve_on_without_it(master):
    generation = master.start()
    worker = master.hire(generation)
    _, (pidfd,) = master.hear(generation, Forked)
    master.hear(worker, Accepting)
    generation.channel.send(Stop())
    assert status_of(generation) == 0
    assert master.ask() is None
    worker.channel.send(Stop())
    ends(pidfd)
