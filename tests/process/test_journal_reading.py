"""Reading a journal that a real journald has written, through both libraries: the same values from either."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys

import pytest

import spyglass_systemd.sd as port
from spyglass_systemd.sd.reading import read

# What is said, each from a place of its own. The last one goes to the journal a while after the others.
SAY = r"""
import os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs("/run/systemd/journal")
os.makedirs("/run/log/journal")
journald = subprocess.Popen(["/lib/systemd/systemd-journald"], stderr=subprocess.DEVNULL)
try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        while True:
            try:
                sock.connect("/run/systemd/journal/socket")
                break
            except OSError:
                os.sched_yield()
                assert journald.poll() is None
        for entry in (
            b"MESSAGE=one\nUNIT=blog\nKIND=a\n",
            b"MESSAGE=no \xff text\nUNIT=blog\nKIND=b\nKIND=c\n",
            b"MESSAGE\n" + (9).to_bytes(8, "little") + b"two\nlines\nUNIT=blog\nKIND=a\n",
            b"MESSAGE=a stranger's\nUNIT=shop\nKIND=a\n",
            b"MESSAGE=four\nUNIT=blog\nKIND=d\nEMPTY=\n",
        ):
            sock.send(entry)
    subprocess.run(["journalctl", "--sync"], check=True)
    subprocess.run(["cp", "-r", "/run/log/journal", sys.argv[1]], check=True)
finally:
    journald.terminate()
    journald.wait()
"""
BLOG = (("UNIT=blog",),)


def write(directory, stranger):
    """The directory with the files that a journald has written, to whom a stranger said so."""
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    program = SAY.replace("a stranger's", stranger)
    subprocess.run([*private, sys.executable, "-c", program, directory], check=True, timeout=60)
    (machine,) = directory.iterdir()
    return str(machine)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("journal") / "files", "a stranger's")


@pytest.fixture
def messages(sd, written):
    """The texts of the entries that `read` finds."""
    del sd
    return lambda groups=BLOG, **how: [entry["MESSAGE"] for _, entry in read(groups, directory=written, **how)]


def test_entries_come_oldest_first_and_nobody_elses(messages):
    assert messages() == ["one", "no \ufffd text", "two\nlines", "four"]


def test_fields_are_text_and_of_a_repeated_one_the_first_counts(sd, written):
    del sd
    found = [{name: fields.get(name) for name in ("KIND", "EMPTY")} for _, fields in read(BLOG, directory=written)]
    assert [entry["KIND"] for entry in found] == ["a", "b", "a", "d"]
    assert found[-1]["EMPTY"] == ""


def test_both_libraries_say_the_same(written, monkeypatch):
    said = []
    for name in (port.SYSTEMD_PYTHON, port.CYSYSTEMD):
        monkeypatch.setenv(port.FORCE, name)
        monkeypatch.setattr(port, "_chosen", None)
        said.append(list(read(BLOG, directory=written)))
    assert said[0] == said[1]
    assert all("_PID" in fields and micros > 10**15 for micros, fields in said[0])


def test_of_each_group_an_entry_has_one(messages):
    assert messages((("UNIT=blog", "UNIT=shop"), ("KIND=a", "KIND=d"))) == ["one", "two\nlines", "a stranger's", "four"]
    assert messages((("KIND=c",), ("UNIT=blog",))) == ["no \ufffd text"]
    assert messages((("UNIT=nobody",),)) == []


@pytest.mark.parametrize("last", [0, 1, 2, 4, 9])
def test_the_last_so_many_are_counted_from_the_end(messages, last):
    assert messages(last=last) == messages()[max(0, 4 - last) :] if last else messages(last=0) == []


def test_the_last_so_many_are_those_that_are_wanted(messages):
    assert messages(last=2, keep=lambda fields: fields["KIND"] == "a") == ["one", "two\nlines"]
    assert messages(last=9, keep=lambda fields: fields["KIND"] == "d") == ["four"]


def test_what_is_older_is_left_out(sd, written, messages):
    del sd
    when = [micros for micros, _ in read(BLOG, directory=written)]
    assert messages(since_us=when[2]) == ["two\nlines", "four"]
    assert messages(since_us=when[2], last=9) == ["two\nlines", "four"]
    assert messages(since_us=when[-1] + 1) == []
    assert messages(since_us=when[-1] + 1, last=9) == []


@pytest.mark.parametrize("last", [0, 1, None])
def test_who_follows_sees_what_is_written_later(sd, written, tmp_path, last):
    """A journal that grows: here because the file of a later journald is put beside the first."""
    del sd
    files = tmp_path / "files"
    shutil.copytree(written, files)
    entries = read((("UNIT=shop",),), last=last, follow=True, directory=str(files))
    before = 0 if last == 0 else 1
    assert [fields["MESSAGE"] for _, fields in itertools.islice(entries, before)] == ["a stranger's"] * before
    shutil.copy(f"{write(tmp_path / 'later', 'later')}/system.journal", files / "system@later.journal")
    _, fields = next(entries)
    assert fields["MESSAGE"] == "later"


@pytest.mark.usefixtures("sd")
def test_a_directory_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(OSError):  # noqa: PT011  # which number differs between the libraries
        list(read(BLOG, directory=str(tmp_path / "nowhere")))
