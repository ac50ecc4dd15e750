"""A broken app is answered for, told once, tried again, and serves by itself once it is mended."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time

import pytest
from harness import IMPATIENT, LIMIT, PROGRAM, eventually

GOOD = "from wsgiref.simple_server import demo_app as app"
SEGFAULT = "import ctypes; ctypes.string_at(0)"
BROKEN = [
    pytest.param("import nosuch", "No module named 'nosuch'", True, id="an import of nothing"),
    pytest.param("ap = 1", "'blog' has no attribute 'app' (did you mean 'ap'?)", False, id="no such attribute"),
    pytest.param("app = 1", "blog:app is 'int', not an app that can be called", False, id="not callable"),
    pytest.param("app = (", "SyntaxError: '(' was never closed", True, id="a syntax error"),
    pytest.param("import sys; sys.exit(3)", "SystemExit(3)", True, id="SystemExit"),
    pytest.param("raise RuntimeError('no database')", "RuntimeError: no database", True, id="an exception"),
    pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt", True, id="KeyboardInterrupt"),
    pytest.param(SEGFAULT, "the app ended the process that imported it: signal SIGSEGV", False, id="a segfault"),
    pytest.param("import os; os._exit(0)", "the app ended the process that imported it: exit 0", False, id="os._exit"),
]


@pytest.mark.parametrize(("source", "summary", "trace"), BROKEN)
def test_a_broken_app_is_answered_for_told_and_serves_once_it_is_mended(service, source, summary, trace):
    master = service(app=source, around=IMPATIENT)
    with master.start(waiting="") as connection:
        answer = connection.read()
    assert answer.status == 503
    assert int(answer.fields["retry-after"]) >= 1
    assert answer.fields["cache-control"] == "no-store"
    assert b"Traceback" not in answer.body
    assert summary.encode() not in answer.body
    line = master.log.until(" failed ")
    assert summary in line
    assert master.letters.until("READY=1").startswith("READY=1\nSTATUS=failed: ")
    (master.directory / "app" / "blog.py").write_text(GOOD)
    eventually(lambda: master.request().status == 200)
    assert "recovered" in master.log.until("recovered")
    assert master.log.count('blog.py", line 1') == trace
    assert "spyglass_systemd" not in str(master.log)
    assert master.stop() == 0


@pytest.mark.usefixtures("sd")
def test_the_service_manager_is_told_that_an_app_is_broken_and_that_it_works_again(service, tmp_path):
    master = service(app="import nosuch")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    letter = master.letters.until("READY=1")
    assert letter.startswith("READY=1\nSTATUS=failed: importing 'blog': ModuleNotFoundError: No module named 'nosuch'")
    (tmp_path / "app" / "blog.py").write_text(GOOD)
    master.letters.until("STATUS=awake")
    assert master.request().status == 200


def test_a_missing_module_is_a_broken_app_until_it_is_there(service, tmp_path):
    (tmp_path / "app").mkdir()
    master = service(app="", spec="shop:app", around=IMPATIENT)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert f"no module named 'shop' (looked in {tmp_path / 'app'}" in master.log.until(" failed ").replace('"', "")
    (tmp_path / "app" / "shop.py").write_text(GOOD)
    eventually(lambda: master.request().status == 200)


def test_the_traceback_is_told_once_however_often_it_fails(service):
    master = service(app="def deep():\n    raise RuntimeError('no database')\n\ndeep()")
    with master.start(waiting="") as connection:
        connection.read()
    first = master.log.until("attempt=1")
    assert "RuntimeError: no database" in first
    for attempt in (2, 3):
        master.signal(signal.SIGHUP)
        assert "RuntimeError: no database" in master.log.until(f"attempt={attempt}")
    said_of_it = str(master.log)
    assert said_of_it.count("Traceback") == 1
    assert said_of_it.count("in deep") == 1
    assert "worker_retired" not in said_of_it  # none of those that were asked for has ever been there
    assert "importlib" not in said_of_it


def test_another_failure_is_told_anew(service, tmp_path):
    master = service(app="raise RuntimeError('no database')")
    with master.start(waiting="") as connection:
        connection.read()
    master.log.until("attempt=1")
    (tmp_path / "app" / "blog.py").write_text("raise RuntimeError('no disk')")
    master.signal(signal.SIGHUP)
    assert "no disk" in master.log.until("attempt=2")
    eventually(lambda: master.log.count("Traceback") == 2)


@pytest.mark.usefixtures("sd")
def test_a_broken_app_that_nobody_asks_for_ends_with_69(service):
    master = service("--idle", "0.3", app="import nosuch")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert master.wait() == 69
    assert "STOPPING=1" in master.letters.all[-1]
    assert "STATUS=failed: " in master.letters.all[-1]  # what is shown of a service that has failed
    assert "refused=1" in master.log.until("gave_up")


def test_the_next_connection_after_69_tries_again(service, tmp_path):
    master = service("--idle", "0.1", app="import nosuch")
    with master.start(waiting="") as connection:
        connection.read()
    assert master.wait() == 69
    (tmp_path / "app" / "blog.py").write_text(GOOD)
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    assert master.wait() == 0


def test_a_broken_app_does_not_leave_before_min_awake(service):
    master = service("--idle", "0.05", "--min-awake", "0.8", app="import nosuch")
    began = time.monotonic()
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert master.wait() == 69
    assert time.monotonic() >= began + 0.8


def test_who_uploads_to_a_broken_app_gets_his_answer(service):
    """Answer and close, and a reset overtakes the answer."""
    master = service(app="import nosuch")
    with master.start(waiting="") as connection:
        connection.read()
    with master.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 30000000\r\n\r\n")
        for _ in range(30):
            connection.send(b"x" * 1_000_000)
        assert connection.read().status == 503


@pytest.mark.parametrize("head", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n", b""], ids=repr)
def test_what_is_no_request_is_not_answered_with_one(service, head):
    master = service(app="import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    with master.connect() as connection:
        connection.send(head)
        connection.sock.shutdown(socket.SHUT_WR)
        assert connection.sock.recv(100) == b""


def test_a_silent_connection_to_a_broken_app_keeps_nobody_waiting(service):
    master = service(app="import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    silent = [master.connect() for _ in range(50)]
    assert master.request().status == 503
    assert silent[0].sock.fileno() > 0
    for one in silent:
        one.close()


def test_a_drain_lets_the_fuse_finish_its_answers(service):
    master = service(app="import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    with master.connect() as half:
        half.send(b"GET / HTTP/1.1\r\nHo")
        assert master.request().status == 503  # whoever came before is accepted, too
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        assert half.send(b"st: test\r\n\r\n").read().status == 503
    assert master.wait() == 0


# ### The configuration


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ('app = "knife:app"\nidle = ', "is not TOML"),
        ('app = "knife:app"\nidel = "5min"', "there is no key 'idel' (did you mean idle?)"),
        ('app = "knife:app"\nidle = "soon"', "idle: "),
        ("workers = 1", "there is no app to serve"),
        ('app = "knife:app"\n[listeners.admin]\napp = "knife:app"', "no listener is called 'admin'"),
    ],
    ids=["no TOML", "no such key", "no span", "no app", "no such listener"],
)
def test_a_broken_configuration_is_answered_for_until_it_is_mended(service, tmp_path, text, summary):
    config = tmp_path / "blog.toml"
    config.write_text(text)
    master = service(config=config, around=IMPATIENT)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert summary in master.log.until(" failed ")
    assert "STATUS=failed: " in master.letters.until("READY=1")
    config.write_text('app = "knife:app"\nworkers = 3\nidle = "0.3"')
    eventually(lambda: master.request().status == 200)
    master.all_accept(3)
    assert master.wait() == 0


def test_a_broken_configuration_is_told_under_the_name_of_the_app(service, tmp_path):
    config = tmp_path / "blog.toml"
    config.write_text("workers = many")
    master = service(config=config)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert master.log.until(" failed ").startswith("knife master ")


def test_a_configuration_that_is_missing_is_answered_for_until_it_is_there(service, tmp_path):
    config = tmp_path / "blog.toml"
    master = service(config=config, around=IMPATIENT)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert "blog.toml cannot be read: No such file or directory" in master.log.until(" failed ")
    config.write_text('app = "knife:app"')
    eventually(lambda: master.request().status == 200)


def test_a_wrong_command_line_is_answered_for_where_there_are_listeners(service):
    master = service("--idel", "5min")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert "there is no option --idel (did you mean --idle?)" in master.log.until(" failed ")


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["knife:app"], 78, "nobody handed us a listener"),
        (["--config", "nosuch.toml"], 78, "nosuch.toml cannot be read"),
        (["--config", "bad.toml"], 78, "there is no key 'idel'"),
        (["--idel", "3", "knife:app"], 64, "there is no option --idel"),
        (["--idle", "soon", "knife:app"], 64, "--idle: 'soon'"),
        (["knife"], 64, "'knife' is not an app"),
        (["--kind", "bogus", "knife:app"], 64, "--kind: 'bogus'"),
        ([], 64, "there is no app to serve"),
    ],
    ids=json.dumps,
)
def test_without_listeners_what_is_wrong_is_said_and_the_status_tells(tmp_path, arguments, status, message):
    (tmp_path / "bad.toml").write_text("idel = 3")
    done = subprocess.run(
        [sys.executable, "-P", PROGRAM, "serve", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == status
    assert done.stderr.startswith("spyglass: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_app_that_works_again_is_reported_as_any_other(service, tmp_path):
    master = service("--idle", "0.3", app="import nosuch")
    with master.start(waiting="") as connection:
        connection.read()
    (tmp_path / "app" / "blog.py").write_text(GOOD)
    master.signal(signal.SIGHUP)
    assert "attempts=" in master.log.until("recovered")
    assert " ready worker=" in master.log.until("ready")
    assert master.request().status == 200
    assert master.wait() == 0
