"""Signals as readable bytes."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from spyglass_systemd.protocols import signals


def to_us(number):
    """To this thread: one that another test has left behind would take it for the process, whatever is blocked here."""
    signal.pthread_kill(threading.get_ident(), number)


@pytest.fixture(autouse=True)
def _as_before():
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signals.restore()
    for number, handler in handlers.items():
        if handler is not None and number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_a_watched_signal_makes_the_descriptor_readable():
    fd = signals.watch((signals.USR1, signals.USR2))
    assert signals.received(fd) == []
    to_us(signals.USR2)
    to_us(signals.USR1)
    assert select.select([fd], [], [], 10)[0] == [fd]
    assert sorted(signals.received(fd)) == sorted([signals.USR1, signals.USR2])
    assert signals.received(fd) == []


def test_watching_a_signal_unblocks_it():
    signal.pthread_sigmask(signal.SIG_BLOCK, (signals.USR1,))
    signals.watch((signals.USR1,))
    assert signals.USR1 not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_the_descriptors_do_not_survive_an_exec():
    fd = signals.watch((signals.USR1,))
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)


def test_a_process_watches_once():
    signals.watch((signals.USR1,))
    with pytest.raises(RuntimeError):
        signals.watch((signals.USR2,))


def test_what_comes_while_held_is_delivered_on_release():
    fd = signals.watch((signals.USR1,))
    held = signals.hold()
    to_us(signals.USR1)
    assert signals.received(fd) == []
    signals.release(held)
    assert signals.received(fd) == [signals.USR1]


def test_restore_undoes_the_watch_and_unblocks_everything():
    fd = signals.watch((signals.USR1,))
    signals.hold()
    signals.restore()
    assert signal.getsignal(signals.USR1) == signal.SIG_DFL
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
    assert signal.set_wakeup_fd(-1) == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_restore_leaves_what_python_ignores():
    signals.watch((signals.USR1,))
    signals.restore()
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN


def test_restore_for_exec_leaves_nothing_ignored():
    signals.watch((signals.USR1,))
    signals.restore_for_exec()
    assert {signal.getsignal(number) for number in signal.valid_signals()} == {signal.SIG_DFL}


def test_after_a_restore_signals_can_be_watched_again():
    signals.watch((signals.USR1,))
    signals.restore()
    fd = signals.watch((signals.USR1,))
    to_us(signals.USR1)
    assert signals.received(fd) == [signals.USR1]


def test_an_ignored_signal_does_nothing_and_is_no_sig_ign():
    signals.ignore(signals.USR1)
    to_us(signals.USR1)
    assert callable(signal.getsignal(signals.USR1))
