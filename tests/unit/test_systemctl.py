from __future__ import annotations

import subprocess

import pytest

from spyglass_systemd.protocols.systemctl import Systemctl
from spyglass_systemd.words.errors import ManagerError


class Answers:
    """Stands in for the program: what it was called with, and what it says."""

    def __init__(self, out="", err="", code=0):
        self.commands, self.done = [], (code, out, err)

    def __call__(self, command):
        self.commands.append(command)
        return subprocess.CompletedProcess(command, *self.done)


def test_the_users_own_manager_is_asked_where_it_is_meant():
    for user, words in ((False, []), (True, ["--user"])):
        answers = Answers()
        Systemctl(user=user, run=answers).do("start", "--", "a.socket")
        assert answers.commands == [["systemctl", *words, "--no-ask-password", "start", "--", "a.socket"]]


def test_properties_are_shown_by_name_and_those_it_does_not_have_are_empty():
    manager = Systemctl(run=Answers("Id=a.service\nStatusText=awake = yes\n"))
    assert manager.show("a.service", "Id", "StatusText", "Nonsense") == {
        "Id": "a.service",
        "StatusText": "awake = yes",
        "Nonsense": "",
    }


@pytest.mark.parametrize(("state", "active"), [("active", True), ("activating", False), ("failed", False)])
def test_a_unit_that_is_up_is_active(state, active):
    assert Systemctl(run=Answers(f"ActiveState={state}\n")).is_active("a.socket") is active


@pytest.mark.parametrize(("code", "enabled"), [(0, True), (1, False)])
def test_a_unit_is_enabled_or_not(code, enabled):
    assert Systemctl(run=Answers(code=code)).is_enabled("a.socket") is enabled


def test_units_in_memory_are_listed_by_name():
    out = "a.socket loaded active listening A\nb.socket loaded failed failed B\n\n"
    assert Systemctl(run=Answers(out)).units("*.socket") == ["a.socket", "b.socket"]


@pytest.mark.parametrize(("out", "number"), [("systemd 252 (252.39-1~deb12u1)\n+PAM", 252), ("systemd x", 0), ("", 0)])
def test_the_version_is_a_number(out, number):
    assert Systemctl(run=Answers(out)).version() == number


def test_a_refusal_is_in_its_own_words_and_says_where_to_look():
    manager = Systemctl(run=Answers(err="Unit a.socket not found.\n", code=5))
    with pytest.raises(ManagerError) as caught:
        manager.do("start", "--", "a.socket")
    assert caught.value.message == "systemctl start a.socket: Unit a.socket not found."
    assert caught.value.hint == "see `journalctl -e -u a.socket`"
    assert caught.value.exit_code == 69


def test_a_refusal_without_words_has_its_status():
    with pytest.raises(ManagerError, match="systemctl daemon-reload: exit status 3") as caught:
        Systemctl(user=True, run=Answers(code=3)).do("daemon-reload")
    assert caught.value.hint == ""


@pytest.mark.parametrize("bus", ["bus", "system scope bus via local transport", "user scope bus via local transport"])
@pytest.mark.parametrize(("user", "hint"), [(False, "PID 1"), (True, "enable-linger")])
def test_a_manager_that_cannot_be_reached_is_explained(user, hint, bus):
    manager = Systemctl(user=user, run=Answers(err=f"Failed to connect to {bus}: No such file or directory", code=1))
    with pytest.raises(ManagerError, match="cannot be reached") as caught:
        manager.do("start", "a.socket")
    assert hint in caught.value.hint


def test_several_units_are_asked_for_at_once_and_a_value_may_have_lines():
    said = "Listen=/run/a (Stream)\nListen=80 (Stream)\nId=a.socket\n\nId=b.socket\n"
    manager = Systemctl(run=Answers(said))
    assert manager.show_all(["a.socket", "b.socket", "c.socket"], "Id", "Listen") == {
        "a.socket": {"Id": "a.socket", "Listen": "/run/a (Stream)\n80 (Stream)"},
        "b.socket": {"Id": "b.socket", "Listen": ""},
        "c.socket": {"Id": "", "Listen": ""},
    }


def test_of_no_unit_nothing_is_asked():
    assert Systemctl(run=Answers(code=1)).show_all([], "Id") == {}
