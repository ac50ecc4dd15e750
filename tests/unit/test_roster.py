"""The Master's books: who counts, who is where, what must be closed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from spyglass_systemd.processes.roster import ACCEPTING, BOOTING, LEAVING, RETIRING, Generation, Roster, WorkerHandle

STATES = [BOOTING, ACCEPTING, RETIRING, LEAVING]


class Line:
    """A channel, as far as the books look at it."""

    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


def a_worker(generation, number, state=ACCEPTING, *, kind="wsgi", pid=0, pidfd=-1, fd=-1):
    worker = WorkerHandle(number, generation.number, Line(fd), None, 1.0, kind)
    worker.state, worker.pid, worker.pidfd = state, pid, pidfd
    generation.workers[number] = worker
    return worker


def a_generation(roster, number=1, *, pid=100, pidfd=-1, fd=-1, kinds=("wsgi",), witness=-1):
    generation = Generation(number, pid, pidfd, Line(fd), 1.0, SimpleNamespace(fd=witness))
    if kinds:
        generation.load(5, kinds)
    roster.generations[number] = generation
    roster.current = roster.current or generation
    return generation


@pytest.fixture
def roster():
    return Roster()


# ### Names


def test_every_actor_is_named_as_in_the_log(roster):
    generation = a_generation(roster, 2, pid=900)
    worker = a_worker(generation, 3, BOOTING, pid=917)
    assert worker.label == "worker=3 gen=2 pid=917"
    assert generation.label == "gen=2 pid=900"
    assert repr(worker) == "<WorkerHandle worker=3 gen=2 pid=917 booting>"
    assert repr(generation) == "<Generation gen=2 pid=900 workers=[3]>"


def test_a_worker_that_was_asked_for_has_no_process_yet():
    row = object()
    worker = WorkerHandle(1, 1, Line(3), row, 1.0, "")
    assert (worker.row, worker.born) == (row, 1.0)
    assert (worker.pid, worker.pidfd, worker.state) == (0, -1, BOOTING)
    assert (worker.status, worker.died, worker.reason, worker.trouble) == (None, None, "", ("", ""))
    assert not worker.doomed
    assert not worker.quiet
    assert not worker.wants_successor


# ### Generations


def test_a_generation_imports_until_it_is_loaded(roster):
    generation = a_generation(roster, kinds=())
    assert not generation.loaded
    assert (generation.born, generation.trouble) == (1.0, ("", ""))
    assert not generation.broken
    assert not generation.released
    assert not generation.lost
    generation.load(0, ("wsgi",))
    assert generation.loaded


def test_the_worker_that_was_asked_for_first_serves_the_first_kind(roster):
    generation = a_generation(roster, kinds=())
    early, other = a_worker(generation, 1, BOOTING, kind=""), a_worker(generation, 2, BOOTING, kind="raw")
    generation.load(5, ("asgi", "raw"))
    assert (early.kind, other.kind) == ("asgi", "raw")


def test_only_those_who_accept_are_asked_to_be_quiet(roster):
    generation = a_generation(roster)
    workers = [a_worker(generation, n, state) for n, state in enumerate(STATES)]
    assert generation.accepting == [workers[1]]


def test_those_who_stay_are_neither_leaving_nor_to_be_replaced(roster):
    generation = a_generation(roster)
    workers = [a_worker(generation, n, state) for n, state in enumerate(STATES)]
    assert generation.staying("wsgi") == workers[:2]
    workers[0].wants_successor = True
    assert generation.staying("wsgi") == [workers[1]]


def test_a_kind_has_workers_of_its_own(roster):
    generation = a_generation(roster, kinds=("wsgi", "raw"))
    web, raw = a_worker(generation, 1), a_worker(generation, 2, BOOTING, kind="raw")
    assert generation.staying("wsgi") == [web]
    assert generation.staying("raw") == [raw]
    assert not generation.serves()
    raw.state = ACCEPTING
    assert generation.serves()
    assert not generation.serves(2)


def test_a_generation_that_still_imports_serves_nobody(roster):
    assert not a_generation(roster, kinds=()).serves()


# ### All of them


def test_a_worker_is_found_in_whatever_generation_it_is(roster):
    old, new = a_generation(roster, 1), a_generation(roster, 2)
    workers = [a_worker(old, 1), a_worker(old, 2), a_worker(new, 3)]
    assert list(roster.workers()) == workers
    assert [roster.worker(number) for number in (1, 2, 3, 4)] == [*workers, None]


def test_our_processes_are_templates_that_live_and_workers_that_are_forked(roster):
    old, new = a_generation(roster, 1, pid=100), a_generation(roster, 2, pid=200)
    a_worker(old, 1, pid=101)
    a_worker(new, 2, BOOTING)
    assert roster.pids == {100, 101, 200}
    old.lost = True  # its number may be somebody else's by now; its worker lives
    assert roster.pids == {101, 200}


def test_a_roster_is_settled_when_all_there_are_accept(roster):
    assert not roster.unsettled
    generation = a_generation(roster)
    assert not roster.unsettled
    a_worker(generation, 1)
    assert not roster.unsettled


@pytest.mark.parametrize("state", [BOOTING, RETIRING, LEAVING])
def test_a_worker_in_any_other_state_unsettles_it(roster, state):
    generation = a_generation(roster)
    a_worker(generation, 1)
    a_worker(generation, 2, state)
    assert roster.unsettled


def test_a_worker_that_is_to_be_replaced_does_not_unsettle_it_while_no_other_boots(roster):
    """Its successor may never come."""
    generation = a_generation(roster)
    a_worker(generation, 1).wants_successor = True
    assert not roster.unsettled
    a_worker(generation, 2, BOOTING)
    assert roster.unsettled


def test_an_import_unsettles_it_and_the_end_of_one_does_not(roster):
    a_worker(a_generation(roster), 1)
    new = a_generation(roster, 2, kinds=())
    assert roster.unsettled
    new.lost = True
    assert not roster.unsettled


def test_a_successor_unsettles_it(roster):
    a_generation(roster)
    roster.successor = a_generation(roster, 2)
    assert roster.unsettled


def test_every_descriptor_is_named_once_and_what_is_closed_is_not(roster):
    old, new = a_generation(roster, 1, pidfd=10, fd=11, witness=14), a_generation(roster, 2, pidfd=20, fd=21)
    a_worker(old, 1, pidfd=12, fd=13)
    a_worker(new, 2, BOOTING, fd=22)  # not forked yet
    assert sorted(roster.descriptors) == [10, 11, 12, 13, 14, 20, 21, 22]
    old.pidfd, old.channel.fd = -1, -1
    assert sorted(roster.descriptors) == [12, 13, 14, 20, 21, 22]


def test_books_that_were_just_opened_are_empty(roster):
    assert roster.current is None
    assert roster.successor is None
    assert roster.descriptors == ()
    assert roster.pids == frozenset()
    assert list(roster.workers()) == []
