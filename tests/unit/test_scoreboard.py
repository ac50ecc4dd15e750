"""The scoreboard: how its file is made, what is counted, who may look."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.protocols.row import ACCEPTING, CELL, FREE, LEASE_SLOTS, ROW_CELLS, ROW_STATES
from spyglass_systemd.protocols.scoreboard import HEADER_CELLS, MAGIC, VERSION, Scoreboard
from spyglass_systemd.words.snapshot import Snapshot

PID = 4711


def cells_of(data):
    return struct.unpack(f"{len(data) // CELL}q", data)


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def board():
    return Scoreboard.create("", 3, PID)


# ### The file


def test_a_board_is_a_file_that_anybody_can_read(tmp_path):
    board = Scoreboard.create(str(tmp_path), 3, PID)
    board.rows[1].claim(917, 2, 5)
    assert board.path == str(tmp_path / "scoreboard")
    cells = cells_of((tmp_path / "scoreboard").read_bytes())
    assert len(cells) == HEADER_CELLS + 3 * ROW_CELLS
    header, row = cells[:HEADER_CELLS], cells[HEADER_CELLS + ROW_CELLS :][:ROW_CELLS]
    assert header[scoreboard.H_MAGIC].to_bytes(8, "big") == b"SPYGLASS"
    assert (header[scoreboard.H_VERSION], header[scoreboard.H_ROWS], header[scoreboard.H_PID]) == (VERSION, 3, PID)
    assert (row[row_cells.PID], row[row_cells.WORKER], row[row_cells.GENERATION]) == (917, 2, 5)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_its_mode_is_0644_whatever_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        Scoreboard.create(str(tmp_path), 3, PID)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "scoreboard").stat().st_mode) == 0o644


def test_its_blocks_are_there_before_anything_is_stored(tmp_path):
    Scoreboard.create(str(tmp_path), 64, PID)
    found = (tmp_path / "scoreboard").stat()
    assert found.st_blocks * 512 >= found.st_size


def test_only_the_board_is_left_in_the_directory_and_no_descriptor(tmp_path):
    before = descriptors()
    boards = [Scoreboard.create(str(tmp_path), 3, PID) for _ in range(3)]
    assert [path.name for path in tmp_path.iterdir()] == ["scoreboard"]
    mapped = len(boards)  # mmap(2) keeps a descriptor of its own for each
    assert descriptors() == before + mapped


def test_who_has_the_old_board_open_keeps_the_old_board(tmp_path):
    old = Scoreboard.create(str(tmp_path), 3, 1)
    with (tmp_path / "scoreboard").open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as reader:
        new = Scoreboard.create(str(tmp_path), 1, 2)
        new.header[scoreboard.H_STATE] = 7
        old.rows[2].opened(99)
        header = cells_of(reader[: HEADER_CELLS * CELL])
        row = cells_of(reader[-ROW_CELLS * CELL :])
        assert (header[scoreboard.H_PID], header[scoreboard.H_STATE]) == (1, 0)
        assert row[row_cells.ACCEPTED] == 1
    assert cells_of((tmp_path / "scoreboard").read_bytes())[scoreboard.H_PID] == 2


def test_a_reader_never_sees_half_a_board(tmp_path, monkeypatch):
    """When it gets its name it is whole."""
    seen = []

    def rename(new, path, *, real=os.rename):
        seen.append(cells_of(Path(new).read_bytes()))
        real(new, path)

    monkeypatch.setattr(os, "rename", rename)
    Scoreboard.create(str(tmp_path), 3, PID)
    (cells,) = seen
    assert len(cells) == HEADER_CELLS + 3 * ROW_CELLS
    assert cells[scoreboard.H_MAGIC] == MAGIC


def test_what_a_master_of_the_same_number_left_is_overwritten(tmp_path):
    left = tmp_path / f".scoreboard.{PID}"
    left.write_bytes(b"\xff" * 100_000)
    left.chmod(0o600)
    Scoreboard.create(str(tmp_path), 1, PID)
    cells = cells_of((tmp_path / "scoreboard").read_bytes())
    assert len(cells) == HEADER_CELLS + ROW_CELLS
    assert not any(cells[HEADER_CELLS:])
    assert stat.S_IMODE((tmp_path / "scoreboard").stat().st_mode) == 0o644


def test_a_symlink_where_the_board_is_made_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".scoreboard.{PID}").symlink_to(victim)
    with pytest.raises(OSError, match=r"\.scoreboard\.4711") as caught:
        Scoreboard.create(str(tmp_path / "run"), 1, PID)
    assert caught.value.errno == errno.ELOOP
    assert victim.read_text() == "precious"


def test_a_symlink_in_the_boards_place_is_replaced_and_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "scoreboard").symlink_to(victim)
    Scoreboard.create(str(tmp_path), 1, PID)
    assert not (tmp_path / "scoreboard").is_symlink()
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("call", ["posix_fallocate", "fchmod", "rename"])
def test_a_board_that_cannot_be_made_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch, call):
    """A full tmpfs, above all: tests/process/test_full_tmpfs.py has a real one."""

    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Scoreboard.create(str(tmp_path), 1, 1)
    before = descriptors()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            Scoreboard.create(str(tmp_path), 1, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["scoreboard"]
    assert cells_of((tmp_path / "scoreboard").read_bytes())[scoreboard.H_PID] == 1
    assert descriptors() == before


def test_without_a_directory_there_is_memory_and_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = Scoreboard.create("", 3, PID)
    assert board.path == ""
    assert list(tmp_path.iterdir()) == []
    assert board.header[scoreboard.H_PID] == PID
    assert len(board.rows) == 3


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Scoreboard.create(str(tmp_path / "nowhere"), 3, PID)


# ### Rows


def test_a_row_is_free_until_it_is_taken(board):
    first, second, third = board.rows
    assert board.free_row() is first
    first.enter(ACCEPTING)
    assert board.free_row() is second
    second.claim(917, 1, 1)
    third.claim(918, 2, 1)
    assert board.free_row() is None
    board.clear(second)
    assert board.free_row() is second


def test_a_worker_counts_in_its_own_row_only(board):
    row = board.rows[1]
    row.claim(917, 4, 2)
    row.enter(ACCEPTING)
    row.opened(10)
    row.opened(11)
    row.began(12)
    row.busy(12)
    assert (row.pid, row.worker, row.accepted, row.open, row.requests, row.in_flight) == (917, 4, 2, 2, 1, 1)
    assert (row.done, row.last_activity_ns, row.busy_since_ns, row.state) == (0, 12, 12, ACCEPTING)
    row.answered(13)
    row.busy(0)
    row.closed()
    assert (row.open, row.in_flight, row.done, row.busy_since_ns, row.last_activity_ns) == (1, 0, 1, 0, 13)
    for other in (board.rows[0], board.rows[2]):
        assert not any(other._cells)


def test_the_end_of_a_connection_is_no_activity(board):
    row = board.rows[0]
    row.opened(10)
    row.closed()
    assert row.last_activity_ns == 10


def test_a_row_is_occupied_by_a_connection_as_by_a_request(board):
    row = board.rows[0]
    assert not row.occupied
    row.opened(1)
    row.began(1)
    row.closed()
    assert row.occupied  # the client is gone, the app still runs
    row.answered(2)
    assert not row.occupied
    row.opened(3)
    assert row.occupied


def test_a_repr_says_what_a_row_counts(board):
    row = board.rows[2]
    row.claim(917, 4, 2)
    row.opened(1)
    assert repr(row) == "<Row 2 booting pid=917 accepted=1 open=1 requests=0 in_flight=0>"
    row.enter(99)
    assert repr(row).startswith("<Row 2 99 pid")


def test_every_state_of_a_row_has_a_name():
    states = (FREE, row_cells.BOOTING, ACCEPTING, row_cells.QUIESCING, row_cells.QUIET)
    assert [ROW_STATES[state] for state in states] == ["free", "booting", "accepting", "quiescing", "quiet"]


# ### Leases


def test_a_lease_is_counted_and_named(board):
    row = board.rows[0]
    slot = row.lease("nightly backup", 10)
    assert row.leases == 1
    assert row.lease_names == ("nightly backup",)
    row.release(slot, 20)
    assert row.leases == 0
    assert row.lease_names == ()
    assert row.last_activity_ns == 20


def test_more_leases_than_names_are_counted_all_the_same(board):
    row = board.rows[0]
    slots = [row.lease(str(n), 10) for n in range(LEASE_SLOTS + 2)]
    assert slots[-2:] == [-1, -1]
    assert row.leases == LEASE_SLOTS + 2
    assert row.lease_names == tuple(str(n) for n in range(LEASE_SLOTS))
    row.release(slots[1], 20)
    row.release(slots[-1], 20)
    assert row.lease_names == ("0", "2", "3")
    assert row.lease("new", 30) == slots[1]
    assert row.leases == LEASE_SLOTS + 1


def test_the_end_of_a_lease_never_makes_the_last_activity_older(board):
    row = board.rows[0]
    slot = row.lease("x", 10)
    row.opened(30)
    row.release(slot, 20)
    assert row.last_activity_ns == 30


@pytest.mark.parametrize("name", ["ü" * 40, "\ud800", "x" * 1000, ""])
def test_any_name_fits_into_its_slot_and_into_no_other(board, name):
    row = board.rows[0]
    row.lease(name, 1)
    row.lease("next", 1)
    first, second = row.lease_names
    assert second == "next"
    assert len(first.encode()) <= 58  # 56, and what replaces half a character
    assert not any(board.rows[1]._cells)


# ### Sums


def test_a_snapshot_sums_what_all_workers_count(board):
    for n, row in enumerate(board.rows[:2]):
        row.claim(900 + n, n, 1)
        for at in (10 + n, 20 + n):
            row.opened(at)
            row.began(at)
        row.answered(30 + n)
        row.closed()
        row.lease("x", 0)
    board.rows[1].busy(25)
    seen = board.snapshot()
    assert (seen.accepted, seen.open, seen.requests, seen.in_flight, seen.answered) == (4, 2, 4, 2, 2)
    assert (seen.last_activity_ns, seen.busy_since_ns, seen.leases) == (31, 25, 2)
    board.rows[0].busy(24)
    assert board.snapshot().busy_since_ns == 24


def test_a_new_board_has_seen_nothing(board):
    seen = board.snapshot()
    assert {getattr(seen, name) for name in seen.__slots__} == {0}
    assert not seen.occupied
    assert repr(seen).startswith("<Snapshot accepted=0 answered=0")


@pytest.mark.parametrize("held", ["open", "in_flight", "leases"])
def test_a_snapshot_is_occupied_by_anything_that_is_held(held):
    assert Snapshot(**{held: 1}).occupied


def test_what_a_dead_worker_counted_stays_in_the_sums(board):
    row = board.rows[1]
    row.claim(917, 1, 1)
    row.opened(10)
    row.began(11)
    row.answered(12)
    row.opened(13)
    row.began(14)
    row.lease("x", 15)
    before = board.snapshot()
    board.clear(row)
    after = board.snapshot()
    assert not any(row._cells)
    assert (after.accepted, after.requests, after.answered) == (before.accepted, before.requests, before.answered)
    assert after.last_activity_ns == before.last_activity_ns == 14  # or the app would fall asleep too early
    assert (after.open, after.in_flight, after.leases, after.busy_since_ns) == (0, 0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["opened", "closed", "began", "answered", "clear"]))))
def test_sums_never_lose_what_was_counted(events):
    """Whoever counts, and whoever dies in between."""
    board = Scoreboard.create("", 3, PID)
    counted = {"opened": 0, "began": 0, "answered": 0}
    for row in board.rows:
        row.claim(1, 1, 1)
    for now, (index, event) in enumerate(events, 1):
        row = board.rows[index]
        if event == "clear":
            board.clear(row)
            row.claim(1, 1, 1)
        elif event == "closed":
            row.closed()
        else:
            getattr(row, event)(now)
            counted[event] += 1
    seen = board.snapshot()
    assert (seen.accepted, seen.requests, seen.answered) == tuple(counted.values())
    assert seen.last_activity_ns == max((now for now, (_, e) in enumerate(events, 1) if e in counted), default=0)


def test_a_free_row_counts_for_nothing(board):
    board.rows[0].opened(10)  # never claimed: a worker that was hired and whose Template died
    assert board.snapshot().open == 0


def test_the_header_and_the_rows_share_no_cell(board):
    for n in range(HEADER_CELLS):
        board.header[n] = -1
    assert not any(cell for row in board.rows for cell in row._cells)
    names = [name for name in vars(scoreboard) if name.startswith("H_")]
    assert len({getattr(scoreboard, name) for name in names}) == len(names)
    assert max(getattr(scoreboard, name) for name in names) < HEADER_CELLS
