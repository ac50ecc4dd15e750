"""Reading what an app may have put there to fool us."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from spyglass_systemd.tools import foreign
from spyglass_systemd.tools.foreign import ForeignError, read

LIMIT = 1000


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def refused(home, says, name="file"):
    with pytest.raises(ForeignError, match=says) as caught:
        read(str(home), name, LIMIT)
    return caught.value


def test_a_plain_file_is_read_up_to_the_limit(home):
    (home / "file").write_bytes(b"x" * LIMIT)
    assert read(str(home), "file", LIMIT) == b"x" * LIMIT


def test_what_is_not_there_is_not_found(home):
    for directory, name in ((home, "file"), (home / "nowhere", "file")):
        with pytest.raises(FileNotFoundError):
            read(str(directory), name, LIMIT)


def test_a_symlink_is_not_followed_whatever_it_leads_to(home, tmp_path):
    (tmp_path / "secret").write_text("root's own")
    (home / "file").symlink_to(tmp_path / "secret")
    refused(home, "file cannot be read: Too many levels of symbolic links")
    (tmp_path / "door").symlink_to(home)
    (home / "other").write_text("x")
    refused(tmp_path / "door", "cannot be read: Not a directory", "other")


def test_a_fifo_and_a_socket_keep_nobody_waiting(home):
    os.mkfifo(home / "file")
    refused(home, "file is no regular file")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(home / "sock"))
        refused(home, "sock cannot be read: No such device or address", "sock")
    (home / "directory").mkdir()
    refused(home, "is no regular file", "directory")


def test_a_file_of_many_names_is_somebody_elses(home, tmp_path):
    (tmp_path / "secret").write_text("another's")
    (home / "file").hardlink_to(tmp_path / "secret")
    refused(home, "file has 2 names")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_owner_than_its_directory_is_not_the_apps(home):
    (home / "file").write_text("x")
    os.chown(home / "file", 1234, -1)
    refused(home, "file belongs to user 1234, and its directory to 0")


def test_a_huge_file_costs_nothing(home):
    with (home / "file").open("wb") as file:
        file.truncate(2**40)
    refused(home, f"file has {2**40} bytes, more than {LIMIT}")


def test_a_file_that_grows_while_it_is_read_ends_at_the_limit(home, monkeypatch):
    (home / "file").write_bytes(b"x")
    asked = []

    def pread(_fd, size, at):
        asked.append(size)
        return b"x" * min(size, 300) if at <= LIMIT else b""

    monkeypatch.setattr(foreign.os, "pread", pread)
    refused(home, f"more than {LIMIT} bytes, and grows")
    assert sum(min(size, 300) for size in asked) == LIMIT + 1


def test_one_that_shrinks_is_what_is_left_of_it(home, monkeypatch):
    (home / "file").write_bytes(b"x" * 100)
    real = os.fstat

    def fstat(fd):
        found = real(fd)
        if found.st_size == 100:
            os.truncate(home / "file", 10)
        return found

    monkeypatch.setattr(foreign.os, "fstat", fstat)
    assert read(str(home), "file", LIMIT) == b"x" * 10


def test_no_descriptor_is_left(home):
    before = len(list(Path("/proc/self/fd").iterdir()))
    (home / "file").symlink_to("/etc/passwd")
    os.mkfifo(home / "fifo")
    for name in ("file", "fifo"):
        refused(home, name, name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
