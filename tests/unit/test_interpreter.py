"""What a Python is by its files, and what is said of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spyglass_systemd.tools import venvs
from spyglass_systemd.tools.interpreter import Interpreter, look, normal
from spyglass_systemd.words.errors import ConfigError

ELF = b"\x7fELF\x02\x01\x01"
GOOD = {"spyglass_systemd": "0.3.1", "cysystemd": "2.0.1", "httptools": "0.6.4"}


@pytest.fixture
def venv(tmp_path):
    """Makes a virtual environment of files alone; where its python is."""

    def venv(*installed, made_for="3.12.4", config="", target="python3.12"):
        base = tmp_path / "base/bin" / target
        base.parent.mkdir(parents=True, exist_ok=True)
        base.write_bytes(ELF)
        (tmp_path / "venv/bin").mkdir(parents=True)
        (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {base.parent}\nversion = {made_for}\n{config}")
        minor = ".".join(made_for.split(".")[:2])
        for name in installed:
            (tmp_path / f"venv/lib/python{minor}/site-packages/{name}").mkdir(parents=True)
        (tmp_path / "venv/bin/python").symlink_to(base)
        return str(tmp_path / "venv/bin/python")

    return venv


# ### Looking


def test_an_environment_is_told_by_its_files(venv, tmp_path):
    found = look(
        venv("Spyglass.Systemd-0.3.1.dist-info", "httptools-0.6.4.dist-info", "systemd", "x-1-py3.12.egg-info")
    )
    assert (found.version, found.made_for, found.launcher) == ("3.12", "3.12", "")
    assert (found.venv, found.target) == (str(tmp_path / "venv"), str(tmp_path / "base/bin/python3.12"))
    assert found.packages == {"spyglass_systemd": "0.3.1", "httptools": "0.6.4", "x": "1"}


def test_nothing_of_it_is_run(venv, tmp_path):
    python = venv()
    Path(python).unlink()
    (tmp_path / "venv/bin/python").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "venv/bin/python").chmod(0o755)
    assert look(python).launcher == "script"
    assert not (tmp_path / "ran").exists()


def test_the_packages_of_the_base_are_seen_where_the_environment_sees_them(venv, tmp_path):
    (tmp_path / "base/lib/python3.12/site-packages/cysystemd-2.0.1.dist-info").mkdir(parents=True)
    assert look(venv(config="include-system-site-packages = true\n")).packages == {"cysystemd": "2.0.1"}


def test_an_interpreter_that_is_in_no_environment_is_one(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3.13").write_bytes(ELF)
    (tmp_path / "lib/python3.13/site-packages/httptools-0.6.4.dist-info").mkdir(parents=True)
    found = look(str(tmp_path / "bin/python3.13"))
    assert (found.venv, found.version, found.packages) == ("", "3.13", {"httptools": "0.6.4"})


def test_ours_is_known_for_what_it_is():
    found = look(sys.executable)
    assert found.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.packages["spyglass_systemd"]
    assert found.packages["pytest"] == pytest.__version__


@pytest.mark.parametrize(
    ("script", "launcher"),
    [
        ('#!/usr/bin/env bash\nexec "/opt/pyenv/libexec/pyenv" exec "$program" "$@"\n', "pyenv"),
        ('#!/bin/sh\nexec asdf exec "python" "$@"\n', "asdf"),
        ('#!/bin/sh\nexec uv run python "$@"\n', "uv"),
        ('#!/bin/sh\n/usr/bin/python3 "$@"\n', "script"),
    ],
)
def test_a_script_in_its_place_is_named(tmp_path, script, launcher):
    (tmp_path / "python").write_text(script)
    assert look(str(tmp_path / "python")).launcher == launcher


def test_a_program_in_its_place_is_named_by_where_it_leads(tmp_path):
    (tmp_path / "mise").write_bytes(ELF)
    (tmp_path / "python").symlink_to("mise")
    assert look(str(tmp_path / "python")).launcher == "mise"


def test_hostile_files_are_not_waited_for_and_not_believed(venv, tmp_path):
    python = venv()
    (tmp_path / "venv/pyvenv.cfg").unlink()
    os.mkfifo(tmp_path / "venv/pyvenv.cfg")
    assert look(python).venv == ""
    Path(python).unlink()
    os.mkfifo(python)
    assert look(python).target == ""


def test_names_are_compared_as_pep_503_has_them():
    assert {normal(name) for name in ("Spyglass-Systemd", "spyglass_systemd", "spyglass.systemd")} == {
        "spyglass_systemd"
    }


# ### Judging


def judged(kind="wsgi", **more):
    known = {"path": "/srv/blog/venv/bin/python", "target": "/usr/bin/python3.12", "version": "3.12"}
    known |= {"venv": "/srv/blog/venv", "made_for": "3.12", "packages": GOOD}
    venvs.judge(Interpreter(**known | more), kind, "0.3.0", "blog")


def test_a_good_one_is_not_spoken_of():
    judged()
    judged(packages=GOOD | {"uvicorn": "0.30"}, kind="asgi")


@pytest.mark.parametrize(
    ("more", "message", "hint"),
    [
        ({"target": ""}, "no such program", "bin/python"),
        ({"launcher": "pyenv"}, "LISTEN_PID", "pyenv which python"),
        ({"launcher": "script"}, "only starts an interpreter", "the interpreter itself"),
        ({"version": "3.9", "made_for": "3.9"}, "is Python 3.9", "newer"),
        ({"version": "3.13"}, "was made for Python 3.12, and its python is 3.13 now", "--clear /srv/blog/venv"),
        ({"packages": {}}, "has no spyglass-systemd", "spyglass enable blog --install"),
        ({"packages": {}, "venv": ""}, "has no spyglass-systemd", "apt install python3-spyglass-systemd"),
        (
            {"packages": GOOD | {"spyglass_systemd": "0.2.9"}},
            "has spyglass-systemd 0.2.9, and here is 0.3.0",
            "--install",
        ),
        (
            {"packages": {"spyglass_systemd": "0.3.0", "httptools": "1"}},
            "no library that speaks to systemd",
            "cysystemd",
        ),
        ({"packages": {"spyglass_systemd": "0.3.0", "systemd_python": "235"}}, "no httptools", "pip install httptools"),
        ({"packages": GOOD, "kind": "asgi"}, "no uvicorn", "asgi"),
        ({"packages": GOOD, "kind": "asgi", "venv": ""}, "no uvicorn", "apt install python3-uvicorn"),
    ],
)
def test_what_does_not_work_is_said_with_its_cure(more, message, hint):
    with pytest.raises(ConfigError) as caught:
        judged(**more)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_an_environment_whose_python_was_upgraded_away_is_told_apart_from_none(tmp_path):
    (tmp_path / "python").symlink_to(tmp_path / "python3.9")
    with pytest.raises(ConfigError, match="which is not there") as caught:
        judged(path=str(tmp_path / "python"), target="")
    assert "make the environment anew" in caught.value.hint
