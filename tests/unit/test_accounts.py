from __future__ import annotations

import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_systemd.tools import accounts
from spyglass_systemd.tools.places import of_system
from spyglass_systemd.tools.wanted import Wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.options import Settings

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask for others")


def wanted(*, user="", of_user=False, group="root", listen=(), chdir="/", python=""):
    site = replace(of_system(), user=of_user).site("blog")
    return Wanted(site, Settings(app="b:a", chdir=str(chdir)), user, python, group, tuple(map(parse_address, listen)))


@pytest.fixture
def app(tmp_path_factory, monkeypatch):
    """A directory that everybody may read, in a place that the sandbox would hide."""
    monkeypatch.setattr(accounts, "_HIDDEN", ())
    path = tmp_path_factory.mktemp("app")
    for each in (path, *list(path.parents)[:2]):
        each.chmod(0o755)
    return path


def test_an_app_runs_as_nobody_that_is_there_as_a_user_or_as_you():
    assert accounts.account(wanted()).uid == 61184
    root = accounts.account(wanted(user="root"))
    assert (root.name, root.uid, 0 in root.groups) == ("root", 0, True)
    assert accounts.account(wanted(of_user=True)).uid == os.getuid()


def test_a_user_or_group_that_is_not_there_is_named_with_how_to_make_one():
    with pytest.raises(ConfigError, match="user = nobody-at-all: there is no such user") as caught:
        list(accounts.exist(wanted(user="nobody-at-all")))
    assert "adduser --system --group nobody-at-all" in caught.value.hint
    with pytest.raises(ConfigError, match="socket_group = none-at-all: there is no such group"):
        list(accounts.exist(wanted(group="none-at-all")))
    assert list(accounts.exist(wanted(group="none-at-all", listen=("8000",)))) == []
    assert list(accounts.exist(wanted(group="none-at-all", of_user=True))) == []


@needs_root
def test_directories_that_everybody_may_read_are_fine(app):
    assert list(accounts.may_read(wanted(chdir=app))) == []


@needs_root
def test_a_directory_that_the_user_may_not_enter_is_named_with_what_to_do(app):
    inner = app / "inner"
    inner.mkdir()
    app.chmod(0o700)
    os.chown(app, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(ConfigError, match=f"own user spyglass-blog may not read {app}\n") as caught:
        list(accounts.may_read(wanted(chdir=inner)))
    assert f"`chmod o+x {app}`" in caught.value.hint
    assert 'user = "nobody" in /etc/spyglass/blog.toml' in caught.value.hint
    assert list(accounts.may_read(wanted(chdir=inner, user="nobody"))) == []


@pytest.mark.parametrize(
    ("closed", "cures"),
    [
        ("/root", "a place that everybody may read, such as /srv/blog"),
        ("/srv/blog", "`chmod o+x /srv/blog`"),
        ("/srv", "`chmod o+x /srv`"),
        ("/opt", "`chmod o+x /opt`, or a place that everybody may read, such as /srv/blog"),
    ],
)
def test_a_cure_opens_nothing_that_is_roots_and_names_no_place_that_is_the_same(monkeypatch, closed, cures):
    monkeypatch.setattr(accounts, "_name", lambda _: "root")
    of_root = Path("/").stat()
    monkeypatch.setattr(Path, "stat", lambda _: of_root)
    who = accounts.account(wanted())
    assert accounts._unreadable(wanted(), who, "x", Path(closed)).hint == cures


@needs_root
def test_a_python_that_the_user_may_not_run_is_named(app):
    python = app / "python"
    python.touch(mode=0o640)
    with pytest.raises(ConfigError, match=f"may not read {python}"):
        list(accounts.may_read(wanted(chdir=app, python=str(python))))


def test_what_is_not_there_or_no_whole_path_is_named(app):
    for chdir, says in ((app / "missing", "missing is not there"), ("blog", "chdir = blog is not a whole path")):
        with pytest.raises(ConfigError, match=says):
            list(accounts.may_read(wanted(chdir=chdir)))
    assert list(accounts.may_read(wanted(chdir=".", of_user=True))) == []


def test_what_the_sandbox_hides_is_named_with_a_better_place(tmp_path):
    with pytest.raises(ConfigError, match="is below /tmp, and the unit has a /tmp of its own") as caught:
        list(accounts.may_read(wanted(chdir="/tmp")))
    assert "/srv/blog" in caught.value.hint
    assert list(accounts.may_read(wanted(chdir=tmp_path, of_user=True))) == []


def test_a_user_who_does_not_linger_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(accounts, "_LINGER", tmp_path)
    (remark,) = accounts.lingers(wanted(of_user=True))
    assert "loginctl enable-linger" in remark
    assert list(accounts.lingers(wanted())) == []
    (tmp_path / pwd.getpwuid(os.getuid()).pw_name).touch()
    assert list(accounts.lingers(wanted(of_user=True))) == []
