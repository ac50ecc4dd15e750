"""Screening: listed requests are answered without the app, asleep, dozing and awake; all others reach it whole."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
from pathlib import Path

import pytest
from harness import APPS, AROUND, descriptors, eventually, said, take_time, wait_at

PROBE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
RULES = """
[[screen]]
path = "/healthz"
text = "ok"

[[screen]]
path = ["/wp-*", "*.php"]
status = 404

[[screen]]
path = "/.env"
methods = ["GET", "POST"]
close = true
"""
ASGI = """
import json, os
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([scope["path"], os.getpid()]).encode()})
"""


@pytest.fixture
def marker(tmp_path):
    """Where an app says that it was imported."""
    return tmp_path / "imported"


@pytest.fixture
def screened(service, tmp_path, marker):
    """Makes a service with a screen: the knife app, which says when it is imported, unless `source` is another."""

    def screened(*options, more="", kind="wsgi", source="", **arguments):
        config = tmp_path / "blog.toml"
        config.write_text(f'app = "blog:app"\nkind = "{kind}"\npythonpath = {json.dumps(str(APPS))}\n{more}\n{RULES}')
        app = f"open({str(marker)!r}, 'a').write('x')\n{source or 'from knife import *'}"
        return service(*options, app=app, config=config, **arguments)

    return screened


def exchange(master, request, index=0):
    with master.connect(index).send(request) as connection:
        return connection.read()


def is_closed(connection):
    """Whether it ends without an answer."""
    with contextlib.suppress(ConnectionResetError):
        return connection.sock.recv(100) == b""
    return True


def resident_kib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


# ### Asleep


def test_a_probe_is_answered_and_wakes_nobody(screened, marker):
    master = screened("--watch", "0.2")
    with master.connect().send(PROBE) as connection:
        master.start()
        answer = connection.read()
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.fields["connection"] == "close"
    assert answer.fields["cache-control"] == "no-store"
    assert "date" in answer.fields
    assert master.letters.until("READY=1") == "READY=1\nSTATUS=watching"
    assert master.wait() == 0
    assert not marker.exists()
    assert "woke" not in master.log


def test_a_thousand_probes_never_import_the_app_and_the_master_stays_small(screened, marker):
    master = screened("--watch", "off")
    master.start()
    master.letters.until("READY=1")
    for number in range(1000):
        target = b"/wp-login" if number % 2 else b"/healthz"
        answer = exchange(master, b"GET %b HTTP/1.1\r\nHost: x\r\nUser-Agent: probe\r\n\r\n" % target)
        assert answer.status == (404 if number % 2 else 200)
    assert not marker.exists()
    assert not master.templates
    assert resident_kib(master.pid) <= 14 * 1024
    assert master.stop() == 0


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, b""),
        (b"GET /healthz?deep=1 HTTP/1.0\r\n\r\n", 200, b"ok"),
        (b"GET /wp-admin/setup HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 404, b""),
        (b"GET /a/b.php HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 404, b""),
    ],
)
def test_each_rule_answers_what_it_lists(screened, marker, request_, status, body):
    master = screened("--watch", "off")
    master.start()
    answer = exchange(master, request_)
    assert (answer.status, answer.body) == (status, body)
    assert not marker.exists()


@pytest.mark.parametrize("request_", [TLS, b"GET /.env HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0\0\0"])
def test_what_can_be_no_request_and_what_is_listed_to_be_closed_is_closed(screened, marker, request_):
    master = screened("--watch", "off")
    master.start()
    with master.connect().send(request_) as connection:
        assert is_closed(connection)
    assert not marker.exists()
    assert exchange(master, PROBE).status == 200


def test_the_first_one_who_is_no_probe_wakes_the_app_and_is_served_byte_for_byte(screened, marker):
    master = screened()
    source = "say(environ['CONTENT_LENGTH'])"
    with master.connect().send(PROBE) as probe, master.start(waiting=source) as connection:
        assert said(connection.read()) == [str(len(source))]
        assert probe.read().body == b"ok"
    assert marker.read_text() == "x"
    assert " woke listener=" in master.log.until("woke")
    assert master.stop() == 0


def test_what_is_behind_the_first_head_is_not_lost(screened):
    source = b"say('whole')"
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(source)
    master = screened()
    with master.connect() as connection:
        connection.send(post + b"\r\n" + source + post + b"Connection: close\r\n\r\n" + source)
        master.start()
        data = connection.sock.makefile("rb").read()
    assert data.count(b"200 OK") == data.count(b'"whole"') == 2


def test_a_body_that_comes_later_is_not_lost(screened):
    master = screened()
    master.start()
    with master.connect() as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\n")
        master.log.until("ready")
        connection.send(b"say('late')")
        assert said(connection.read()) == ["late"]


def test_a_probe_with_something_behind_it_is_left_to_the_app(screened, marker):
    master = screened(source="def app(e, s):\n    s('200 OK', [])\n    return [e['PATH_INFO'].encode()]")
    master.start()
    with master.connect() as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.read().body == b"ok"
    assert marker.exists()


@pytest.mark.parametrize("kind", ["v4", "path"])
def test_a_silent_connection_and_half_a_head_are_closed_after_header_timeout(screened, listener, marker, kind):
    master = screened("--watch", "off", "--header-timeout", "0.3", listeners=[listener(kind)])
    master.start()
    with master.connect() as silent, master.connect().send(PROBE[:20]) as half:
        for connection in (silent, half):
            assert is_closed(connection)
    assert not marker.exists()
    assert master.stop() == 0


@pytest.mark.parametrize("kind", ["v4", "path"])
def test_a_head_that_comes_in_pieces_is_looked_at_once_a_piece(screened, listener, marker, tmp_path, kind):
    """What was only looked at stays readable, and would wake the Master again and again."""
    turns = tmp_path / "turns"
    counted = f"""
from spyglass_systemd.processes.lobby import Lobby
turn = Lobby._turn
def count(self):
    with open({str(turns)!r}, "a") as file:
        file.write("x")
    turn(self)
Lobby._turn = count
"""
    around = AROUND.format(before=counted, after="")
    master = screened("--watch", "off", "--header-timeout", "60", listeners=[listener(kind)], around=around)
    master.start()
    with master.connect().send(PROBE[:9]) as connection, master.connect().send(b"GET /hea"):
        exchange(master, PROBE)  # by then the Master has seen both
        connection.send(PROBE[9:-2])
        take_time(0.3)
        connection.send(PROBE[-2:])
        assert connection.read().body == b"ok"
    assert not marker.exists()
    assert master.stop() == 0
    assert len(turns.read_text()) < 20


def test_a_master_does_not_leave_with_somebody_in_its_hands(screened, marker):
    master = screened("--watch", "0.05", "--header-timeout", "60")
    with master.connect().send(PROBE[:20]) as connection:
        master.start()
        master.letters.until("READY=1")
        take_time(0.3)
        assert connection.send(PROBE[20:]).read().body == b"ok"
    assert master.wait() == 0
    assert not marker.exists()


def test_a_client_that_is_gone_before_its_head_is_whole_is_forgotten(screened, marker):
    master = screened("--watch", "0.1", "--header-timeout", "60")
    with master.connect().send(PROBE[:20]), master.connect():
        master.start()
        exchange(master, PROBE)
    assert master.wait() == 0
    assert not marker.exists()


def test_sixty_four_who_say_nothing_do_not_keep_away_those_who_do(screened, marker):
    master = screened("--watch", "off", "--header-timeout", "60")
    silent = [master.connect() for _ in range(70)]
    master.start()
    master.letters.until("READY=1")
    assert sum(what.startswith("socket:") for what in descriptors(master.pid).values()) < 70
    with master.connect().ask("say('in')") as connection:
        assert said(connection.read()) == ["in"]
    assert marker.exists()
    for connection in silent[:3]:
        assert said(connection.ask("say('too')").read()) == ["too"]
    for connection in silent:
        connection.close()
    assert master.stop() == 0


def test_who_is_held_is_answered_by_the_workers_that_somebody_else_has_woken(screened):
    master = screened("--header-timeout", "60")
    held = [master.connect() for _ in range(10)]
    master.start()
    master.letters.until("READY=1")
    assert master.ask("say('first')") == ["first"]
    pids = set()
    for connection in held:
        pids.update(said(connection.ask("say(os.getpid())").read()))
    assert pids <= {worker.pid for worker in master.workers}
    with master.connect().send(PROBE) as probe:
        assert probe.read().body == b"ok"
    assert master.stop() == 0


def test_one_who_is_held_at_work_keeps_nobody_waiting_where_a_worker_is_idle(screened, gate):
    master = screened()
    first, second = master.connect().ask(wait_at(gate)), master.connect().ask("say('second')")
    master.start()
    assert said(second.read()) == ["second"]
    with gate.open("w"):
        pass
    assert said(first.read()) == ["answered"]
    assert master.stop() == 0


def test_a_worker_that_dies_before_it_has_taken_a_visitor_costs_nobody_his_answer(screened, tmp_path):
    """The first worker is killed by the import lock of its boot; whom it was sent goes to the next one."""
    died = tmp_path / "died"
    source = f"""
from knife import *
import os, signal
from spyglass_systemd.backends.base import Gate
visit = Gate._visit
def die_once(self, visitor, fds):
    if not os.path.exists({str(died)!r}):
        open({str(died)!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    visit(self, visitor, fds)
Gate._visit = die_once
"""
    master = screened(source=source)
    with master.start(waiting="say('served')") as connection:
        assert said(connection.read()) == ["served"]
    assert died.exists()
    assert master.stop() == 0


def test_a_worker_that_dies_with_a_visitor_takes_him_along_as_any_other(screened):
    master = screened()
    with master.start(waiting="os.kill(os.getpid(), 9)") as connection:
        assert is_closed(connection)
    assert master.ask("say('next')") == ["next"]
    assert master.stop() == 0


def test_a_broken_app_is_answered_for_to_whoever_is_held(screened):
    master = screened(source="raise RuntimeError('broken')")
    with master.connect() as silent, master.start(waiting="") as connection:
        assert connection.read().status == 503
        master.log.until("failed")
        silent.ask("")
        assert silent.read().status == 503
    assert master.stop() == 0


def test_who_is_held_when_the_master_is_told_to_stop_is_answered(screened, marker):
    master = screened("--watch", "off", "--header-timeout", "60")
    master.start()
    with master.connect() as silent:
        exchange(master, PROBE)
        master.signal(signal.SIGTERM)
        master.log.until("draining")
        assert silent.ask("").read().status == 503
    assert master.wait() == 0
    assert not marker.exists()


@pytest.mark.parametrize("who_forks", ["before the Master is whole", "the Master"])
def test_a_template_has_none_of_the_held_connections(screened, gate, who_forks):
    source = f"open({str(gate)!r}).close()\nfrom knife import *"
    master = screened("--watch", "off", "--header-timeout", "60", source=source)
    with master.connect():
        if who_forks == "the Master":
            master.start()
            master.letters.until("READY=1")
            connection = master.connect().ask("say(1)")
        else:
            connection = master.start(waiting="say(1)")
        with gate.open("w"):
            pass
        with connection:
            assert said(connection.read()) == [1]
        ours, theirs = ({*descriptors(pid).values()} for pid in (master.pid, master.template.pid))
        assert {link for link in ours & theirs if link.startswith("socket:")} <= {*master.sockets}
        assert not any("eventpoll" in link for link in theirs)
    assert master.stop() == 0


# ### PROXY


def test_a_probe_behind_a_proxy_header_is_answered_and_one_without_it_is_closed(screened, marker):
    master = screened("--watch", "off", more="proxy_protocol = true")
    master.start()
    proxied = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 80\r\n"
    assert exchange(master, proxied + PROBE).body == b"ok"
    with master.connect().send(PROBE) as connection:
        assert is_closed(connection)
    assert not marker.exists()
    with master.connect().send(proxied).ask("say(environ['REMOTE_ADDR'])") as connection:
        assert said(connection.read()) == ["192.0.2.1"]
    assert master.stop() == 0


# ### Raw listeners


def test_a_raw_listener_is_never_looked_at(service, listener, tmp_path):
    config = tmp_path / "blog.toml"
    config.write_text(f"""
[listeners.web]
app = "knife:app"
kind = "wsgi"
[listeners.echo]
app = "blog:greet"
kind = "raw"
{RULES}""")
    master = service(
        "--watch",
        "off",
        "--pythonpath",
        str(APPS),
        app="def greet(connection, address):\n    connection.sendall(b'hello')\n    connection.close()",
        listeners=[listener("v4"), listener("path")],
        names="web:echo",
        config=config,
    )
    master.start()
    assert exchange(master, PROBE).body == b"ok"
    assert not master.templates
    with master.connect(1) as silent:  # the server speaks first
        assert silent.sock.recv(100) == b"hello"
    assert master.stop() == 0


# ### Awake


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_probes_do_not_keep_an_app_awake_and_it_is_not_asked(screened, kind):
    source = "" if kind == "wsgi" else ASGI
    master = screened("--idle", "0.5", "--workers", "1", source=source, kind=kind)
    with master.start(waiting="say(1)") as connection:
        assert connection.read().status == 200
    master.log.until("ready")
    probes = 0
    while "STOPPING=1" not in master.letters:
        with master.connect() as probe:
            probe.sock.settimeout(2)
            try:
                probes += probe.send(PROBE).read().body == b"ok"
            except TimeoutError:  # it came too late, and waits for the next Master
                break
        take_time(0.02)
    assert probes > 3
    assert master.wait() == 0
    assert " requests=1 " in master.log.until("slept")


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_an_awake_app_is_screened_by_the_same_rules(screened, kind):
    master = screened("--workers", "1", source="" if kind == "wsgi" else ASGI, kind=kind)
    with master.start(waiting="say(1)") as connection:
        assert connection.read().status == 200
    head = exchange(master, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.status, head.body, head.fields["content-length"]) == (200, b"", "2")
    assert head.fields["connection"] == "close"
    assert exchange(master, b"GET /x.php?y HTTP/1.1\r\nHost: x\r\n\r\n").status == 404
    with master.connect().send(b"GET /.env HTTP/1.1\r\nHost: x\r\n\r\n") as connection:
        assert is_closed(connection)
    eventually(lambda: master.rows()[0]["open"] == 0)
    assert master.rows()[0]["requests"] == 1
    assert "ERROR" not in str(master.log)
    assert master.stop() == 0


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_probe_on_a_connection_that_is_kept_alive_is_answered(screened, kind):
    source = (
        "def app(e, s):\n    s('200 OK', [('Content-Length', '2')])\n    return [b'me']" if kind == "wsgi" else ASGI
    )
    master = screened(source=source, kind=kind)
    master.start()
    with master.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        data = connection.sock.recv(65536)
        while b"me" not in data and b"]" not in data:
            data += connection.sock.recv(65536)
        connection.send(PROBE)
        assert connection.read().body == b"ok"
    assert master.stop() == 0


def test_a_request_of_another_method_or_with_a_body_is_the_apps(screened):
    master = screened(source="def app(e, s):\n    s('200 OK', [])\n    return [b'app']")
    master.start()
    for _ in range(2):  # asleep, awake
        for request in (
            b"POST /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
        ):
            assert exchange(master, request).body == b"app"
    assert master.stop() == 0


# ### Dozing


def test_a_probe_does_not_rouse_an_app_that_dozes_and_a_request_does(screened):
    master = screened("--doze", "0.1", "--idle", "60", "--keepalive", "0.05")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.log.until(" dozed")
    eventually(lambda: not master.workers, "all workers gone")
    for _ in range(20):
        assert exchange(master, PROBE).body == b"ok"
    assert not master.workers
    assert master.ask("say('up')") == ["up"]
    assert master.stop() == 0


# ### Reload


def test_a_reload_brings_other_rules(screened, tmp_path):
    master = screened("--watch", "off")
    master.start()
    assert exchange(master, PROBE).body == b"ok"
    config = tmp_path / "blog.toml"
    config.write_text(config.read_text().replace('text = "ok"', 'text = "new"'))
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    assert exchange(master, PROBE).body == b"new"
    assert master.stop() == 0


def test_a_client_that_resets_while_it_is_held_costs_nothing(screened, listener, marker):
    master = screened("--watch", "off", listeners=[listener("v4")])
    master.start()
    for part in (b"", PROBE[:20], PROBE):
        for _ in range(5):
            connection = master.connect().send(part)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    assert exchange(master, PROBE).status == 200
    assert not marker.exists()
    assert master.stop() == 0


# ### Another kind of app


def speak(tmp_path, kind, more=""):
    """Deploy the same app as another kind."""
    source = "from knife import *" if kind == "wsgi" else ASGI
    (tmp_path / "app" / "blog.py").write_text(source)
    config = tmp_path / "blog.toml"
    config.write_text(f'app = "blog:app"\nkind = "{kind}"\npythonpath = {json.dumps(str(APPS))}\n{more}\n{RULES}')


def reloaded(master):
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")


@pytest.mark.parametrize("more", ["", 'patience = "10s"'])
def test_who_comes_when_the_app_has_become_another_kind_is_served(screened, tmp_path, more):
    """The Master watches: it has read the settings, and the app is loaded by those of later."""
    master = screened("--watch", "off", more=more)
    master.start()
    master.log.until("watching")
    speak(tmp_path, "asgi", more)
    assert b'"/x"' in exchange(master, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body
    assert master.stop() == 0


def test_who_rouses_an_app_that_has_become_another_kind_is_served(screened, tmp_path):
    master = screened("--doze", "0.2", "--idle", "60", "--keepalive", "0.05")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    speak(tmp_path, "asgi")
    reloaded(master)
    master.log.until(" dozed")
    assert b'"/x"' in exchange(master, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body
    assert master.stop() == 0


def test_who_rouses_one_of_two_apps_that_have_changed_places_is_served(service, listener, tmp_path):
    def place(first, second):
        names = {"a": first, "b": second}
        tables = [f'[listeners.{name}]\napp = "{kind}:app"\nkind = "{kind}"\n' for name, kind in names.items()]
        (tmp_path / "blog.toml").write_text(f"pythonpath = {json.dumps(str(APPS))}\n{''.join(tables)}{RULES}")

    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "wsgi.py").write_text("from knife import *")
    (tmp_path / "app" / "asgi.py").write_text(ASGI)
    place("wsgi", "asgi")
    listeners = [listener("v4"), listener("v4")]
    options = ("--doze", "0.2", "--idle", "60", "--keepalive", "0.05", "--workers", "1")
    master = service(*options, app="", config=tmp_path / "blog.toml", listeners=listeners, names="a:b")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    place("asgi", "wsgi")
    reloaded(master)
    master.log.until(" dozed")
    assert b'"/x"' in exchange(master, b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").body
    assert master.ask("say(2)", index=1) == [2]
    assert "worker_died" not in master.log
    assert master.stop() == 0


# ### A worker that cannot have him


def test_a_worker_without_a_descriptor_for_a_visitor_says_so_and_he_is_served(screened, tmp_path):
    """The first worker has none left as it boots; whom it was sent goes to the next one."""
    full = tmp_path / "full"
    source = f"""
from knife import *
import os, resource
from spyglass_systemd.backends.base import Gate
receive = Gate.receive
def receive_once_without_room(self):
    if os.path.exists({str(full)!r}):
        receive(self)
        return
    open({str(full)!r}, "w").close()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    receive(self)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
Gate.receive = receive_once_without_room
"""
    master = screened("--workers", "1", "--idle", "0.5", source=source)
    with master.start(waiting="say('served')") as connection:
        assert said(connection.read()) == ["served"]
    assert full.exists()
    assert master.wait() == 0


def test_a_worker_that_is_stopped_before_it_has_taken_a_visitor_is_replaced(screened, tmp_path):
    stopped = tmp_path / "stopped"
    source = f"""
from knife import *
import os, signal
from spyglass_systemd.backends.base import Gate
start = Gate.start
def start_and_stop_once(self):
    start(self)
    if not os.path.exists({str(stopped)!r}):
        open({str(stopped)!r}, "w").close()
        os.kill(os.getpid(), signal.SIGSTOP)
Gate.start = start_and_stop_once
"""
    master = screened("--request-timeout", "0.5", source=source)
    with master.start(waiting="say('served')") as connection:
        assert said(connection.read()) == ["served"]
    assert stopped.exists()
    assert master.stop() == 0
