"""Children of ours: how they begin, how they end, how their deaths are known."""

from __future__ import annotations

import atexit
import errno
import io
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from spyglass_systemd.protocols import offspring, signals

LIMIT = 20_000  # milliseconds
NOBODY = 65534
MASTERS = sorted({signals.HUP, signals.INT, signals.TERM, signals.TTIN, signals.TTOU, signals.USR1, signals.USR2})


def readable(fd):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(LIMIT)


class Child:
    """A forked process that runs `body(say)`, without the atexit functions of the test run."""

    def __init__(self, body, **options):
        self._reader, writer = os.pipe()

        def run():
            os.close(self._reader)
            atexit._clear()
            body(lambda thing: os.write(writer, json.dumps(thing).encode() + b"\n"))

        self.pid, self.pidfd = offspring.fork(run, **options)
        os.close(writer)

    def said(self):
        """All that it said, when it has ended."""
        data = b""
        while True:
            readable(self._reader)
            part = os.read(self._reader, 65536)
            if not part:
                return [json.loads(line) for line in data.splitlines()]
            data += part

    def wait(self):
        """The exit code, negative for a signal."""
        readable(self.pidfd)
        status = offspring.reap(self.pid)
        self.close()
        return os.waitstatus_to_exitcode(status)

    def close(self):
        os.close(self._reader)
        os.close(self.pidfd)


# ### Birth


def test_a_child_runs_the_body_and_never_comes_back():
    reader, writer = os.pipe()
    child = Child(lambda say: say(os.getpid()))
    os.write(writer, b"%d " % os.getpid())  # whoever comes here
    assert child.said() == [child.pid]
    assert child.wait() == 0
    os.close(writer)
    assert os.read(reader, 99).split() == [b"%d" % os.getpid()]
    os.close(reader)


def test_a_child_begins_with_every_signal_unblocked_and_leaves_ours_as_they_were():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGALRM})
    try:
        child = Child(lambda say: say(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before | {signal.SIGUSR1, signal.SIGALRM}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert child.said() == [[]]
    assert child.wait() == 0


def test_signals_that_are_meant_for_the_master_do_nothing_to_a_child():
    def body(say):
        for number in MASTERS:
            os.kill(os.getpid(), number)
        say("alive")

    child = Child(body)
    assert child.said() == ["alive"]
    assert child.wait() == 0


def test_a_signal_to_the_whole_group_that_comes_while_a_child_is_made_does_nothing_to_it(monkeypatch):
    fork = os.fork

    def fork_and_be_told():
        pid = fork()
        for number in (signals.TERM, signals.HUP, signals.INT) if not pid else ():
            os.kill(os.getpid(), number)
        return pid

    monkeypatch.setattr(os, "fork", fork_and_be_told)
    child = Child(lambda say: say("alive"))
    assert child.said() == ["alive"]
    assert child.wait() == 0


def test_programs_that_a_child_starts_have_these_signals_at_their_default():
    """What is ignored stays ignored over execve(2): then no TERM would end them."""
    show = "import signal; print([int(n) for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN])"

    def body(say):
        say(subprocess.run([sys.executable, "-c", show], check=True, capture_output=True, text=True).stdout.strip())

    child = Child(body)
    (ignored,) = child.said()
    assert child.wait() == 0
    assert not set(MASTERS) & set(json.loads(ignored))


def test_a_signal_of_nobody_ends_a_child_as_it_would_any_process():
    """One that no shell has its background jobs ignore, as it does SIGQUIT."""
    reader, writer = os.pipe()
    child = Child(lambda _: (os.close(writer), os.read(reader, 1)))
    offspring.send_signal(child.pidfd, signal.SIGVTALRM)
    assert child.wait() == -signal.SIGVTALRM
    os.close(reader)
    os.close(writer)


def test_what_the_master_watches_is_not_watched_by_its_child():
    fd = signals.watch((signals.USR1, signals.CHLD))
    try:

        def body(say):
            try:
                os.fstat(fd)
            except OSError as error:
                say(error.errno)
            say(signal.set_wakeup_fd(-1))
            say(signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL)

        child = Child(body)
        assert child.said() == [errno.EBADF, -1, True]
        assert child.wait() == 0
        os.kill(os.getpid(), signals.USR1)
        readable(fd)
        assert signals.USR1 in signals.received(fd)  # ours still work
    finally:
        signals.restore()


def test_a_pidfd_does_not_survive_an_exec():
    child = Child(lambda _: None)
    assert not os.get_inheritable(child.pidfd)
    assert child.wait() == 0


# ### A birth that fails


def refused(say, **options):
    """In a child that has no other children: what fork says, and whether a child of it is left."""
    try:
        offspring.fork(lambda: os._exit(0), **options)
    except OSError as error:
        say(error.errno)
    try:
        os.waitpid(-1, os.WNOHANG)
        say("a child is left")
    except ChildProcessError:
        say("no child")
    say(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))


def test_a_fork_that_fails_is_an_error_and_changes_nothing():
    """TasksMax= in a unit; here RLIMIT_NPROC, which does not hold root."""

    def body(say):
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        refused(say)

    child = Child(body)
    assert child.said() == [errno.EAGAIN, "no child", []]
    assert child.wait() == 0


def test_without_room_for_its_pidfd_there_never_is_a_child():
    """One that lived for a moment might have accepted somebody."""

    def body(say):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        refused(say)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    child = Child(body)
    assert child.said() == [errno.EMFILE, "no child", []]
    assert child.wait() == 0


def test_a_child_that_cannot_be_watched_does_not_live(monkeypatch):
    """A thread of the app took the place that was kept."""
    places = [os.pidfd_open(os.getpid())]

    def pidfd_open(_):
        if places:
            return places.pop()
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    reader, writer = os.pipe()

    def body():
        os.close(writer)
        os.read(reader, 1)

    with pytest.raises(OSError, match="Too many"):
        offspring.fork(body)
    assert places == []
    os.close(reader)
    os.close(writer)
    monkeypatch.undo()


def test_a_child_that_is_gone_before_it_can_be_watched_is_an_oserror(monkeypatch):
    """An app that ignores SIGCHLD has its children reaped unseen; no signal is sent to a number that is nobody's."""
    places = [os.pidfd_open(os.getpid())]
    real = os.fork
    born = []

    def pidfd_open(_):
        if places:
            return places.pop()
        raise ProcessLookupError(errno.ESRCH, "No such process")

    def fork():
        born.append(real())
        return born[-1]

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)
    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(ProcessLookupError):
        offspring.fork(lambda: None)
    assert os.waitpid(born[0], 0) == (born[0], 0)  # it ended by itself


def test_nothing_of_a_birth_stays_open_in_parent_or_child():
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    child = Child(lambda say: say(descriptors()))
    assert descriptors() == before + 2  # its pidfd, and what it says
    assert child.said() == [before + 1]  # how it says it
    assert child.wait() == 0


# ### Death


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (3, 3), (True, 1), ("a text", 70)])
def test_a_child_ends_with_the_code_that_it_chose(code, status):
    def body(_):
        raise SystemExit(code)

    assert Child(body).wait() == status


def test_an_exception_ends_it_with_70_and_is_shown(capfd):
    def body(_):
        raise ValueError("our bug")

    assert Child(body).wait() == 70
    assert "ValueError: our bug" in capfd.readouterr().err


def test_threads_end_first_then_atexit_functions_then_the_streams(tmp_path):
    def body(say):
        sys.stdout, sys.stderr = (tmp_path / "out").open("w"), (tmp_path / "err").open("w")
        event = threading.Event()
        threading.Thread(target=lambda: (event.wait(), say("thread"))).start()
        atexit.register(say, "atexit")
        atexit.register(print, "printed")
        atexit.register(print, "complained", file=sys.stderr)
        threading.Timer(0.05, event.set).start()
        say("body")

    child = Child(body)
    assert child.said() == ["body", "thread", "atexit"]
    assert child.wait() == 0
    assert (tmp_path / "out").read_text() == "printed\n"
    assert (tmp_path / "err").read_text() == "complained\n"


def test_a_child_that_is_not_to_join_its_threads_does_not_wait_for_them():
    def body(say):
        threading.Thread(target=threading.Event().wait).start()
        atexit.register(say, "atexit")

    child = Child(body, join=False)
    assert child.said() == ["atexit"]
    assert child.wait() == 0


@pytest.mark.parametrize("error", [SystemExit(5), ValueError("x"), KeyboardInterrupt()])
def test_an_atexit_function_may_raise_what_it_likes(error):
    def fail():
        raise error

    def body(_):
        atexit.register(fail)
        raise SystemExit(3)

    assert Child(body).wait() == 3


def test_a_child_whose_streams_are_gone_ends_all_the_same():
    def body(_):
        sys.stdout = None

    assert Child(body).wait() == 0


# ### Waiting


def test_a_status_is_told_once():
    child = Child(lambda _: os._exit(3))
    readable(child.pidfd)
    assert os.waitstatus_to_exitcode(offspring.reap(child.pid)) == 3
    assert offspring.reap(child.pid) is None  # somebody has taken it
    child.close()


def test_a_status_is_not_known_where_sigchld_is_ignored():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    reader, writer = os.pipe()
    try:
        child = Child(lambda _: os.read(reader, 1))  # one that was quicker would leave nothing to watch
        os.write(writer, b"x")
        readable(child.pidfd)
        assert offspring.reap(child.pid) is None
        child.close()
    finally:
        signal.signal(signal.SIGCHLD, before)
        os.close(reader)
        os.close(writer)


def test_a_signal_to_one_that_is_gone_is_no_error():
    child = Child(lambda _: None)
    readable(child.pidfd)
    offspring.reap(child.pid)
    offspring.send_signal(child.pidfd, signal.SIGKILL)
    child.close()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (None, "unknown"),
        (0, "exit 0"),
        (3 << 8, "exit 3"),
        (signal.SIGKILL, "signal SIGKILL"),
        (signal.SIGABRT, "signal SIGABRT"),
        (signal.SIGSEGV | 0x80, "signal SIGSEGV (core dumped)"),
        (signal.SIGRTMIN + 1, f"signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_a_death_is_described_for_people(status, text):
    assert offspring.describe(status) == text


# ### Memory


def test_memory_is_the_sum_of_the_living():
    reader, writer = os.pipe()
    child = Child(lambda _: (os.close(writer), os.read(reader, 1)))
    one = offspring.proportional_kib([os.getpid()])
    assert one > 1000
    assert offspring.proportional_kib([os.getpid(), child.pid]) > 1000
    os.close(writer)
    assert child.wait() == 0
    assert offspring.proportional_kib([child.pid]) == 0
    assert offspring.proportional_kib([]) == 0
    os.close(reader)


@pytest.mark.parametrize(("text", "kib"), [(b"Rss: 9 kB\nPss: 7 kB\n", 7), (b"Rss: 9 kB\n", 0), (b"Pss: x kB\n", 0)])
def test_a_kernel_that_says_something_else_is_no_error(monkeypatch, text, kib):
    monkeypatch.setattr(offspring, "open", lambda *_: io.BytesIO(text), raising=False)
    assert offspring.proportional_kib([1]) == kib
