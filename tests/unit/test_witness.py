"""What is kept of a process that is stuck, and read back."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys

import pytest

from spyglass_systemd.protocols import signals
from spyglass_systemd.protocols.witness import NOTE, Witness, note


@pytest.fixture
def witness():
    witness = Witness.create(3)
    yield witness
    witness.close()


@pytest.fixture
def me():
    """A pidfd of this process, which has sworn nothing when the test is over."""
    fd = os.pidfd_open(os.getpid())
    yield fd
    os.close(fd)
    faulthandler.unregister(signals.STACKS)
    signal.signal(signals.STACKS, signal.SIG_DFL)


def test_a_request_is_noted_in_its_place_and_in_no_other(witness):
    note(witness.place(1), b"GET /a?b=1 HTTP/1.1")
    assert [witness.noted(number) for number in range(3)] == ["", "GET /a?b=1 HTTP/1.1", ""]


def test_the_next_request_takes_the_place_of_the_one_before(witness):
    note(witness.place(0), b"GET /something/long HTTP/1.1")
    note(witness.place(0), b"GET / HTTP/1.1")
    assert witness.noted(0) == "GET / HTTP/1.1"


def test_a_place_is_forgotten_for_whoever_has_it_next(witness):
    note(witness.place(2), b"GET / HTTP/1.1")
    witness.forget(2)
    assert witness.noted(2) == ""


def test_a_long_line_is_cut_and_leaves_its_neighbours_alone(witness):
    note(witness.place(1), b"x" * 10_000)
    assert witness.noted(1) == "x" * (NOTE - 1)
    assert (witness.noted(0), witness.noted(2)) == ("", "")


def test_what_is_no_text_can_be_read_too(witness):
    note(witness.place(0), b"GET /\xff")
    assert witness.noted(0) == "GET /\ufffd"


def test_what_a_child_notes_is_read_by_its_parent(witness):
    pid = os.fork()
    if not pid:
        note(witness.place(0), b"of a child")
        os._exit(0)
    os.waitpid(pid, 0)
    assert witness.noted(0) == "of a child"


def test_a_process_that_has_sworn_writes_the_stacks_of_all_its_threads(witness, me):
    witness.swear()
    note(witness.place(2), b"still there")
    witness.ask(me)
    stacks = witness.stacks()
    assert "in test_a_process_that_has_sworn_writes_the_stacks_of_all_its_threads" in stacks
    assert stacks.startswith(("Current thread ", "Thread "))
    assert witness.noted(2) == "still there"


def test_what_was_written_before_is_not_read_again(witness, me):
    witness.swear()
    witness.ask(me)
    first = witness.stacks()
    witness.ask(me)
    assert witness.stacks().count("Current thread") == first.count("Current thread") == 1


def test_nothing_is_read_of_who_writes_nothing(witness):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stopped:
        fd = os.pidfd_open(stopped.pid)
        stopped.send_signal(signal.SIGSTOP)
        witness.ask(fd)
        assert witness.stacks() == ""
        stopped.kill()
        os.close(fd)


def test_our_own_frames_and_those_of_the_import_are_left_out(witness):
    import spyglass_systemd.protocols.witness as ours

    lines = [f'  File "{ours.__file__}", line 1 in f', '  File "<frozen importlib._bootstrap>", line 2 in g']
    os.write(witness.fd, "\n".join([*lines, '  File "/srv/blog.py", line 3 in h', ""]).encode())
    assert witness.stacks() == '  File "/srv/blog.py", line 3 in h'


def test_without_a_descriptor_nobody_is_asked_and_requests_are_noted_all_the_same(monkeypatch):
    def none(_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", none)
    witness = Witness.create(2)
    witness.swear()
    witness.ask(-1)
    assert witness.stacks() == ""
    note(witness.place(1), b"GET / HTTP/1.1")
    assert witness.noted(1) == "GET / HTTP/1.1"
    witness.close()
    assert repr(witness) == "<Witness fd=-1>"
