from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from spyglass_systemd.tools.places import of_system, of_user
from spyglass_systemd.words.errors import PrivilegeError, UsageError

BLOG = of_system().site("blog")


@pytest.fixture
def places(tmp_path):
    return replace(of_system(), config=tmp_path)


def test_a_site_of_the_system_has_its_places():
    assert (BLOG.socket, BLOG.service) == ("spyglass@blog.socket", "spyglass@blog.service")
    assert BLOG.listener_unit("admin") == "spyglass@blog.admin.socket"
    assert str(BLOG.dropins(BLOG.socket)) == "/etc/systemd/system/spyglass@blog.socket.d"
    assert [str(path) for path in (BLOG.config, BLOG.path, BLOG.runtime, BLOG.state, BLOG.cache, BLOG.logs)] == [
        "/etc/spyglass/blog.toml",
        "/run/spyglass/blog.sock",
        "/run/spyglass/blog",
        "/var/lib/spyglass/blog",
        "/var/cache/spyglass/blog",
        "/var/log/spyglass/blog",
    ]


@pytest.mark.parametrize(
    ("systemd", "state"), [(252, "/home/ada/.config/spyglass"), (257, "/home/ada/.local/state/spyglass")]
)
def test_a_users_state_is_where_the_release_of_systemd_has_it(systemd, state):
    places = of_user({"HOME": "/home/ada"}, 1000, systemd)
    assert places.state == Path(state)
    assert places.logs == Path(state).parent / "log/spyglass"
    assert places.config == Path("/home/ada/.config/spyglass")
    assert places.units == Path("/home/ada/.config/systemd/user")
    assert places.runtime == Path("/run/user/1000/spyglass")


def test_a_user_may_have_the_directories_elsewhere():
    environ = {f"XDG_{name}": f"/x/{name}" for name in ("CONFIG_HOME", "STATE_HOME", "CACHE_HOME", "RUNTIME_DIR")}
    places = of_user(environ, 1000, 257)
    assert [str(path) for path in (places.config, places.state, places.cache, places.runtime)] == [
        "/x/CONFIG_HOME/spyglass",
        "/x/STATE_HOME/spyglass",
        "/x/CACHE_HOME/spyglass",
        "/x/RUNTIME_DIR/spyglass",
    ]


@pytest.mark.parametrize("name", ["", "Blog", "1st", "-a", "a" * 23, "a_b", "a.b", "a/b", "a:b", "a\n"])
def test_what_no_unit_can_be_called_is_no_name(name):
    with pytest.raises(UsageError, match="is not"):
        of_system().site(name)


@pytest.mark.parametrize("name", ["a", "my-app-2", "a" * 22])
def test_what_a_unit_can_be_called_is_one(name):
    assert of_system().site(name).name == name


def test_sites_are_the_configuration_files_there_are(places):
    for name in ("wiki.toml", "blog.toml", "Notes.toml", "blog.toml.bak"):
        (places.config / name).touch()
    assert [site.name for site in places.sites()] == ["blog", "wiki"]
    assert places.known("blog").name == "blog"


def test_a_site_that_is_not_there_is_named_with_the_nearest_one_and_how_to_make_it(places):
    (places.config / "blog.toml").touch()
    with pytest.raises(UsageError) as caught:
        places.known("bolg")
    assert str(caught.value).endswith("did you mean blog? Else `spyglass new bolg APP` makes it")
    with pytest.raises(UsageError) as caught:
        replace(places, user=True).known("wiki")
    assert caught.value.hint == "`spyglass new wiki APP --user` makes it"


def test_only_root_changes_the_sites_of_the_system(places, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    replace(places, user=True).check_rights()
    with pytest.raises(PrivilegeError) as caught:
        places.check_rights()
    assert caught.value.exit_code == 77
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    places.check_rights()
