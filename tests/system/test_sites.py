"""From nothing to an app behind a socket and back, by the commands that an operator types."""

from __future__ import annotations

import itertools

import pytest
from machine import eventually

FLASK = """
from flask import Flask

app = Flask(__name__)


@app.get("/")
def hello():
    return "{0}"
"""
PLAIN = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"{0}"]


def admin(environ, start_response):
    start_response("200 OK", [])
    return [b"admin of {0}"]
"""
# Connects, looks at what waits to be accepted (`ss` calls it Recv-Q), and says something after all.
SILENT = """
import socket, subprocess, sys
port, service = sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port))) as client:
    waiting = subprocess.check_output(["ss", "-Hltn", f"sport = :{port}"], text=True).split()[1]
    state = subprocess.run(["systemctl", "is-active", service], capture_output=True, text=True).stdout.strip()
    print(waiting, state)
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    print(client.makefile().readline().strip())
"""
QUICK = ("--idle", "0.3s", "--min-awake", "0s", "--watch", "0.3s")
NEVER = ("--idle", "1h")
UNITS = "/etc/systemd/system"
_ports = itertools.count(8100)
_names = itertools.count(1)


class Operator:
    """Somebody at a machine who has an app, and what systemd makes of his commands."""

    def __init__(self, machine):
        self.machine = machine
        self.name = f"op{next(_names)}"
        self.home = f"/srv/{self.name}"
        self.socket, self.service = (f"spyglass@{self.name}.{kind}" for kind in ("socket", "service"))
        self.path = f"/run/spyglass/{self.name}.sock"
        self.config = f"/etc/spyglass/{self.name}.toml"

    def writes(self, source):
        self.machine.run("rm", "-rf", f"{self.home}/__pycache__")
        self.machine.put(f"{self.home}/app.py", source.format(self.name))

    def makes_an_environment(self):
        """A virtual environment of the app's own, with Flask and our runtime, as `pip install` would make it."""
        python = f"{self.home}/venv/bin/python"
        self.machine.run("sh", "-c", f"cp -a /opt/venv {self.home}/venv")
        return python

    def types(self, verb, *words, check=True):
        return self.machine.run("spyglass", verb, self.name, *words, check=check)

    def new(self, *words):
        return self.types("new", "app:app", "--chdir", self.home, *(words or QUICK))

    def ask(self, *target):
        target = target or ("--unix-socket", self.path, "http://localhost/")
        return self.machine.run("curl", "--silent", "--show-error", "--fail", "--max-time", "30", *target).out

    def state(self, unit=""):
        return self.machine.state(unit or self.service)

    def until_asleep(self):
        self.machine.until(self.service, "inactive")

    def traces(self):
        """What the machine has of the site, but for its app and its configuration."""
        found = self.machine.run("find", UNITS, "/run/spyglass", "-name", f"*{self.name}*").out
        loaded = self.machine.run("systemctl", "list-units", "--all", "--plain", "--no-legend", f"*@{self.name}*").out
        return found + loaded

    def leave(self):
        self.types("disable", check=False)
        self.machine.run("rm", "-rf", self.config, self.home)


@pytest.fixture
def operator(boot, suite, install):
    operator = Operator(install(boot(suite)))
    operator.writes(PLAIN)
    yield operator
    operator.leave()


# ### The two commands


def test_two_commands_put_an_app_with_its_own_environment_behind_a_socket(operator):
    operator.writes(FLASK)
    operator.makes_an_environment()
    said = operator.new().out
    assert f"{operator.home}/venv/bin/python" in said
    assert f"spyglass enable {operator.name}" in said
    assert operator.types("enable").out == f"{operator.name} listens on unix:{operator.path}"
    assert operator.state() == "inactive"
    for _ in range(2):
        assert operator.ask() == operator.name
        operator.until_asleep()
    assert operator.state(operator.socket) == "active"
    command = operator.machine.show(operator.service, "ExecStart")
    assert f"{operator.home}/venv/lib/python" in command
    assert operator.machine.run("systemctl", "is-enabled", operator.socket).out == "enabled"


def test_disabling_leaves_nothing_and_enabling_again_is_as_before(operator):
    operator.new("--listen", f"127.0.0.1:{next(_ports)}", "--listen", f"admin=unix:/run/{operator.name}.admin", *NEVER)
    for _ in range(2):
        operator.types("enable")
        assert operator.ask("--unix-socket", f"/run/{operator.name}.admin", "http://localhost/") == operator.name
        assert operator.types("disable").out == f"{operator.name} listens no more."
        assert operator.traces() == ""
        assert not operator.machine.inside(f"/run/{operator.name}.admin").exists()
    assert operator.types("disable").out == f"{operator.name} was not enabled."


def test_enabling_twice_changes_nothing_and_restarts_nothing(operator):
    operator.new("--listen", f"127.0.0.1:{next(_ports)}", "--drain", "1min", *NEVER)
    operator.types("enable")
    operator.machine.run("systemctl", "start", operator.service)
    pid = operator.machine.show(operator.service, "MainPID")
    assert "is enabled, and its units are as its file has them" in operator.types("enable").out
    assert operator.machine.show(operator.service, "MainPID") == pid
    assert operator.machine.show(operator.service, "NeedDaemonReload") == "no"


def test_a_dry_run_shows_the_drop_ins_and_does_nothing(operator):
    port = next(_ports)
    operator.new("--listen", str(port), "--user-name", "www-data", *QUICK)
    shown = operator.types("enable", "--dry-run").out
    assert f"+ListenStream=127.0.0.1:{port}" in shown
    assert "+User=www-data" in shown
    assert operator.traces() == ""


# ### What goes wrong


@pytest.mark.parametrize(
    ("flags", "says", "hint"),
    [
        (["--user-name", "nobody-here"], "user = nobody-here: there is no such user", "adduser"),
        (["--chdir", "/srv/missing"], "/srv/missing is not there", "make it"),
        (["--chdir", "/tmp"], "/tmp is below /tmp", "move it"),
        (["--socket-group", "none-here"], "there is no such group", "www-data"),
        (["--listen", "example.org:80"], "systemd resolves no host names", "IP address"),
    ],
)
def test_what_cannot_work_is_one_clear_error_and_leaves_nothing(operator, flags, says, hint):
    operator.new(*flags)
    refused = operator.types("enable", check=False)
    assert refused.code == 78
    assert says in refused.err
    assert hint in refused.err
    assert operator.traces() == ""


def test_an_app_that_its_user_may_not_read_is_named(operator):
    operator.machine.run("chmod", "700", operator.home)
    operator.new()
    refused = operator.types("enable", check=False)
    assert f"the app's own user spyglass-{operator.name} may not read {operator.home}" in refused.err
    assert f"chmod o+rx {operator.home}" in refused.err
    operator.machine.run("chmod", "755", operator.home)
    operator.types("enable")
    assert operator.ask() == operator.name


def test_an_address_of_somebody_else_is_refused(operator):
    port = next(_ports)
    unit = f"listener-{operator.name}"
    operator.machine.run("systemd-run", f"--unit={unit}", "python3", "-m", "http.server", "-b", "127.0.0.1", port)
    eventually(lambda: operator.machine.run("curl", "-s", f"http://127.0.0.1:{port}/", check=False).code == 0)
    operator.new("--listen", str(port))
    refused = operator.types("enable", check=False)
    assert f"cannot listen on 127.0.0.1:{port}: it is in use" in refused.err
    operator.machine.run("systemctl", "stop", unit)
    operator.types("enable")
    assert operator.ask(f"http://127.0.0.1:{port}/") == operator.name


def test_two_sites_do_not_get_one_address(operator):
    port, other = next(_ports), Operator(operator.machine)
    other.writes(PLAIN)
    try:
        for each in (operator, other):
            each.new("--listen", str(port), *QUICK)
        operator.types("enable")
        refused = other.types("enable", check=False)
        assert f"the site {operator.name} listens there" in refused.err
        assert f"spyglass disable {operator.name}" in refused.err
        assert other.traces() == ""
    finally:
        other.leave()


def test_an_enable_that_systemd_refuses_leaves_nothing(operator):
    """A drop-in of somebody else stands in the way: nothing that was asked before would show it."""
    operator.new("--listen", f"127.0.0.1:{next(_ports)}", *QUICK)
    theirs = f"{UNITS}/{operator.socket}.d/99-theirs.conf"
    operator.machine.put(theirs, "[Socket]\nListenStream=/proc/nowhere/socket\n")
    refused = operator.types("enable", check=False)
    assert refused.code == 69
    assert f"systemctl start {operator.socket}: " in refused.err
    assert f"journalctl -e -u {operator.socket}" in refused.err
    assert operator.machine.run("find", UNITS, "-type", "f", "-path", f"*{operator.name}*").out == theirs
    assert operator.state(operator.socket) != "active"
    assert operator.machine.run("systemctl", "is-enabled", operator.socket, check=False).code
    operator.machine.run("rm", "-r", f"{UNITS}/{operator.socket}.d")


def test_a_change_that_systemd_refuses_brings_back_what_was_there(operator):
    old, new = next(_ports), next(_ports)
    operator.new("--listen", str(old), *QUICK)
    operator.types("enable")
    operator.machine.put(f"{UNITS}/{operator.socket}.d/99-theirs.conf", "[Socket]\nListenStream=/proc/nowhere/socket\n")
    text = (operator.machine.root / operator.config[1:]).read_text()
    operator.machine.put(operator.config, text.replace(str(old), str(new)))
    assert operator.types("enable", check=False).code == 69
    operator.machine.run("rm", f"{UNITS}/{operator.socket}.d/99-theirs.conf")
    operator.machine.run("systemctl", "daemon-reload")
    operator.machine.run("systemctl", "start", operator.socket)
    assert operator.ask(f"http://127.0.0.1:{old}/") == operator.name


def test_a_second_new_overwrites_nothing(operator):
    operator.new()
    before = (operator.machine.root / operator.config[1:]).read_text()
    refused = operator.types("new", "other:app", check=False)
    assert (refused.code, before) == (64, (operator.machine.root / operator.config[1:]).read_text())
    assert f"spyglass edit {operator.name}" in refused.err


def test_whoever_is_not_root_is_told(operator):
    refused = operator.machine.run("runuser", "-u", "nobody", "--", "spyglass", "new", "x", "a:b", check=False)
    assert refused.code == 77
    assert "--user" in refused.err


# ### Listeners


def test_ipv4_ipv6_and_a_unix_socket_lead_to_one_app(operator):
    port, path = next(_ports), f"/run/{operator.name}.sock"
    words = [("--listen", each) for each in (f"127.0.0.1:{port}", f"[::1]:{port}", f"unix:{path}")]
    operator.new(*itertools.chain(*words), *QUICK)
    operator.types("enable")
    for target in ((f"http://127.0.0.1:{port}/",), (f"http://[::1]:{port}/",), ("--unix-socket", path, "http://x/")):
        assert operator.ask(*target) == operator.name
        operator.until_asleep()
    assert "tcp option" not in operator.machine.journal("--unit", operator.socket).lower()


def test_listeners_with_names_have_their_apps_and_wake_one_service(operator):
    port = next(_ports)
    operator.new("--listen", f"admin=127.0.0.1:{port}", "--listen", f"http=unix:{operator.path}", *QUICK)
    text = (operator.machine.root / operator.config[1:]).read_text()
    operator.machine.put(operator.config, text + '\n[listeners.admin]\napp = "app:admin"\n')
    operator.types("enable")
    for _ in range(2):
        assert operator.ask(f"http://127.0.0.1:{port}/") == f"admin of {operator.name}"
        operator.until_asleep()
        assert operator.ask() == operator.name
        operator.until_asleep()
    operator.types("stop")
    assert operator.machine.run("curl", "-s", f"http://127.0.0.1:{port}/", check=False).code
    operator.types("start")
    assert operator.ask(f"http://127.0.0.1:{port}/") == f"admin of {operator.name}"


def test_a_changed_set_of_listeners_is_there_at_once_and_the_next_connection_starts_the_app(operator):
    old, new = next(_ports), next(_ports)
    operator.new("--listen", str(old), *NEVER)
    operator.types("enable")
    assert operator.ask(f"http://127.0.0.1:{old}/") == operator.name
    text = (operator.machine.root / operator.config[1:]).read_text()
    operator.machine.put(operator.config, text.replace(f'["{old}"]', f'["{new}", "admin=unix:{operator.path}"]'))
    operator.types("enable")
    assert operator.state() == "inactive"
    assert operator.ask(f"http://127.0.0.1:{new}/") == operator.name
    assert operator.ask() == operator.name
    assert operator.machine.run("curl", "-s", f"http://127.0.0.1:{old}/", check=False).code
    operator.machine.put(operator.config, text)
    operator.types("enable")
    assert operator.ask(f"http://127.0.0.1:{old}/") == operator.name
    assert not operator.machine.inside(operator.path).exists()
    assert f"{operator.name}.admin" not in operator.traces()


def test_another_change_is_in_force_from_the_next_wake_on(operator):
    operator.new(*NEVER)
    operator.types("enable")
    operator.machine.run("systemctl", "start", operator.service)
    text = (operator.machine.root / operator.config[1:]).read_text()
    operator.machine.put(operator.config, text.replace('#user = ""', 'user = "www-data"'))
    said = operator.types("enable").out
    assert f"spyglass restart {operator.name}" in said
    assert operator.state() == "active"
    operator.types("restart")
    assert operator.machine.show(operator.service, "User") == "www-data"
    assert operator.ask() == operator.name


def test_the_web_server_that_is_named_may_connect(operator):
    operator.new("--socket-group", "caddy", *QUICK)
    operator.types("enable")
    curl = ["curl", "-sf", "--unix-socket", operator.path, "http://localhost/"]
    assert operator.machine.run("runuser", "-u", "caddy", "--", *curl).out == operator.name
    assert operator.machine.run("runuser", "-u", "www-data", "--", *curl, check=False).code


def test_an_app_below_home_is_shown_to_its_user(operator):
    home = f"/home/{operator.name}"
    operator.machine.run("useradd", "--create-home", operator.name)
    operator.machine.run("mv", operator.home, f"{home}/app")
    operator.machine.run("chown", "-R", f"{operator.name}:", home)
    try:
        operator.types("new", "app:app", "--chdir", f"{home}/app", "--user-name", operator.name, *QUICK)
        operator.types("enable")
        assert operator.ask() == operator.name
    finally:
        operator.leave()
        operator.machine.run("userdel", "--remove", operator.name)


def test_a_tcp_connection_that_says_nothing_wakes_nobody(operator):
    port = next(_ports)
    operator.new("--listen", str(port), "--kind", "wsgi", *QUICK)
    operator.types("enable")
    operator.machine.put("/opt/silent.py", SILENT)
    said = operator.machine.run("python3", "/opt/silent.py", port, operator.service).out.splitlines()
    assert said == ["0 inactive", "HTTP/1.1 200 OK"]


# ### The other verbs


def test_stopping_and_starting_begin_with_the_listener_and_restarting_leaves_it(operator):
    operator.new(*NEVER)
    operator.types("enable")
    assert operator.ask() == operator.name
    since = operator.machine.show(operator.socket, "ActiveEnterTimestampMonotonic")
    pid = operator.machine.show(operator.service, "MainPID")
    operator.types("restart")
    assert operator.machine.show(operator.service, "MainPID") != pid
    assert operator.machine.show(operator.socket, "ActiveEnterTimestampMonotonic") == since
    operator.types("stop")
    assert (operator.state(operator.socket), operator.state()) == ("inactive", "inactive")
    operator.types("start")
    assert operator.ask() == operator.name


@pytest.mark.long
def test_a_site_listens_where_its_file_says_or_not_at_all(operator):
    port = next(_ports)
    operator.new("--listen", str(port), *NEVER)
    assert f"listens on 127.0.0.1:{port} (not now)" in operator.types("status", check=False).out
    refused = operator.types("start", check=False)
    assert (refused.code, "are not as" in refused.err, operator.state(operator.socket)) == (78, True, "inactive")
    operator.types("enable")
    operator.machine.run("rm", operator.config)
    for said in (operator.types("status").out, operator.machine.run("spyglass", "status").out):
        assert f"its file {operator.config} is gone, and its units listen on" in said
    operator.types("disable")
    assert operator.types("status", check=False).code == 64


def test_removing_keeps_what_the_app_kept_unless_it_is_to_go(operator):
    operator.writes(PLAIN + "\n\nopen(__import__('os').environ['STATE_DIRECTORY'] + '/kept', 'w').close()\n")
    operator.new()
    operator.types("enable")
    operator.ask()
    refused = operator.types("remove", check=False)
    assert refused.code == 64
    assert "--yes removes without asking" in refused.err
    said = operator.types("remove", "--yes").out
    assert f"/var/lib/spyglass/{operator.name}" in said
    assert operator.traces() == ""
    kept = operator.machine.root / f"var/lib/private/spyglass/{operator.name}/kept"
    assert kept.exists()
    assert not (operator.machine.root / operator.config[1:]).exists()
    operator.new()
    operator.types("remove", "--purge", "--yes")
    assert operator.machine.run("find", "/var/lib", "/var/cache", "/var/log", "-name", operator.name).out == ""


def test_an_edit_that_makes_no_sense_is_not_taken_and_one_that_does_is(operator):
    operator.new()
    operator.types("enable")
    operator.machine.put("/opt/edit", '#!/bin/sh\nprintf "%s\\n" "$LINE" >>"$1"\n', 0o755)

    def edit(line, answer):
        words = ["env", "EDITOR=/opt/edit", f"LINE={line}", "spyglass", "edit", operator.name]
        return operator.machine.run(*words, stdin=f"{answer}\n", check=False)

    refused = edit("[nonsense]", "n")
    assert (refused.code, f"{operator.config}: there is no key" in refused.err) == (64, False)
    assert "there is no key 'nonsense'" in refused.err
    assert "nonsense" not in (operator.machine.root / operator.config[1:]).read_text()
    assert f"{operator.config} is written" in edit("[environment]", "y").out


@pytest.mark.parametrize("user", [False, True])
def test_rendered_units_are_verified(operator, user):
    machine, flag = operator.machine, ["--user"] * user
    operator.makes_an_environment()
    listen = ("--listen", "8000", "--listen", "admin=unix:/run/x.sock")
    operator.types("new", "app:app", "--chdir", operator.home, *listen, *flag)
    operator.types("render", "--to", "/opt/rendered", *flag)
    names = machine.run("ls", "/opt/rendered").out.split()
    machine.run("systemctl", "start", "user@0.service")  # for it to say what is where for a user
    verify = ["env", "XDG_RUNTIME_DIR=/run/user/0", "systemd-analyze", "verify", *flag]
    verified = machine.run(*verify, *[f"/opt/rendered/{name}" for name in names], check=False)
    assert (verified.code, verified.out + verified.err) == (0, "")
    if not user:
        machine.run("sh", "-c", f"cp /opt/rendered/* {UNITS}")
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "start", *[name for name in names if name.endswith("socket")])
        assert operator.ask("http://127.0.0.1:8000/") == operator.name
        machine.run("systemctl", "stop", *names)
        machine.run("sh", "-c", f"rm {UNITS}/spyglass-*")
    machine.run("sh", "-c", "rm -rf /opt/rendered ~/.config/spyglass")
