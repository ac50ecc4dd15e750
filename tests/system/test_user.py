"""An app of a user who is not root, under the user's own service manager."""

from __future__ import annotations

import json

import pytest
from machine import eventually
from sites import NEVER, QUICK

NAME = "grace"  # whom no other test makes a user of another kind


class Manager:
    """`systemctl --user` of somebody: his manager is started as logind does it for whoever logs in, or lingers."""

    def __init__(self, machine):
        self.machine = machine
        if machine.run("id", NAME, check=False).code:
            machine.run("useradd", "--create-home", NAME)
        self.home = f"/home/{NAME}"
        uid = machine.run("id", "-u", NAME).out
        self.run_directory = f"/run/user/{uid}"
        self.unit = f"user@{uid}.service"
        machine.run("systemctl", "start", self.unit)

    def run(self, *command, check=True):
        environ = [f"XDG_RUNTIME_DIR={self.run_directory}", f"HOME={self.home}"]
        return self.machine.run("runuser", "-u", NAME, "--", "env", *environ, *command, check=check)

    def state(self, unit):
        return self.run("systemctl", "--user", "show", "--property=ActiveState", "--value", unit).out


@pytest.fixture
def manager(boot, suite, install):
    manager = Manager(install(boot(suite)))
    yield manager
    manager.machine.run("systemctl", "stop", manager.unit)


def blog(manager, **options):
    """Puts an app there, and listens for it."""
    machine, app = manager.machine, f"{manager.home}/blog"
    machine.put(f"{app}/blog.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'of a user']\n")
    lines = {"app": "blog:app", "chdir": app, **options}
    text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())
    machine.put(f"{manager.home}/.config/spyglass/blog.toml", text)
    machine.run("chown", "-R", f"{NAME}:", manager.home)
    manager.run("systemctl", "--user", "enable", "--now", "--quiet", "spyglass@blog.socket")


def test_an_app_of_a_user_wakes_and_sleeps(manager):
    blog(manager, **QUICK)
    socket = f"{manager.run_directory}/spyglass/blog.sock"
    for _ in range(2):
        assert manager.state("spyglass@blog.service") == "inactive"
        answer = manager.run("curl", "--silent", "--show-error", "--unix-socket", socket, "http://localhost/")
        assert answer.out == "of a user"
        assert manager.state("spyglass@blog.service") in {"activating", "active"}  # the answer may be quicker
        eventually(lambda: manager.state("spyglass@blog.service") == "inactive", "sleep")
    assert manager.state("spyglass@blog.socket") == "active"


def test_the_commands_of_an_operator_are_a_users_as_well(manager):
    machine, app = manager.machine, f"{manager.home}/wiki"
    machine.put(f"{app}/wiki.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'wiki of a user']\n")
    machine.run("chown", "-R", f"{NAME}:", manager.home)
    idle = ("--idle", "0.3s", "--min-awake", "0s")
    manager.run("spyglass", "new", "wiki", "wiki:app", "--user", "--chdir", app, *idle)
    enabled = manager.run("spyglass", "enable", "wiki", "--user")
    assert "loginctl enable-linger" in enabled.err
    socket = f"{manager.run_directory}/spyglass/wiki.sock"
    assert enabled.out == f"wiki listens on unix:{socket}"
    for _ in range(2):
        answer = manager.run("curl", "--silent", "--show-error", "--unix-socket", socket, "http://localhost/")
        assert answer.out == "wiki of a user"
        eventually(lambda: manager.state("spyglass@wiki.service") == "inactive", "sleep")
    manager.run("spyglass", "remove", "wiki", "--user", "--purge", "--yes")
    left = manager.run("find", manager.home, manager.run_directory, "-path", "*spyglass*wiki*", check=False).out
    assert left == ""


@pytest.mark.long
def test_the_runtime_is_put_into_an_environment_of_a_users(manager):
    machine, home = manager.machine, f"{manager.home}/shop"
    machine.put(f"{home}/shop.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'shop']\n")
    machine.run("chown", "-R", f"{NAME}:", manager.home)
    manager.run("python3", "-m", "venv", f"{home}/venv")
    manager.run("spyglass", "new", "shop", "shop:app", "--user", "--chdir", home)
    refused = manager.run("spyglass", "enable", "shop", "--user", check=False)
    assert (refused.code, "spyglass enable shop --user --install" in refused.err) == (78, True)
    said = manager.run("spyglass", "enable", "shop", "--user", "--install", "--find-links", "/opt/wheels").out
    assert f"{home}/venv has spyglass-systemd " in said
    socket = f"{manager.run_directory}/spyglass/shop.sock"
    assert manager.run("curl", "--silent", "--unix-socket", socket, "http://localhost/").out == "shop"
    manager.run("spyglass", "remove", "shop", "--user", "--purge", "--yes")


def test_a_user_who_cannot_reach_his_manager_is_told_how(manager):
    manager.run("spyglass", "new", "lost", "wiki:app", "--user", "--chdir", manager.home)
    words = ["runuser", "-u", NAME, "--", "env", f"HOME={manager.home}", "spyglass", "enable", "lost", "--user"]
    refused = manager.machine.run(*words, check=False)
    assert refused.code == 69
    assert "loginctl enable-linger" in refused.err
    manager.run("rm", f"{manager.home}/.config/spyglass/lost.toml")


def test_a_user_wakes_reloads_and_looks_at_his_own(manager):
    blog(manager, **NEVER)
    assert json.loads(manager.run("spyglass", "status", "blog", "--json", "--user").out)["state"] == "asleep"
    assert "awake after" in manager.run("spyglass", "wake", "blog", "--user").out
    assert json.loads(manager.run("spyglass", "status", "blog", "--json", "--user").out)["state"] == "awake"
    assert "the new code serves" in manager.run("spyglass", "reload", "blog", "--user").out
    manager.machine.run("journalctl", "--sync")
    events = manager.run("spyglass", "logs", "blog", "--events", "--user").out.splitlines()
    assert {"woke", "ready", "reloaded"} <= {word for line in events for word in line.split()}
    lines = manager.run("spyglass", "logs", "blog", "--user").out
    assert "systemd: Listening on " in lines
    manager.run("systemctl", "--user", "stop", "spyglass@blog.socket", "spyglass@blog.service")
    assert manager.run("spyglass", "status", "blog", "--user", check=False).code == 3


def test_a_user_runs_and_checks_things_in_the_place_of_an_app_of_hers(manager):
    machine, app = manager.machine, f"{manager.home}/diary"
    machine.put(f"{app}/diary.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'dear']\n")
    machine.put(f"{manager.home}/.config/spyglass/diary.toml", f'app = "diary:app"\nchdir = "{app}"\n')
    machine.run("chown", "-R", f"{NAME}:", manager.home)
    seen = "id -un; pwd; grep NoNewPrivs /proc/self/status; exit 3"
    done = manager.run("spyglass", "run", "--user", "diary", "--", "sh", "-c", seen, check=False)
    assert (done.code, done.out.split()) == (3, [NAME, app, "NoNewPrivs:", "1"])
    assert "diary: wsgi app, imported in" in manager.run("spyglass", "check", "--user", "diary").out
    assert manager.run("find", f"{manager.run_directory}/systemd/user", "-name", "spyglass-run-*").out == ""
