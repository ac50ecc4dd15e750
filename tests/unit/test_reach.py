"""Who gets where, by modes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from spyglass_systemd.tools import reach
from spyglass_systemd.tools.reach import ENTER, READ, Place, Who

NOBODY_YET = Who("spyglass-blog")
ADA = Who("ada", 1000, frozenset({1000, 33}))


@pytest.mark.parametrize(
    ("who", "mode", "uid", "gid", "enters"),
    [
        (NOBODY_YET, 0o755, 0, 0, True),
        (NOBODY_YET, 0o750, 0, 0, False),
        (ADA, 0o700, 1000, 1000, True),
        (ADA, 0o077, 1000, 33, False),  # the owner's bits count alone
        (ADA, 0o710, 0, 33, True),
        (ADA, 0o701, 0, 33, False),
        (ADA, 0o701, 0, 0, True),
        (Who("root", 0), 0o000, 1, 1, True),
    ],
)
def test_the_bits_of_owner_group_and_others_count_in_this_order(who, mode, uid, gid, enters):
    assert reach.may(who, Place("/x", mode, uid, gid), ENTER) is enters


def test_where_there_is_a_list_beside_the_mode_the_mode_is_not_all():
    assert reach.may(NOBODY_YET, Place("/x", 0o700, 0, 0, listed=True), READ)


@pytest.fixture
def open_path():
    """A directory that anybody gets to."""
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_the_first_barrier_on_the_way_is_named(open_path):
    tmp_path = open_path
    (tmp_path / "app/deep").mkdir(parents=True)
    (tmp_path / "app").chmod(0o700)
    file = tmp_path / "app/deep/blog.py"
    file.touch(0o600)
    other = Who("other", os.getuid() + 1)
    assert reach.barrier(other, str(file)).path == str(tmp_path / "app")
    (tmp_path / "app").chmod(0o711)
    assert reach.barrier(other, str(file)).path == str(file)
    assert reach.barrier(other, str(tmp_path / "app"), READ | ENTER).path == str(tmp_path / "app")
    file.chmod(0o644)
    assert reach.barrier(other, str(file)) is None
    assert reach.barrier(other, str(tmp_path / "nothing")) is None


def test_the_way_goes_where_a_link_leads(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "there").mkdir(mode=0o700)
    (tmp_path / "there/blog.py").touch()
    (tmp_path / "link").symlink_to("there")
    assert str(tmp_path / "there") in [place.path for place in reach.way(str(tmp_path / "link/blog.py"))]


@pytest.mark.parametrize(
    ("path", "protected", "hidden"),
    [
        ("/home/ada/blog", "yes", True),
        ("/root", "tmpfs", True),
        ("/home/ada/blog", "read-only", False),
        ("/home/ada/blog", "", False),
        ("/homes/ada", "yes", False),
        ("/srv/blog", "yes", False),
    ],
)
def test_a_home_is_hidden_as_the_unit_says(path, protected, hidden):
    assert reach.hidden(path, protected) is hidden
