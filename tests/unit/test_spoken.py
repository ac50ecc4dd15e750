"""What apps last spoke, over a sleep, and whatever somebody has put in its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols.spoken import keep, key, recall


@pytest.fixture
def environ(tmp_path):
    return {"CACHE_DIRECTORY": f"{tmp_path}:/elsewhere"}


def test_kinds_are_kept_by_listener(environ):
    kinds = {"http": "wsgi", "unix:/run/my app.sock": "raw", "[::1]:80": "asgi"}
    keep(environ, kinds)
    assert recall(environ) == kinds
    keep(environ, {"http": "asgi"})
    assert recall(environ) == {"http": "asgi"}


def test_what_is_known_already_is_not_written(environ, tmp_path):
    keep(environ, {"http": "wsgi"})
    before = (tmp_path / "kinds").stat().st_ino
    keep(environ, {"http": "wsgi"})
    assert (tmp_path / "kinds").stat().st_ino == before
    keep(environ, {"http": "raw"})
    assert (tmp_path / "kinds").stat().st_ino != before
    assert [path.name for path in tmp_path.iterdir()] == ["kinds"]


@pytest.mark.parametrize("label", ["two\nlines", "x" * 1000, "\udc80"])
def test_any_label_is_found_again(environ, label):
    keep(environ, {key(label): "raw", key("http"): "wsgi"})
    assert recall(environ) == {key(label): "raw", "http": "wsgi"}


def test_without_a_place_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep({}, {"http": "wsgi"})
    assert recall({}) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path):
    environ = {"CACHE_DIRECTORY": str(tmp_path / "gone")}
    keep(environ, {"http": "wsgi"})
    assert recall(environ) == {}


@pytest.mark.parametrize("content", [b"", b"\n", b"wsgi", b"wsgi \nraw\n raw\nevil http\n", b"\xff\xfe raw\0"])
def test_what_is_no_kind_is_passed_over(environ, tmp_path, content):
    (tmp_path / "kinds").write_bytes(content)
    assert recall(environ) == {}


@given(st.binary(max_size=200))
def test_anything_can_be_read(tmp_path_factory, content):
    directory = tmp_path_factory.mktemp("cache")
    (directory / "kinds").write_bytes(b"raw http\n" + content)
    assert {*recall({"CACHE_DIRECTORY": str(directory)}).values()} <= {"auto", "wsgi", "asgi", "raw"}
