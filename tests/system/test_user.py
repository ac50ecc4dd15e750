"""An app of a user who is not root, under the user's own service manager."""

from __future__ import annotations

import json

import pytest
from machine import eventually
from sites import QUICK

NAME = "ada"


class Manager:
    """`systemctl --user` of somebody: his manager is started as logind does it for whoever logs in, or lingers."""

    def __init__(self, machine):
        self.machine = machine
        machine.run("useradd", "--create-home", NAME, check=False)
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


def test_an_app_of_a_user_wakes_and_sleeps(manager):
    machine, app = manager.machine, f"{manager.home}/blog"
    machine.put(f"{app}/blog.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'of a user']\n")
    options = {"app": "blog:app", "chdir": app, **QUICK}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    machine.put(f"{manager.home}/.config/spyglass/blog.toml", lines)
    machine.run("chown", "-R", f"{NAME}:", manager.home)
    manager.run("systemctl", "--user", "enable", "--now", "--quiet", "spyglass@blog.socket")
    socket = f"{manager.run_directory}/spyglass/blog.sock"
    for _ in range(2):
        assert manager.state("spyglass@blog.service") == "inactive"
        answer = manager.run("curl", "--silent", "--show-error", "--unix-socket", socket, "http://localhost/")
        assert answer.out == "of a user"
        assert manager.state("spyglass@blog.service") == "active"
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


def test_a_user_who_cannot_reach_his_manager_is_told_how(manager):
    manager.run("spyglass", "new", "lost", "wiki:app", "--user", "--chdir", manager.home)
    words = ["runuser", "-u", NAME, "--", "env", f"HOME={manager.home}", "spyglass", "enable", "lost", "--user"]
    refused = manager.machine.run(*words, check=False)
    assert refused.code == 69
    assert "loginctl enable-linger" in refused.err
    manager.run("rm", f"{manager.home}/.config/spyglass/lost.toml")
