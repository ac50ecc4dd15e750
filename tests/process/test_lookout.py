"""The Lookout with real sockets and processes. Its Masters do what the client asks for, in Python."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT = 20.0  # seconds for anything to happen
RSS_LIMIT_KIB = 12 * 1024

# Runs the Lookout as the cli does: in a subreaper (prctl(2), 36).
LAUNCH = """
import ctypes, os, sys
assert not ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, "-P", *sys.argv[1:]])
"""
ABSTRACT = f"unix:@spyglass-test-{os.getpid()}"
PROGRAM = str(Path(__file__).parents[2] / "spyglass_systemd/processes/lookout.py")

# Accepts one connection, reads Python from it until its client stops sending, and runs that.
MASTER = """
import json, os, select, signal, socket, sys, time
inherited = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1]
listeners = [socket.socket(fileno=3 + i) for i in range(int(os.environ["LISTEN_FDS"]))]
ready = select.select(listeners, [], [], 20)[0]
connection, _ = ready[0].accept()
connection.setblocking(True)
source = b""
while part := connection.recv(4096):
    source += part
def say(thing):
    connection.sendall(json.dumps(thing).encode() + b"\\n")
def notify(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(text.encode(), "\\0" + os.environ["NOTIFY_SOCKET"][1:])
exec(source)
"""
STAY = """
def heard(number, frame):
    say(signal.Signals(number).name)
    if number == signal.SIGTERM:
        sys.exit()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN,
               signal.SIGTTOU):
    signal.signal(number, heard)
notify("READY=1")
say("staying")
while True:
    signal.pause()
"""


class Running:
    """A Lookout, what it said, and how to talk to its Masters."""

    def __init__(self, process):
        self.process = process
        self.pid = process.pid
        self.said = ""
        self.addresses = []

    def until(self, text):
        """Read what it says up to and with a line that has `text`; the line."""
        deadline = time.monotonic() + LIMIT
        while True:
            lines = self.said.splitlines(keepends=True)
            for i, line in enumerate(lines):
                if text in line and line.endswith("\n"):
                    self.said = "".join(lines[i + 1 :])
                    return line.rstrip("\n")
            fd = self.process.stderr.fileno()
            assert select.select([fd], [], [], max(0, deadline - time.monotonic()))[0], f"no {text!r} in {self.said!r}"
            data = os.read(fd, 65536)
            assert data, f"the Lookout ended without saying {text!r}: {self.said!r}"
            self.said += data.decode()

    def rest(self):
        """What else it says until its end."""
        while data := os.read(self.process.stderr.fileno(), 65536):
            self.said += data.decode()
        return self.said

    def connect(self, index=0):
        address = self.addresses[index]
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        if isinstance(address, tuple) and ":" in address[0]:
            family = socket.AF_INET6
        client = socket.socket(family)
        client.settimeout(LIMIT)
        client.connect(address)
        return client

    def send(self, source, index=0):
        """A connection to the next Master, who is to run `source`."""
        client = self.connect(index)
        client.sendall(source.encode())
        client.shutdown(socket.SHUT_WR)
        with client:  # closed when the file is
            return client.makefile()

    def ask(self, source, index=0):
        """Have `source` run; what it says."""
        with self.send(source, index) as answer:
            return [json.loads(line) for line in answer]

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(LIMIT)

    def status(self, key):
        return re.search(rf"^{key}:\s+(\w+)", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)[1]

    def fds(self):
        return {link.name: str(link.readlink()) for link in Path(f"/proc/{self.pid}/fd").iterdir()}

    def ticks(self):
        """Processor time it has used, in hundredths of a second."""
        return sum(map(int, Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    def children(self):
        return Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()


@pytest.fixture
def launch(tmp_path):
    """Start a Lookout; waits for its listeners where `ready`."""
    started = []
    master = tmp_path / "master.py"
    master.write_text(MASTER)

    def launch(*addresses, command=None, options=("--log-level", "debug"), ready=True, **kwargs):
        addresses = addresses or ("http=127.0.0.1:0",)
        command = command or [sys.executable, "-I", "-S", "-W", "ignore", str(master)]
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, PROGRAM, "--name", "blog", *options, *addresses, "--", *command],
            **{"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": tmp_path, **kwargs},
        )
        running = Running(process)
        started.append(running)
        for _ in addresses if ready else ():
            where = re.search(r"address=(\S+)", running.until(" listening "))[1]
            running.addresses.append(_sockaddr(where, tmp_path))
        return running

    yield launch
    for running in started:
        process = running.process
        if process.poll() is None:
            children = [int(pid) for pid in running.children()]
            process.kill()
            for pid in children:
                os.kill(pid, signal.SIGKILL)
        process.wait(LIMIT)
        process.stderr.close()


def _sockaddr(where, directory):
    if where.startswith("unix:@"):
        return "\0" + where[6:]
    if where.startswith("unix:"):
        return str(directory / where[5:])
    host, port = where.rsplit(":", 1)
    return host.strip("[]"), int(port)


# ### Activation


def test_the_first_connection_starts_the_command_with_the_listeners(launch):
    lookout = launch("http=127.0.0.1:0", "admin=[::1]:0", "unix:app.sock", ABSTRACT)
    source = "say({k: v for k, v in os.environ.items() if k[:6] in ('LISTEN', 'NOTIFY')}); say(os.getpid())"
    source += "; say([l.getsockname()[1] if l.family != 1 else str(l.getsockname()) for l in listeners])"
    for index, name in enumerate(["http", "admin", "unix:app.sock", ABSTRACT]):
        environ, pid, names = lookout.ask(source, index)
        assert environ.pop("NOTIFY_SOCKET")[0] == "@"
        assert environ == {
            "LISTEN_PID": str(pid),
            "LISTEN_FDS": "4",
            "LISTEN_FDNAMES": "http:admin:unknown:unknown",
        }
        assert names[:3] == [lookout.addresses[0][1], lookout.addresses[1][1], "app.sock"]
        assert lookout.until("woke") == f"blog lookout pid={lookout.pid} woke listener={name}"


def test_listeners_without_names_get_none(launch):
    assert launch("127.0.0.1:0").ask("say('LISTEN_FDNAMES' in os.environ)") == [False]


def test_what_our_own_manager_told_us_is_not_for_the_master(launch):
    environ = {**os.environ, "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "LISTEN_PIDFDID": "1", "KEPT": "1"}
    said = launch(env=environ).ask(
        "say([key in os.environ for key in ('WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_PIDFDID', 'KEPT')])"
    )
    assert said == [[False, False, False, True]]


def test_the_master_has_the_listeners_and_nothing_else_of_ours(launch):
    leaked, other = os.pipe()
    try:
        lookout = launch("127.0.0.1:0", "unix:app.sock", stdin=leaked, pass_fds=[leaked])
        assert lookout.ask("say(inherited); say(os.readlink('/proc/self/fd/0'))") == [[0, 1, 2, 3, 4], "/dev/null"]
    finally:
        os.close(leaked)
        os.close(other)


def test_the_master_leads_a_process_group_of_its_own(launch):
    pid, group, session = launch().ask("say(os.getpid()); say(os.getpgrp()); say(os.getsid(0))")
    assert pid == group
    assert session == os.getsid(0)


def test_the_master_begins_with_every_signal_at_its_default(launch):
    lookout = launch(
        command=["/bin/sh", "-c", "grep Sig /proc/self/status >&2; exit 1"],
        preexec_fn=lambda: (
            signal.signal(signal.SIGUSR1, signal.SIG_IGN),
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGTERM]),
        ),
    )
    lookout.connect().close()
    assert lookout.until("SigBlk").split()[1].strip("0") == ""
    assert lookout.until("SigIgn").split()[1].strip("0") == ""
    lookout.until("master_died")
    assert lookout.end() == 0


def test_a_command_that_cannot_be_run_says_so_and_the_port_stays(launch):
    lookout = launch(command=["/nonexistent/python"])
    lookout.connect().close()
    assert lookout.until("spyglass:") == "spyglass: cannot run /nonexistent/python: No such file or directory"
    assert 'how="exit 203"' in lookout.until("master_died")
    lookout.connect().close()


def test_a_command_is_looked_up_in_the_path(launch):
    lookout = launch(command=["sh", "-c", "exit 3"])
    lookout.connect().close()
    assert 'how="exit 3"' in lookout.until("master_died")


# ### Round after round


def test_it_goes_round_with_nothing_more_than_it_began_with(launch):
    lookout = launch("127.0.0.1:0", "unix:app.sock")
    for index in (0, 1, 0):
        lookout.ask("notify('READY=1'); notify('STATUS=up'); say(1)", index)
        lookout.until("slept")
    fds, rss = lookout.fds(), int(lookout.status("VmRSS"))
    pids = []
    for index in (0, 1) * 12:
        pids += lookout.ask("notify('READY=1'); notify('STATUS=up'); say(os.getpid())", index)
        assert lookout.until("slept") == f"blog lookout pid={lookout.pid} slept status=0"
    assert len(set(pids)) == len(pids)
    assert lookout.fds() == fds
    assert lookout.children() == []
    assert int(lookout.status("VmRSS")) - rss <= 128
    assert int(lookout.status("VmRSS")) <= RSS_LIMIT_KIB


def test_a_connection_waiting_in_the_backlog_wakes_the_next_master(launch):
    lookout = launch()
    with lookout.send(STAY) as first:
        assert json.loads(first.readline()) == "staying"
        with lookout.send("say('second')") as second:
            lookout.signal(signal.SIGUSR1)
            assert json.loads(first.readline()) == "SIGUSR1"
            os.kill(int(lookout.children()[0]), signal.SIGTERM)  # by itself, and exits with 0
            assert json.loads(second.readline()) == "second"
    lookout.until("slept")
    lookout.until("slept")


def test_waiting_connections_keep_nobody_busy_while_the_master_lives(launch):
    lookout, other = launch(), launch()
    with lookout.send(STAY) as staying:
        assert json.loads(staying.readline()) == "staying"
        with lookout.connect(), lookout.connect():
            used = lookout.ticks()
            for _ in range(5):
                other.ask("say(1)")
            assert lookout.ticks() - used <= 2
    assert lookout.end() == 0


def test_an_app_that_failed_is_asleep_and_started_again_at_once(launch):
    lookout = launch()
    lookout.ask("say(1); sys.exit(69)")
    assert lookout.until("failed").endswith("failed status=69")
    lookout.ask("say(1); sys.exit(69)")
    lookout.until("failed")
    assert lookout.end() == 0
    assert "rest=" not in lookout.rest()


def test_it_imports_nothing_of_the_app_and_little_else():
    source = """
import sys
before = set(sys.modules)
import spyglass_systemd.processes.lookout
print(*(set(sys.modules) - before))
"""
    out = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True, env=PATHS)
    loaded = set(out.stdout.split())
    ours = {name.removeprefix("spyglass_systemd.") for name in loaded if name.startswith("spyglass_systemd.")}
    assert {name for name in ours if name.split(".")[0] not in ("words", "policy", "protocols")} == {
        "processes",
        "processes.lookout",
    }
    assert "protocols.apps" not in ours
    assert not loaded & {"socket", "signal", "enum", "re", "subprocess", "ctypes", "typing", "logging", "contextlib"}


PATHS = {"PYTHONPATH": str(Path(__file__).parents[2])}


# ### Accidents


def test_a_master_that_dies_is_started_again_after_a_rest_and_finds_the_connection(launch, tmp_path):
    once = f"import os; os.path.exists('{tmp_path}/died') or (open('{tmp_path}/died', 'w'), os.abort())\n"
    (tmp_path / "fragile.py").write_text(once + MASTER)
    lookout = launch(command=[sys.executable, "-I", "-S", "-W", "ignore", str(tmp_path / "fragile.py")])
    answer = lookout.send("say('at last')")
    line = lookout.until("master_died")
    assert 'how="signal SIGABRT' in line
    assert line.endswith(" failures=1 rest=1s")
    with answer:
        assert json.loads(answer.readline()) == "at last"
    lookout.until("slept")


def test_the_rest_doubles_while_nothing_helps_and_ends_at_once_on_a_signal(launch):
    lookout, other = launch(command=["/bin/false"]), launch()
    lookout.connect().close()
    assert lookout.until("master_died").endswith('how="exit 1" failures=1 rest=1s')
    assert lookout.until("master_died").endswith('how="exit 1" failures=2 rest=2s')
    other.ask("say(1)")  # long enough to start again, were there no rest
    assert lookout.end() == 0
    assert "woke" not in lookout.rest()


def test_a_clean_sleep_forgets_earlier_failures(launch):
    lookout = launch()
    lookout.ask("say(1); sys.exit(1)")
    assert lookout.until("master_died").endswith("failures=1 rest=1s")
    lookout.ask("say(1)")
    lookout.until("slept")
    lookout.ask("say(1); os.kill(os.getpid(), signal.SIGKILL)")
    assert lookout.until("master_died").endswith('how="signal SIGKILL" failures=1 rest=1s')


def test_whoever_is_left_in_the_masters_group_is_killed(launch):
    lookout = launch()
    answer = lookout.send("""
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say(os.getpid())
    while True:
        signal.pause()
os.read(os.open("/dev/null", os.O_RDONLY), 1)
""")
    with answer:
        pid = json.loads(answer.readline())
        assert answer.read() == ""  # the end comes when the last holder of the connection is dead
    lookout.until("slept")
    lookout.ask("say(1)")
    lookout.until("slept")
    assert not Path(f"/proc/{pid}").exists()
    assert lookout.children() == []


def test_orphans_outside_the_group_are_reaped_when_they_end(launch):
    lookout = launch()
    answer = lookout.send("""
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say(os.getpid())
        while True:
            signal.pause()
    os._exit(0)
os.wait()
""")
    with answer:
        pid = json.loads(answer.readline())
        lookout.until("slept")
        assert lookout.children() == [str(pid)]
        pidfd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert select.select([pidfd], [], [], LIMIT)[0]
        os.close(pidfd)
        deadline = time.monotonic() + LIMIT
        while lookout.children():  # no event tells a third process that somebody was reaped
            assert time.monotonic() < deadline
            os.sched_yield()


def test_a_full_mailbox_never_stops_the_master(launch):
    lookout = launch()
    assert lookout.ask("[notify(f'STATUS={i}') for i in range(500)]; say('done')") == ["done"]
    lookout.until("notified: STATUS=499")


def test_notifications_are_shown_to_those_who_are_debugging(launch):
    lookout = launch()
    lookout.ask("notify('READY=1\\nSTATUS=\\x1b[2Jup'); say(1)")
    assert lookout.until("notified").endswith(r"notified: READY=1 STATUS=\x1b[2Jup")
    quiet = launch(options=())
    quiet.ask("notify('READY=1'); say(1)")
    quiet.until("slept")
    assert quiet.end() == 0
    assert "notified" not in quiet.rest()


def test_a_listener_that_was_shut_down_is_an_error_and_no_endless_loop(launch):
    lookout = launch()
    lookout.ask("say(1); listeners[0].shutdown(socket.SHUT_RDWR)")
    assert lookout.process.wait(LIMIT) == 78
    assert "spyglass: http listens no more\n  shutdown(2)" in lookout.rest()


# ### Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_ends_a_lookout_whose_app_is_asleep(launch, number):
    lookout = launch("127.0.0.1:0", "unix:app.sock")
    lookout.ask("say(1)")
    lookout.until("slept")
    lookout.signal(number)
    assert lookout.process.wait(LIMIT) == 0
    assert not Path(lookout.addresses[1]).exists()
    with socket.create_server(lookout.addresses[0]):
        pass  # the address is free at once


def test_term_is_passed_on_and_the_master_is_waited_for(launch):
    lookout = launch()
    with lookout.send(STAY) as staying:
        assert json.loads(staying.readline()) == "staying"
        lookout.signal(signal.SIGTERM)
        assert json.loads(staying.readline()) == "SIGTERM"
    assert lookout.process.wait(LIMIT) == 0
    assert lookout.rest().endswith('stopped how="exit 0"\n')


def test_every_int_is_passed_on(launch):
    lookout = launch()
    with lookout.send(STAY) as staying:
        assert json.loads(staying.readline()) == "staying"
        for _ in range(2):
            lookout.signal(signal.SIGINT)
            assert json.loads(staying.readline()) == "SIGINT"
        lookout.signal(signal.SIGQUIT)  # nobody handles it there
        assert staying.read() == ""
    assert lookout.process.wait(LIMIT) == 0
    assert 'stopped how="signal SIGQUIT' in lookout.rest()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2])
def test_what_does_not_end_is_passed_on_to_an_app_that_is_awake_only(launch, number):
    lookout = launch()
    lookout.signal(number)
    lookout.ask("say(1)")
    lookout.until("slept")
    with lookout.send(STAY) as staying:
        assert json.loads(staying.readline()) == "staying"
        lookout.signal(number)
        assert json.loads(staying.readline()) == number.name
        lookout.signal(signal.SIGTERM)
        assert json.loads(staying.readline()) == "SIGTERM"
    assert lookout.process.wait(LIMIT) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTTIN])
def test_a_signal_that_is_too_early_for_the_master_is_kept_until_it_is_ready(launch, number):
    lookout = launch("127.0.0.1:0", "127.0.0.1:0")
    with lookout.send("say('deaf'); listeners[1].setblocking(True); listeners[1].accept()\n" + STAY) as waking:
        assert json.loads(waking.readline()) == "deaf"
        lookout.signal(number)
        lookout.signal(number)
        with lookout.connect(1):
            assert {json.loads(waking.readline()), json.loads(waking.readline())} == {"staying", number.name}
            lookout.signal(signal.SIGTERM)
            assert json.loads(waking.readline()) == "SIGTERM"
    assert lookout.process.wait(LIMIT) == 0


def test_a_signal_that_is_too_late_for_the_master_is_kept_from_it(launch):
    lookout = launch("127.0.0.1:0", "127.0.0.1:0")
    leave = (
        "notify('READY=1'); notify('STOPPING=1'); say('deaf'); listeners[1].setblocking(True); listeners[1].accept()"
    )
    with lookout.send(leave) as leaving:
        assert json.loads(leaving.readline()) == "deaf"
        lookout.until("STOPPING=1")
        lookout.signal(signal.SIGHUP)
        lookout.signal(signal.SIGUSR1)
        lookout.connect(1).close()
    assert lookout.until("slept")


def test_a_storm_of_signals_over_many_rounds_loses_no_connection(launch):
    lookout = launch()
    for _ in range(20):
        client = lookout.send("say(1)")
        for number in (signal.SIGHUP, signal.SIGCHLD, signal.SIGTTIN, signal.SIGUSR1, signal.SIGHUP):
            lookout.signal(number)
        with client:
            assert client.read() == "1\n"
        lookout.until("slept")


# ### The command line


@pytest.mark.parametrize("address", ["127.0.0.1:0", "unix:app.sock", ABSTRACT])
def test_a_second_lookout_on_the_same_address_says_who_listens(launch, address):
    first = launch(address)
    where = first.addresses[0]
    second = launch(f"127.0.0.1:{where[1]}" if isinstance(where, tuple) else address, ready=False)
    assert second.process.wait(LIMIT) == 78
    assert re.search(r"spyglass: cannot listen on \S+: it is in use\n  `ss -", second.rest())
    assert first.ask("say('mine')") == ["mine"]
    first.until("slept")
    assert first.end() == 0
    assert "woke" not in first.rest()  # the second one's look has woken nobody


def test_a_lookout_that_was_killed_leaves_nothing_in_the_way(launch):
    first = launch("unix:app.sock")
    first.process.kill()
    first.process.wait(LIMIT)
    assert Path(first.addresses[0]).exists()
    assert launch("unix:app.sock").ask("say('again')") == ["again"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["8000"], ["8000", "--"], ["--", "true"], ["--name"], ["--name", "x"], ["nonsense", "--", "true"]],
)
def test_wrong_arguments_are_a_usage_error(arguments):
    done = subprocess.run(
        [sys.executable, "-P", PROGRAM, *arguments], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 64
    assert done.stderr.startswith("spyglass: ")
