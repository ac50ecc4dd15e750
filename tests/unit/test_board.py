"""A tool's look at a scoreboard: what a Master has written, and what an app has made of it."""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols import row as cells
from spyglass_systemd.protocols import scoreboard
from spyglass_systemd.protocols.row import CELL, LEASE_CELLS, LEASE_FIRST, ROW_CELLS
from spyglass_systemd.protocols.scoreboard import HEADER_CELLS, Scoreboard
from spyglass_systemd.tools.board import look, parse
from spyglass_systemd.tools.foreign import ForeignError
from spyglass_systemd.words.states import State

PID = 4711


@pytest.fixture
def written(tmp_path):
    """A board as a Master and two workers have left it."""
    board = Scoreboard.create(str(tmp_path), 3, PID)
    header = board.header
    header[scoreboard.H_STATE] = list(State).index(State.AWAKE)
    header[scoreboard.H_GENERATION], header[scoreboard.H_RELOADS], header[scoreboard.H_RELOAD_DONE] = 4, 3, 2
    header[scoreboard.H_IMPORT_US], header[scoreboard.H_RELOAD_RESULT] = 1234, 69
    header[scoreboard.H_PAST_REQUESTS], header[scoreboard.H_PAST_ACTIVITY] = 100, 5
    for number, row in enumerate(board.rows[:2], 1):
        row.claim(900 + number, number, 4)
        row.enter(cells.ACCEPTING)
        row.opened(number)
        row.began(number)
    board.rows[0].lease("nightly\x1b[2J backup", 1)
    board.rows[1].answered(9)
    board.rows[1].busy(8)
    return tmp_path / "scoreboard"


def patched(written, at, value):
    data = bytearray(written.read_bytes())
    data[at * CELL : (at + 1) * CELL] = struct.pack("=q", value)
    return bytes(data)


def test_a_board_says_what_was_written(written):
    board = look(str(written.parent))
    assert (board.pid, board.state, board.generation) == (PID, State.AWAKE, 4)
    assert (board.reloads, board.reload_done, board.reload_result) == (3, 2, 69)
    assert board.phases_us == {"python": 0, "load": 1234, "fork": 0, "boot": 0}
    first, second = board.workers
    assert (first.pid, first.number, first.state, first.open, first.in_flight) == (901, 1, "accepting", 1, 1)
    assert (second.answered, second.busy_since_ns) == (1, 8)
    seen = board.seen
    assert (seen.requests, seen.open, seen.in_flight, seen.leases, seen.last_activity_ns) == (102, 2, 1, 1, 9)
    assert seen.busy_since_ns == 8


def test_nobody_there_is_no_error(tmp_path):
    assert look(str(tmp_path)) is None
    assert look(str(tmp_path / "nowhere")) is None


def test_a_board_without_workers_has_a_snapshot(tmp_path):
    Scoreboard.create(str(tmp_path), 1, PID)
    board = look(str(tmp_path))
    assert board.workers == ()
    assert (board.seen.last_activity_ns, board.seen.occupied) == (0, False)


def test_the_name_of_a_lease_moves_no_cursor(written):
    (name,) = look(str(written.parent)).workers[0].lease_names
    assert name == r"nightly\x1b[2J backup"


def test_a_lease_that_is_no_text_is_shown_as_such(written):
    data = bytearray(written.read_bytes())
    start = (HEADER_CELLS + LEASE_FIRST + LEASE_CELLS) * CELL
    data[start : start + LEASE_CELLS * CELL] = b"\xff" * LEASE_CELLS * CELL
    names = parse(bytes(data)).workers[0].lease_names
    assert len(names) == 2
    assert all(name.isprintable() and len(name.encode()) <= 64 for name in names)


@pytest.mark.parametrize("size", [0, 1, CELL, HEADER_CELLS * CELL - 1, HEADER_CELLS * CELL, -CELL, -1])
def test_a_board_that_is_cut_is_none(written, size):
    data = written.read_bytes()
    with pytest.raises(ForeignError, match="the scoreboard is cut"):
        parse(data[:size])


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (scoreboard.H_MAGIC, 0, "does not begin like one"),
        (scoreboard.H_VERSION, 99, "of another version"),
        (scoreboard.H_ROWS, 2**62, "has no 4611686018427387904 rows"),
        (scoreboard.H_ROWS, -1, "has no -1 rows"),
        (scoreboard.H_STATE, 99, "state is 99"),
        (scoreboard.H_STATE, -1, "state is -1"),
        (scoreboard.H_READY, -1, "counted below zero"),
        (HEADER_CELLS + cells.STATE, 99, "a row that no worker writes"),
        (HEADER_CELLS + cells.OPEN, -1, "a row that no worker writes"),
    ],
)
def test_what_cannot_be_is_a_reason(written, at, value, says):
    with pytest.raises(ForeignError, match=says):
        parse(patched(written, at, value))


def test_a_hostile_board_is_a_reason_as_well(tmp_path):
    os.mkfifo(tmp_path / "scoreboard")
    with pytest.raises(ForeignError, match="no regular file"):
        look(str(tmp_path))


@given(st.binary(max_size=4 * CELL), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=ROW_CELLS))
def test_any_bytes_are_a_board_or_a_reason(start, row):
    header = [0] * HEADER_CELLS
    header[scoreboard.H_MAGIC], header[scoreboard.H_VERSION] = scoreboard.MAGIC, scoreboard.VERSION
    header[scoreboard.H_ROWS] = 1
    whole = struct.pack(f"={HEADER_CELLS}q", *header) + struct.pack(
        f"={ROW_CELLS}q", *row, *[0] * (ROW_CELLS - len(row))
    )
    for data in (start + whole[len(start) :], whole, whole[: len(start)]):
        try:
            board = parse(data)
        except ForeignError:
            continue
        assert all(name.isprintable() for worker in board.workers for name in worker.lease_names)
