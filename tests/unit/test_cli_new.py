"""`spyglass new`, from the words that a person types to the file that `serve` and `enable` read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spyglass_systemd.cli import command
from spyglass_systemd.cli.main import main
from spyglass_systemd.protocols import config
from spyglass_systemd.tools.places import Places, of_system


@pytest.fixture
def places(tmp_path, monkeypatch):
    places = replace(of_system(), config=tmp_path / "etc")
    monkeypatch.setattr(command, "of_system", lambda: places)
    monkeypatch.setattr(Places, "check_rights", lambda _: None)
    (tmp_path / "app").mkdir()
    monkeypatch.chdir(tmp_path / "app")
    return places


def made(places, *words):
    assert main(["new", "blog", "blog:app", *words]) == 0
    return config.read(str(places.config / "blog.toml"))


def test_an_app_is_imported_from_where_one_is(places, tmp_path, capsys):
    assert made(places) == {"app": "blog:app", "chdir": str(tmp_path / "app")}
    said = capsys.readouterr().out
    assert f"blog.toml: blog:app in {tmp_path}/app, by the Python of Debian" in said
    assert said.endswith("Next: spyglass enable blog\n")


def test_every_kind_of_flag_ends_in_the_file(places):
    words = ["--idle", "off", "--workers", "4", "--no-preload", "--access-log", "--spool=64K", "--kind", "asgi"]
    words += ["--listen", "8000", "--listen", "admin=unix:/run/x", "--environment", "A=1", "--environment", "B=x=y"]
    words += ["--user-name", "ada", "--chdir", "/srv/blog", "--python", "/srv/blog/venv/bin/python"]
    assert made(places, *words) == {
        "app": "blog:app",
        "idle": None,
        "workers": 4,
        "preload": False,
        "access_log": True,
        "spool": 65536,
        "kind": "asgi",
        "listen": ("8000", "admin=unix:/run/x"),
        "environment": {"A": "1", "B": "x=y"},
        "user": "ada",
        "chdir": "/srv/blog",
        "python": "/srv/blog/venv/bin/python",
    }


def test_an_address_that_is_none_makes_no_file(places, capsys):
    assert main(["new", "blog", "blog:app", "--listen", "8000", "--listen", "99999"]) == 64
    assert "its port is not one of 0 to 65535" in capsys.readouterr().err
    assert not (places.config / "blog.toml").exists()


@pytest.mark.parametrize("name", ["venv", ".venv", "env"])
def test_an_environment_beside_the_app_is_found(places, tmp_path, name):
    python = tmp_path / "app" / name / "bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")
    assert made(places)["python"] == str(python)


def test_an_environment_may_stand_for_its_python(places, tmp_path):
    (tmp_path / "other/bin").mkdir(parents=True)
    assert made(places, "--python", "../other")["python"] == f"{tmp_path}/other/bin/python"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["blog", "blog"], "'blog' is not an app"),
        (["Blog", "blog:app"], "'Blog' is not a name for a site"),
        (["blog", "blog:app", "--idle", "soon"], "'soon' is not a span of time"),
        (["blog", "blog:app", "--environment", "A"], "'A' is not NAME=VALUE"),
        (["blog", "blog:app", "--chdir", "\udcff"], "what is not UTF-8"),
        (["blog"], "missing argument 'APP'"),
    ],
)
def test_a_mistake_is_one_message_and_no_file(places, capsys, words, says):
    assert main(["new", *words]) == 64
    assert says in capsys.readouterr().err
    assert not list(places.config.glob("*"))


def test_a_file_that_is_there_is_left_alone(places, capsys):
    made(places, "--idle", "1min")
    assert main(["new", "blog", "blog:app"]) == 64
    assert "`spyglass edit blog` changes it" in capsys.readouterr().err
    assert config.read(str(places.config / "blog.toml"))["idle"] == 60.0


def test_a_place_that_cannot_be_written_is_no_bug(places, capsys):
    places.config.write_text("no directory")
    assert main(["new", "blog", "blog:app"]) == 73
    assert "blog.toml cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--screen", "--listeners"])
@pytest.mark.usefixtures("places")
def test_what_only_a_table_can_say_is_no_flag(capsys, flag):
    assert main(["new", "blog", "blog:app", flag, "x"]) == 64
    assert f"there is no option {flag}" in capsys.readouterr().err
    assert main(["help", "new"]) == 0
    assert f"{flag} " not in capsys.readouterr().out
