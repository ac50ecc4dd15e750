"""Leases: what an app holds on its row while it must not be put to sleep."""

from __future__ import annotations

import asyncio
import os
import threading
import types

import pytest

import spyglass_systemd
from spyglass_systemd import keep_awake
from spyglass_systemd.protocols import leases
from spyglass_systemd.protocols.row import LEASE_SLOTS
from spyglass_systemd.protocols.scoreboard import Scoreboard


@pytest.fixture
def row(monkeypatch):
    """The row of this process, as a worker's."""
    monkeypatch.setattr(leases, "_row", None)
    monkeypatch.setattr(leases, "_owner", 0)
    row = Scoreboard.create("", 1, os.getpid()).rows[0]
    leases.attach(row)
    return row


def test_the_public_name_is_the_lease():
    assert keep_awake is leases.Lease
    assert "keep_awake" in dir(spyglass_systemd)
    with pytest.raises(AttributeError, match="has no attribute 'keep_asleep'"):
        spyglass_systemd.keep_asleep  # noqa: B018


def test_a_lease_is_on_the_row_with_its_name_until_it_is_released(row):
    lease = keep_awake("import job")
    assert (row.leases, row.lease_names) == (1, ("import job",))
    assert repr(lease) == "<Lease 'import job'>"
    before = row.last_activity_ns
    lease.release()
    assert (row.leases, row.lease_names) == (0, ())
    assert row.last_activity_ns > before  # `idle` runs from here
    assert repr(lease) == "<Lease 'import job' not held>"


def test_a_lease_that_is_released_twice_is_released_once(row):
    first, second = keep_awake("a"), keep_awake("b")
    first.release()
    first.release()
    assert row.lease_names == ("b",)
    second.release()
    assert row.leases == 0


def test_a_lease_is_held_for_a_block(row):
    with keep_awake("block") as lease:
        assert row.lease_names == ("block",)
        assert lease.name == "block"
    assert row.leases == 0


def test_a_block_that_fails_releases_its_lease_and_hides_nothing(row):
    with pytest.raises(ZeroDivisionError), keep_awake("block"):
        1 / 0  # noqa: B018
    assert row.leases == 0


def test_a_lease_is_held_for_an_async_block(row):
    async def work():
        async with keep_awake("async"):
            await asyncio.sleep(0)
            return row.lease_names

    assert asyncio.run(work()) == ("async",)
    assert row.leases == 0


def test_threads_take_and_release_without_losing_count(row):
    def work():
        for _ in range(2000):
            keep_awake("x").release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (row.leases, row.lease_names) == (0, ())


def test_more_leases_than_slots_count_though_their_names_are_not_shown(row):
    held = [keep_awake(f"job {number}") for number in range(LEASE_SLOTS + 2)]
    assert row.leases == LEASE_SLOTS + 2
    assert row.lease_names == tuple(f"job {number}" for number in range(LEASE_SLOTS))
    for lease in held:
        lease.release()
    assert row.leases == 0


def test_a_long_name_is_cut_and_a_strange_one_is_no_error(row):
    with keep_awake("ä" * 100), keep_awake("\ud800"):
        long, strange = row.lease_names
    assert long.rstrip("\ufffd") == "ä" * 28
    assert strange == "?"


def test_outside_spyglass_a_lease_does_nothing(monkeypatch):
    monkeypatch.setattr(leases, "_row", None)
    monkeypatch.setattr(leases, "_owner", 0)
    with keep_awake("x") as lease:
        assert repr(lease) == "<Lease 'x' not held>"
    lease.release()


def test_a_process_that_the_app_forked_is_not_the_worker(row, monkeypatch):
    """Neither does it take a lease, nor can it release the worker's."""
    mine = keep_awake("mine")
    monkeypatch.setattr(leases, "os", types.SimpleNamespace(getpid=lambda: os.getpid() + 1))
    keep_awake("theirs")
    mine.release()
    assert row.lease_names == ("mine",)
