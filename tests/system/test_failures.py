"""What would close another service's listener does not close ours: after each of these the port answers by itself."""

from __future__ import annotations

import contextlib

import pytest
from harness import said
from machine import eventually
from sites import NEVER, QUICK, VENV

pytestmark = pytest.mark.long

WORKS = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'works']\n"
LEAST = 2  # failures that we wait for, one a second


@pytest.mark.parametrize(
    "source",
    ["raise RuntimeError('no database')", "import nothing_like_it", "app = 1 +", "import sys; sys.exit(0)", ""],
    ids=["raises", "import", "syntax", "exit", "no-app"],
)
def test_a_broken_app_is_answered_for_and_its_repair_is_seen(site, source):
    app = site(source=source, **NEVER)
    broken = app.request()
    assert (broken.status, broken.fields["cache-control"]) == (503, "no-store")
    assert app.listens
    app.until_status("failed: ")
    app.until("active")
    app.write(WORKS)
    app.machine.run("systemctl", "reload", app.service)
    eventually(lambda: app.request().body == b"works", "the repaired app")
    events = [event["SPYGLASS_EVENT"] for event in app.events()]
    assert "FAILED" in events
    assert "RECOVERED" in events


def test_a_broken_app_that_nobody_asks_for_is_shown_as_failed_and_tried_again(site, python):
    app = site(python=python, source="raise RuntimeError('no database')", **QUICK)
    for _ in range(2):
        assert app.request().status == 503
        app.until("failed")
        assert app.show("Result", "ExecMainStatus", "NRestarts") == {
            "Result": "exit-code",
            "ExecMainStatus": "69",
            "NRestarts": "0",
        }
        assert app.listens
    assert app.service in app.machine.run("systemctl", "--failed", "--plain", "--no-legend").out
    app.write(WORKS)
    assert app.request().body == b"works"


def test_an_import_that_hangs_is_given_up(site):
    app = site(source="import time; time.sleep(1000)", import_timeout="0.5s", **NEVER)
    assert app.request().status == 503
    app.write(WORKS)
    eventually(lambda: app.request().body == b"works", "the repaired app")


@pytest.mark.parametrize("text", ["idle = [", 'idel = "5min"'], ids=["no-toml", "wrong-key"])
def test_a_broken_configuration_is_answered_for(site, text):
    app = site(**QUICK)
    path = f"/etc/spyglass/{app.name}.toml"
    good = (app.machine.root / path[1:]).read_text()
    app.machine.put(path, text)
    assert app.request().status == 503
    assert app.listens
    app.machine.put(path, good)
    eventually(lambda: app.request().status == 200, "the repaired configuration")
    assert path in app.log()


def served_after(app, start, **settings):
    """Have the service run a script that does `start`, a client wait through some failures; mend it. What he got."""
    command = app.command.partition(" ")[2]
    lines = [f"{key}={value}" for key, value in settings.items()]
    text = "\n".join(["[Service]", "ExecStart=", f"ExecStart=/srv/%i/start {command}", *lines])
    app.drop_in("service", f"{text}\n", "zz-script")
    app.machine.put(f"/srv/{app.name}/start", f"#!/bin/sh\n{start}\n", mode=0o755)
    app.machine.run("systemctl", "daemon-reload")
    with app.connect().ask("say('served')") as waiting:
        eventually(lambda: int(app.show("NRestarts")) >= LEAST, "a few failures")
        assert app.listens
        app.machine.put(f"/srv/{app.name}/start", '#!/bin/sh\nexec python3 "$@"\n', mode=0o755)
        return said(waiting.read())


@pytest.mark.long
@pytest.mark.parametrize(
    ("start", "settings"),
    [
        ("exit 1", {}),
        ("exit 0", {}),
        ("kill -SEGV $$", {}),
        ("exec sleep infinity", {"TimeoutStartSec": "2s"}),
    ],
    ids=["exit 1", "exit 0 before it is ready", "crash", "hang"],
)
def test_a_client_waits_while_the_program_does_not_start_and_is_served(site, start, settings):
    assert served_after(site(**NEVER), start, **settings) == ["served"]


@pytest.mark.long
def test_a_client_waits_while_the_virtual_environment_is_gone_and_is_served(site):
    app = site(python=VENV, **NEVER)
    app.machine.run("mv", "/opt/venv", "/opt/gone")
    try:
        with app.connect().ask("say('served')") as waiting:
            eventually(lambda: int(app.show("NRestarts")) >= LEAST, "a few failures")
            assert "203/EXEC" in app.log()
            app.machine.run("mv", "/opt/gone", "/opt/venv")
            assert said(waiting.read()) == ["served"]
    finally:
        app.machine.run("sh", "-c", "[ -e /opt/venv ] || mv /opt/gone /opt/venv")


def test_a_client_waits_through_the_death_of_the_master_and_is_served(site, python):
    app = site(python=python, workers=1, **NEVER)
    here = app.kept("here")
    with app.connect().ask(f"open('{here}', 'w')\ntime.sleep(1000)"):
        eventually((app.machine.root / here[1:]).exists, "the one worker at work")
        with app.connect().ask("say('served')") as waiting:
            app.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", app.service)
            assert said(waiting.read()) == ["served"]
    assert app.listens
    assert app.show("NRestarts") == "1"


def test_a_master_that_hangs_is_replaced(site, python):
    app = site(python=python, service="[Service]\nWatchdogSec=0.5s\n", **NEVER)
    app.request()
    assert app.show("WatchdogUSec") == "500ms"
    app.machine.run("systemctl", "kill", "--kill-whom=main", "--signal=STOP", app.service)
    eventually(lambda: int(app.show("NRestarts")), "a new Master")
    assert app.request().status == 200
    assert "watchdog" in app.log("--priority=warning", "--identifier=systemd")


def test_an_app_that_hangs_does_not_stop_the_watchdog(site):
    app = site(service="[Service]\nWatchdogSec=0.2s\n", request_timeout="1s", workers=1, **NEVER)
    with app.connect().ask("time.sleep(1000)") as hanging:
        assert hanging.read().status != 200
    assert app.request().status == 200
    assert app.show("NRestarts") == "0"


def test_a_worker_out_of_memory_is_one_worker_to_replace(site, limited):
    app = site(on=limited, service="[Service]\nMemoryMax=150M\nMemorySwapMax=0\n", **NEVER)
    master = app.ask("say(os.getppid())")
    with app.connect().ask("bytearray(500 << 20)") as greedy:
        assert greedy.read().status != 200
    assert app.ask("say(os.getppid())") == master
    died = eventually(
        lambda: [e for e in app.events() if e["SPYGLASS_EVENT"] == "WORKER_DIED"], "the death of a worker"
    )
    assert "SIGKILL" in died[0]["SPYGLASS_HOW"]
    assert (app.show("Result"), app.show("NRestarts")) == ("success", "0")


@pytest.mark.long
def test_a_leak_costs_one_worker_after_another_and_never_the_service(site, limited):
    """Each request keeps 16 MiB for ever, up to MemoryMax= and on."""
    app = site(on=limited, service="[Service]\nMemoryMax=150M\nMemorySwapMax=0\n", workers=1, **NEVER)
    master = app.ask("say(os.getppid())")

    def leaked():
        with contextlib.suppress(OSError, AssertionError):  # the one whose request is too much loses it
            app.ask("KEPT.append(b'x' * (16 << 20)); say(1)")
        return sum(event["SPYGLASS_EVENT"] == "WORKER_DIED" for event in app.events()) >= LEAST

    eventually(leaked, "two deaths")
    assert app.ask("say(os.getppid())") == master
    assert (app.show("Result"), app.show("NRestarts")) == ("success", "0")
    eventually(lambda: app.processes == 3, "the Master, the Template, a worker")


def test_a_limit_of_processes_leaves_the_app_with_the_workers_that_there_is_room_for(site, limited):
    """The Master, its Template and one worker: no room for the other three."""
    app = site(on=limited, service="[Service]\nTasksMax=3\n", workers=4, **NEVER)
    assert app.request().status == 200
    eventually(lambda: "fork_failed" in app.log(), "a fork that fails")
    assert app.request().status == 200
    assert app.processes == 3
    app.machine.run("systemctl", "set-property", "--runtime", app.service, "TasksMax=20")
    eventually(lambda: app.processes == 6, "all workers")
    assert (app.show("Result"), app.show("NRestarts")) == ("success", "0")


@pytest.mark.parametrize("place", ["/run/log/journal", "/var/lib/private/spyglass", "/var/cache/private/spyglass"])
def test_a_place_that_is_full_does_not_stop_the_app(site, place):
    """Journal, state, cache: whatever writes there fails, and we go on."""
    app = site(**QUICK)
    app.machine.run("mkdir", "-p", place)
    app.machine.run("mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "none", place)
    try:
        app.machine.run("dd", "if=/dev/zero", f"of={place}/full", "bs=4k", check=False)
        for _ in range(2):
            assert app.request().status == 200
            app.until("inactive")
        assert (app.show("Result"), app.listens) == ("success", True)
    finally:
        app.machine.run("umount", "-l", place)
