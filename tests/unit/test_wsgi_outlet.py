"""What waits for a client, over a real socket."""

from __future__ import annotations

import _socket
import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from spyglass_systemd.backends.budget import Budget
from spyglass_systemd.backends.wsgi import outlet as outlets
from spyglass_systemd.backends.wsgi import spool
from spyglass_systemd.backends.wsgi.outlet import MEMORY, Outlet


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.settimeout(10)
        yield ours, theirs


def take(outlet, client, count):
    """Read `count` bytes, having the outlet send what it can."""
    data = bytearray()
    while len(data) < count:
        outlet.flush()
        data += client.recv(min(1 << 20, count - len(data)))
    outlet.flush()
    return bytes(data)


def block(outlet):
    """Put until something waits; what was put."""
    put = b""
    while outlet.empty:
        outlet.put(b"x" * 8192)
        put += b"x" * 8192
    return put


def test_what_the_kernel_takes_does_not_wait(ends):
    outlet = Outlet(ends[0], Budget(1 << 30))
    outlet.put(b"hello")
    assert outlet.empty
    assert outlet.waiting == 0
    assert ends[1].recv(10) == b"hello"


def test_what_it_does_not_take_waits_in_order(ends):
    outlet = Outlet(ends[0], Budget(1 << 30))
    data = block(outlet)
    outlet.put(b"and then")
    assert not outlet.full
    assert outlet.waiting >= 8
    assert take(outlet, ends[1], len(data) + 8) == data + b"and then"
    assert outlet.empty
    assert outlet.waiting == 0


def test_it_is_full_at_its_bound_and_goes_on_in_a_file(ends, monkeypatch):
    files = []
    monkeypatch.setattr(outlets, "nameless_file", lambda: files.append(1) or spool.nameless_file())
    outlet = Outlet(ends[0], Budget(1 << 30))
    data = block(outlet)
    while not outlet.full:
        outlet.put(b"y" * 8192)
        data += b"y" * 8192
    assert files == []
    assert outlet._memory <= MEMORY + 8192
    for n in range(100):
        outlet.put(b"%08d" % n * 1024)
        data += b"%08d" % n * 1024
    assert files == [1]
    assert outlet._memory <= MEMORY + 8192
    assert take(outlet, ends[1], len(data)) == data
    assert outlet.empty
    assert not outlet.full


def test_memory_and_files_keep_their_order(ends, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789" * 50_000)
    outlet = Outlet(ends[0], Budget(1 << 30))
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    outlet.put(b"head")
    outlet.put_file(fd, 5, 400_000)
    outlet.put(b"tail")
    expected = b"head" + (b"0123456789" * 50_000)[5:400_005] + b"tail"
    assert take(outlet, ends[1], len(expected)) == expected
    assert outlet.empty
    assert not outlet.short
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_that_ends_early_is_noticed(ends, tmp_path):
    (tmp_path / "f").write_bytes(b"0123456789")
    outlet = Outlet(ends[0], Budget(1 << 30))
    outlet.put_file(os.open(tmp_path / "f", os.O_RDONLY), 0, 11)
    assert ends[1].recv(20) == b"0123456789"
    outlet.flush()
    assert outlet.short
    assert outlet.empty


def test_nothing_of_a_file_is_nothing_to_send(ends, tmp_path):
    (tmp_path / "f").touch()
    outlet = Outlet(ends[0], Budget(1 << 30))
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    outlet.put_file(fd, 0, 0)
    assert outlet.empty
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_client_that_is_gone_raises_nothing_and_keeps_nothing(ends, tmp_path):
    (tmp_path / "f").write_bytes(b"0" * 4_000_000)
    outlet = Outlet(ends[0], Budget(1 << 30))
    block(outlet)
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    outlet.put_file(fd, 0, 4_000_000)
    ends[1].close()
    outlet.flush()
    assert outlet.gone
    assert outlet.full
    assert outlet.waiting == 0
    outlet.put(b"more")
    outlet.put_file(os.open(tmp_path / "f", os.O_RDONLY), 0, 5)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_client_that_is_gone_at_the_first_byte_raises_nothing(ends):
    outlet = Outlet(ends[0], Budget(1 << 30))
    ends[1].close()
    outlet.put(b"x")
    assert outlet.gone


def test_what_the_client_has_taken_is_what_left_us_and_does_not_lie_in_our_kernel(ends):
    outlet = Outlet(ends[0], Budget(1 << 30))
    outlet.put(b"hello")
    ends[1].recv(5)
    before = outlet.taken()
    data = block(outlet)
    outlet.put(bytes(1 << 20))
    stuck = outlet.taken()
    assert outlet.taken() == stuck
    ends[1].recv(65536)
    outlet.flush()
    assert outlet.taken() > stuck
    take(outlet, ends[1], len(data))
    assert outlet.taken() - before >= len(data) - 65536


def test_where_nothing_can_be_loaded_what_left_us_is_what_was_taken(ends, monkeypatch):
    outlet = Outlet(ends[0], Budget(1 << 30))
    block(outlet)
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert outlet.taken() == outlet._sent


def test_words_of_ours_that_can_be_neither_sent_nor_kept_end_the_connection(ends, monkeypatch):
    def full():
        raise OSError(errno.EMFILE, "Too many open files")

    budget = Budget(1)
    budget.take(1)
    outlet = Outlet(ends[0], budget)
    monkeypatch.setattr(outlets, "nameless_file", full)
    with pytest.raises(OSError, match="Too many open files"):
        block(outlet)
    outlet.say(b"no")
    assert outlet.gone


def test_one_turn_has_a_bound(ends):
    ends[0].setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 8 << 20)
    outlet = Outlet(ends[0], Budget(1 << 30))
    outlet._keep(memoryview(bytes(10 << 20)))
    outlet.flush()
    assert outlet.waiting >= (10 << 20) - outlets._TURN - outlets._MOST


def test_a_nameless_file_is_in_tmpdir_and_has_no_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    fd = spool.nameless_file()
    try:
        assert str(Path(f"/proc/self/fd/{fd}").readlink()).startswith(str(tmp_path))
        assert not list(tmp_path.iterdir())
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_where_no_directory_takes_a_file_it_is_in_memory(monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.open", refuse)
    fd = spool.nameless_file()
    monkeypatch.undo()
    os.close(fd)


def test_a_spool_is_read_from_its_beginning_wherever_it_is():
    for bound in (0, 5, 100):
        kept = spool.Spool(bound, Budget(1 << 30))
        for part in (b"hello", b", ", b"world"):
            kept.write(part)
        assert kept.size == 12
        with kept.reader() as file:
            assert file.read(3) == b"hel"
            assert file.readline() == b"lo, world"
            assert file.readlines() == []
        kept.close()


def test_a_spool_for_which_there_is_no_room_can_be_closed(monkeypatch):
    kept = spool.Spool(4, Budget(100))
    kept.write(b"abc")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spool.os, "write", full)
    with pytest.raises(OSError, match="No space") as raised:
        kept.write(b"defg")
    assert raised.tb  # it is there while a connection closes what it has kept
    kept.close()
