"""What one wake leaves for the next, and whatever somebody has put in its place."""

from __future__ import annotations

import os
import stat

import pytest

from spyglass_systemd.protocols import kept
from spyglass_systemd.protocols.kept import keep, recall


@pytest.fixture
def environ(tmp_path):
    return {"CACHE_DIRECTORY": f"{tmp_path}:/elsewhere"}


def test_what_is_kept_is_found_again_and_is_nobody_elses_business(environ, tmp_path):
    keep(environ, "config", b"one")
    keep(environ, "config", b"two")
    assert recall(environ, "config") == b"two"
    assert recall(environ, "kinds") == b""
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["config"]


def test_what_is_too_much_is_not_kept(environ):
    keep(environ, "config", bytes(1024 * 1024))
    assert recall(environ, "config") == b""


@pytest.mark.parametrize("place", [{}, {"CACHE_DIRECTORY": ""}, {"CACHE_DIRECTORY": "/nowhere/at/all"}])
def test_without_a_place_nothing_is_kept(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    keep(place, "config", b"one")
    assert recall(place, "config") == b""
    assert list(tmp_path.iterdir()) == []


def test_only_a_plain_file_is_read(environ, tmp_path, monkeypatch):
    path = tmp_path / "config"
    os.mkfifo(path)
    assert recall(environ, "config") == b""
    path.unlink()
    path.mkdir()
    assert recall(environ, "config") == b""
    path.rmdir()
    (tmp_path / "other").write_bytes(b"one")
    path.symlink_to("other")
    assert recall(environ, "config") == b""
    path.unlink()
    path.write_bytes(b"one")
    assert recall(environ, "config") == b"one"

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(kept.os, "read", broken)
    assert recall(environ, "config") == b""
