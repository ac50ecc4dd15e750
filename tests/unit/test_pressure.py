"""Whether memory is short: by word of the service manager, or by a look at the cgroup's file."""

from __future__ import annotations

import base64
import os
import select
from pathlib import Path

import pytest

from spyglass_systemd.protocols import pressure
from spyglass_systemd.protocols.pressure import Pressure


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """A cgroup of ours with a file that says how much was stalled."""
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line[3:] for line in groups if line.startswith("0::")), "")
    monkeypatch.setattr(pressure, "_CGROUPS", str(tmp_path))
    file = tmp_path / own.strip("/") / "memory.pressure"
    file.parent.mkdir(parents=True, exist_ok=True)

    def says(text):
        file.write_text(text)
        return file

    return says


def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def test_a_fifo_is_watched_for_reading_and_each_word_lasts_a_while(tmp_path):
    path = fifo(tmp_path)
    told = Pressure.from_environ({"MEMORY_PRESSURE_WATCH": str(path)})
    assert (told.events, told.path, told.look_at) == (select.POLLIN, "", 0.0)
    assert not told.is_high(100.0)
    path.write_text("x")
    assert select.select([told.fd], [], [], 10)[0]
    told.heed(100.0)
    assert not select.select([told.fd], [], [], 0)[0]
    assert told.is_high(100.0)
    assert told.is_high(129.9)
    assert not told.is_high(130.0)
    os.close(told.fd)


def test_a_file_of_the_kernel_is_given_its_trigger_and_watched_for_exceptions(tmp_path):
    path = tmp_path / "memory.pressure"
    path.write_text("")
    trigger = base64.b64encode(b"some 200000 2000000\0").decode()
    told = Pressure.from_environ({"MEMORY_PRESSURE_WATCH": str(path), "MEMORY_PRESSURE_WRITE": trigger})
    assert path.read_bytes() == b"some 200000 2000000\0"
    assert told.events == select.POLLPRI
    told.heed(100.0)
    assert told.is_high(101.0)
    told.heed(102.0)
    assert told.is_high(131.0)
    told.heed(102.1)  # no kernel says it that often: it is an error that will not go
    assert told.fd == -1


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"MEMORY_PRESSURE_WATCH": "/nowhere"},
        {"MEMORY_PRESSURE_WATCH": "FIFO", "MEMORY_PRESSURE_WRITE": "x"},
        {"MEMORY_PRESSURE_WATCH": "/dev/full", "MEMORY_PRESSURE_WRITE": "eHg="},  # ENOSPC, as EPERM for a trigger
    ],
)
def test_where_nobody_gives_word_the_file_of_the_cgroup_is_read_now_and_then(cgroup, tmp_path, environ):
    file = cgroup("some avg10=9.99 avg60=0.00 avg300=0.00 total=1\nfull avg10=99.0\n")
    environ = {key: value.replace("FIFO", str(tmp_path)) for key, value in environ.items()}
    seen = Pressure.from_environ(environ)
    assert (seen.fd, seen.path) == (-1, str(file))
    assert not seen.is_high(100.0)
    assert seen.look_at == 105.0
    cgroup("some avg10=10.00 avg60=0.00\n")
    assert not seen.is_high(104.0)
    assert seen.is_high(105.0)
    cgroup("some avg10=0.00\n")
    assert seen.is_high(134.0)
    assert not seen.is_high(140.0)


@pytest.mark.parametrize("text", ["", "some\n", "some avg10=much\n"])
def test_a_file_that_says_nothing_is_no_pressure(cgroup, text):
    cgroup(text)
    assert not Pressure.from_environ({}).is_high(100.0)


def test_a_file_that_goes_is_no_pressure(cgroup):
    file = cgroup("some avg10=50.0\n")
    seen = Pressure.from_environ({})
    file.unlink()
    assert not seen.is_high(100.0)


def test_where_it_is_switched_off_or_there_is_no_file_nobody_is_pressed(tmp_path, monkeypatch):
    monkeypatch.setattr(pressure, "_CGROUPS", str(tmp_path))
    for environ in ({}, {"MEMORY_PRESSURE_WATCH": "/dev/null"}):
        none = Pressure.from_environ(environ)
        assert (none.fd, none.path, none.is_high(100.0)) == (-1, "", False)


def test_without_proc_nobody_is_pressed(monkeypatch):
    def no_file(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", no_file)
    assert Pressure.from_environ({}).path == ""
