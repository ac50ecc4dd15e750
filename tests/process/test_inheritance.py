"""What a process has from the one that forked it, and what it must not have."""

from __future__ import annotations

import collections
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from harness import AROUND, Process, children, descriptors, eventually, said

EVERYBODYS = ("LISTEN_", "NOTIFY_", "WATCHDOG_")


def wake(master, workers=2):
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept(workers)
    master.has_open(0)
    return master


# ### The environment


@pytest.mark.usefixtures("sd")
def test_neither_the_app_nor_what_it_starts_has_what_was_meant_for_the_master(service, listener):
    listeners = [listener("v4"), listener("path")]
    master = wake(service("--environment", "COLOUR=red", listeners=listeners, names="a:b", watchdog="10000000"))
    source = "say(ENVIRON); say(dict(os.environ)); say(subprocess.run(['env'], stdout=-1).stdout.decode())"
    at_import, in_worker, below = master.ask(source)
    below = dict(line.split("=", 1) for line in below.splitlines() if "=" in line)
    for environ in (at_import, in_worker, below):
        assert not [name for name in environ if name.startswith(EVERYBODYS)]
        assert environ["COLOUR"] == "red"
        assert environ["PATH"] == os.environ["PATH"]


@pytest.mark.usefixtures("sd")
def test_only_the_master_speaks_to_the_service_manager(service):
    master = wake(service("--idle", "0.3"))
    master.signal(1)
    master.log.until("reloaded")
    assert master.wait() == 0
    assert len(master.senders) == len(master.letters.all) > 5
    assert {*master.senders} == {master.pid}


@pytest.mark.usefixtures("sd")
@pytest.mark.skipif(os.geteuid() or not shutil.which("unshare"), reason="needs a mount namespace")
def test_only_the_master_writes_to_the_journal(service, tmp_path):
    """What the app prints goes to stderr; workers and Template report to the Master."""
    run = Path(tmp_path / "r/systemd/journal")
    run.mkdir(parents=True)
    script = f'mount --bind {tmp_path / "r"} /run && exec "$0" "$@"'
    if subprocess.run(["unshare", "-m", "sh", "-c", script, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        journald.bind(str(run / "socket"))
        journald.settimeout(0)
        master = service("--idle", "0.3", prefix=["unshare", "-m", "sh", "-c", script], journal=True)
        with master.start(waiting="print('from the app', file=sys.stderr); say(1)") as connection:
            assert said(connection.read()) == [1]
        master.all_accept(2)
        master.workers[0].kill()
        assert master.wait() == 0
        events, senders = [], set()
        while True:
            try:
                entry, ancillary, _, _ = journald.recvmsg(65536, socket.CMSG_SPACE(12))
            except BlockingIOError:
                break
            events += re.findall(rb"SPYGLASS_EVENT=(\w+)", entry)
            senders |= {struct.unpack("3i", data)[0] for _, _, data in ancillary}
    assert events[:2] == [b"WOKE", b"READY"]
    assert b"WORKER_DIED" in events
    assert events[-1] == b"SLEPT"
    assert senders == {master.pid}
    assert "from the app" in master.log
    assert not [line for line in master.log.all if " woke " in line]


# ### Descriptors


WITNESS = "/memfd:spyglass-witness (deleted)"


def check_descriptors(master):
    """The listener, the scoreboard and one witness are everybody's; every channel end, pipe and pidfd is somebody's."""
    template = master.template.pid
    workers = children(template)
    eventually(lambda: pidfds(template) == len(workers) == pidfds(master.pid) - 1)
    owners = collections.defaultdict(set)
    for pid in master.members():
        for fd, what in descriptors(pid).items():
            if fd > 2 and not what.startswith("anon_inode:"):
                owners[what].add(pid)
    assert [pid for pid in workers if pidfds(pid)] == []
    assert owners.pop(master.sockets[0]) == {*master.members()}
    assert owners.pop(str(master.run / "scoreboard")) == {*master.members()}
    assert owners.pop(WITNESS) == {*master.members()}
    assert [[*descriptors(pid).values()].count(WITNESS) for pid in master.members()] == [1] * len(master.members())
    assert {what: pids for what, pids in owners.items() if len(pids) > 1} == {}
    assert {what.partition(":")[0] for what in owners} == {"socket", "pipe"}
    return True


def pidfds(pid):
    """How many pidfds a process has."""
    return [*descriptors(pid).values()].count("anon_inode:[pidfd]")


def test_each_channel_has_one_process_at_each_end(service):
    master = wake(service("--workers", "3"), 3)
    assert check_descriptors(master)


def test_each_channel_has_one_process_at_each_end_after_a_reload_and_a_death(service):
    master = wake(service("--workers", "3"), 3)
    master.signal(1)
    master.log.until("reloaded")
    master.all_accept(3)
    eventually(lambda: len(master.templates) == 1)
    master.workers[0].kill()
    master.log.until("worker_died")
    master.all_accept(3)
    eventually(lambda: len(master.members()) == 5)
    assert check_descriptors(master)


def test_a_template_that_is_forked_by_a_broken_one_s_master_has_none_of_the_clients_it_talks_to(service, tmp_path):
    master = service(app="import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    with master.connect() as half:
        half.send(b"GET / HTTP/1.1\r\nHo")
        eventually(lambda: sum(what.startswith("socket:") for what in descriptors(master.pid).values()) > 1)
        (tmp_path / "app" / "blog.py").write_text("from wsgiref.simple_server import demo_app as app")
        master.signal(1)
        master.log.until("ready")
        master.all_accept(2)
        assert check_descriptors(master)
        assert half.send(b"st: test\r\n\r\n").read().status == 503


def test_what_the_app_starts_has_no_listener_and_nothing_of_ours(service):
    master = wake(service())
    (pid,) = master.ask("KEPT.append(subprocess.Popen(['sleep', '1000'], close_fds=False)); say(KEPT[0].pid)")
    process = Process(pid)
    try:
        eventually(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")
        eventually(lambda: {*descriptors(pid)} <= {0, 1, 2}, "no descriptor but the three")  # its loader has a few
    finally:
        process.kill()


def test_a_worker_has_nobody_to_ask(service):
    master = wake(service())
    assert master.ask("say(sys.stdin is None)") == [True]


# ### Code


def test_the_app_is_imported_once_and_its_workers_share_it(service):
    master = wake(service("--workers", "3"), 3)
    template = master.template.pid
    for _ in range(10):
        assert master.ask("say(IMPORTED_BY)") == [template]
    assert master.ask("import gc; say([gc.isenabled(), gc.get_freeze_count() > 0])") == [[True, True]]


def test_without_preload_each_worker_imports_the_app(service):
    master = wake(service("--no-preload"))
    imported, here = master.ask("say(IMPORTED_BY); say(os.getpid())")
    assert imported == here
    assert here in [worker.pid for worker in master.workers]


def test_a_factory_is_called_once_in_the_template(service):
    app = """
import os
def make():
    me = os.getpid()
    def app(environ, start_response):
        start_response("200 OK", [])
        return [str(me).encode()]
    return app
"""
    master = service("--workers", "3", app=app, spec="blog:make()")
    with master.start(waiting="") as connection:
        assert int(connection.read().body) == master.template.pid
    master.all_accept(3)
    assert {master.request().body for _ in range(10)} == {str(master.template.pid).encode()}


def test_the_master_never_imports_the_app(service, tmp_path):
    """Look at its modules when it has lived a whole life, and at its memory map while it does."""
    told = tmp_path / "modules"
    after = f"import json; json.dump([*sys.modules], open({str(told)!r}, 'w'))"
    app = "import _decimal, _ctypes, blog_settings\nfrom wsgiref.simple_server import demo_app as app"
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "blog_settings.py").write_text("")
    master = service("--idle", "0.3", app=app, around=AROUND.format(before="", after=after))
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.all_accept(2)
    master.signal(1)
    master.log.until("reloaded")
    eventually(lambda: len(master.templates) == 1)
    for extension in ("_decimal", "_ctypes"):
        assert extension in Path(f"/proc/{master.template.pid}/maps").read_text()
        assert extension not in Path(f"/proc/{master.pid}/maps").read_text()
    assert master.wait() == 0
    modules = {*json.loads(told.read_text())}
    assert "spyglass_systemd.processes.master" in modules
    assert not modules & {"blog", "blog_settings", "_decimal", "_ctypes", "wsgiref.simple_server", "httptools"}


def test_neither_does_one_whose_app_is_broken(service, tmp_path):
    told = tmp_path / "modules"
    after = f"import json; json.dump([*sys.modules], open({str(told)!r}, 'w'))"
    around = AROUND.format(before="", after=after)
    master = service("--idle", "0.1", app="import _ctypes, nosuch", around=around)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert master.wait() == 69
    assert not {*json.loads(told.read_text())} & {"blog", "_ctypes", "httptools"}


def test_what_the_app_has_printed_is_written_once(service):
    """What lies in a buffer when a worker is forked would be written by each of them again."""
    app = "import sys\nsys.stderr.reconfigure(line_buffering=False)\nsys.stderr.write('once only')\n"
    master = service("--workers", "3", app=app + "from wsgiref.simple_server import demo_app as app")
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.all_accept(3)
    assert master.stop() == 0
    assert str(master.log).count("once only") == 1


def test_the_python_that_runs_the_app_is_the_one_that_runs_the_master(service):
    master = wake(service())
    assert master.ask("say(sys.executable)") == [sys.executable]
