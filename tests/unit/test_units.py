"""What the units promise, read from the files: each of these lines was learned on a real systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

from spyglass_systemd.words.options import Settings
from spyglass_systemd.words.spans import parse_span

UNITS = Path(__file__).parents[2] / "units"
FILES = sorted([*UNITS.glob("*@.*"), *UNITS.glob("user/*@.*")])
SERVICES = [path for path in FILES if path.suffix == ".service"]
SOCKETS = [path for path in FILES if path.suffix == ".socket"]
DROPINS = sorted(UNITS.glob("dropins/*.conf"))


def name(path):
    return str(path.relative_to(UNITS))


def settings(path):
    """(section, key, value) of each line."""
    section, found = "", []
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and line[0] != "#":
            key, equals, value = line.partition("=")
            assert equals, line
            found.append((section, key, value))
    return found


def value(path, key):
    (found,) = [value for _, each, value in settings(path) if each == key]
    return found


def test_there_is_a_pair_for_the_system_and_one_for_a_user():
    assert [name(path) for path in FILES] == [
        "spyglass@.service",
        "spyglass@.socket",
        "user/spyglass@.service",
        "user/spyglass@.socket",
    ]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_the_name_of_an_instance_is_never_unescaped(path):
    """%I turns dashes into slashes: my-app would look for its files in my/app."""
    assert not [value for _, _, value in settings(path) if "%I" in value]


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_a_service_has_no_condition(path):
    """One that fails makes systemd close the listener."""
    assert not [key for _, key, _ in settings(path) if key.startswith(("Condition", "Assert"))]


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_only_the_listener_can_be_enabled(path):
    assert not [section for section, _, _ in settings(path) if section == "Install"]
    assert value(path, "Requires") == "spyglass@%i.socket"


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_no_number_of_starts_closes_the_listener(path):
    assert ("Unit", "StartLimitIntervalSec", "0") in settings(path)
    assert (value(path, "Restart"), value(path, "RestartSec")) == ("on-failure", "1")
    assert value(path, "RestartPreventExitStatus") == "69"


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_stopping_has_time_for_a_drain_and_for_the_end_of_everybody(path):
    assert parse_span(value(path, "TimeoutStopSec")) >= Settings().drain + 10


@pytest.mark.parametrize("path", SERVICES, ids=name)
def test_the_runtime_directory_is_not_preserved(path):
    """With DynamicUser= that would put it where no tool can read it."""
    assert not [key for _, key, _ in settings(path) if key == "RuntimeDirectoryPreserve"]


@pytest.mark.parametrize("path", SOCKETS, ids=name)
def test_the_socket_is_not_in_the_directory_that_goes_away(path):
    directory = value(path.with_suffix(".service"), "RuntimeDirectory")
    assert directory == "spyglass/%i"
    assert value(path, "ListenStream").endswith("/spyglass/%i.sock")


@pytest.mark.parametrize("path", SOCKETS, ids=name)
def test_a_unix_socket_has_no_options_of_tcp(path):
    """systemd would warn at each start."""
    tcp = {"NoDelay", "DeferAcceptSec", "KeepAlive", "ReusePort", "FreeBind", "Backlog"}
    assert not tcp & {key for _, key, _ in settings(path)}


def test_each_app_is_a_user_of_its_own():
    path = UNITS / "spyglass@.service"
    assert (value(path, "DynamicUser"), value(path, "User")) == ("yes", "spyglass-%i")


@pytest.mark.parametrize("path", DROPINS, ids=name)
def test_a_drop_in_says_what_it_is_for(path):
    first = path.read_text().splitlines()[0]
    assert first.startswith(("# Tighter: ", "# Looser: ", "# For systemd 25"))
    assert settings(path)


@pytest.mark.parametrize("path", DROPINS, ids=name)
def test_no_drop_in_says_who_the_app_is_because_the_file_of_options_does(path):
    assert not {"User", "Group", "DynamicUser"} & {key for _, key, _ in settings(path)}
