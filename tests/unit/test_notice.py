"""A text beside the scoreboard."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from spyglass_systemd.protocols import notice


@pytest.fixture
def board(tmp_path):
    return str(tmp_path / "scoreboard")


def names(board):
    return sorted(path.name for path in Path(board).parent.iterdir())


def test_a_text_stands_beside_the_board_for_root_the_user_and_the_group(board, tmp_path):
    before = os.umask(0o077)
    try:
        notice.put(board, "reload-error", "it broke: \ud800 é")
    finally:
        os.umask(before)
    assert (tmp_path / "reload-error").read_text() == "it broke: ? é"
    assert stat.S_IMODE((tmp_path / "reload-error").stat().st_mode) == 0o640
    assert names(board) == ["reload-error"]


def test_a_later_text_replaces_the_one_before_whole(board, tmp_path):
    notice.put(board, "reload-error", "a long text")
    with (tmp_path / "reload-error").open() as reader:
        notice.put(board, "reload-error", "short")
        assert reader.read() == "a long text"
    assert (tmp_path / "reload-error").read_text() == "short"


def test_a_text_without_end_is_cut(board, tmp_path):
    notice.put(board, "reload-error", "x" * 10**6)
    assert (tmp_path / "reload-error").stat().st_size < 10**5


def test_what_is_over_is_gone(board):
    notice.put(board, "reload-error", "it broke")
    notice.drop(board, "reload-error")
    notice.drop(board, "reload-error")
    assert names(board) == []


def test_without_a_board_there_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reload-error").write_text("somebody else's")
    notice.put("", "reload-error", "it broke")
    notice.drop("", "reload-error")
    assert (tmp_path / "reload-error").read_text() == "somebody else's"


def test_a_symlink_where_the_text_is_made_is_not_followed(board, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".reload-error.new").symlink_to(victim)
    notice.put(board, "reload-error", "it broke")
    assert victim.read_text() == "precious"


def test_where_there_is_no_room_no_older_text_is_left(board, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    notice.put(board, "reload-error", "of yesterday")
    monkeypatch.setattr(os, "write", full)
    notice.put(board, "reload-error", "of today")
    assert "reload-error" not in names(board)
