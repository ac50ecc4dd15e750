"""One timer for all the pauses of a connection; under a clock of our own."""

from __future__ import annotations

import gc
import weakref

import pytest

from spyglass_systemd.backends.asgi.pause import Pauses


class Loop:
    """asyncio's, as far as a pause needs it."""

    create_task = None

    def __init__(self):
        self.now = 100.0
        self.timers = []
        self.set = 0

    def time(self):
        return self.now

    def call_later(self, seconds, callback, *, context):
        assert len(context) == 0  # a request's would be kept alive for as long as there are others
        timer = Timer(self, self.now + seconds, callback)
        self.timers.append(timer)
        self.set += 1
        return timer

    def go_on(self, seconds):
        """So many seconds pass, one timer after the other."""
        end = self.now + seconds
        while due := sorted((timer for timer in self.timers if timer.when <= end), key=lambda timer: timer.when):
            self.now = due[0].when
            due[0].cancel()
            due[0].callback()
        self.now = end


class Timer:
    def __init__(self, loop, when, callback):
        self.loop, self.when, self.callback = loop, when, callback

    def cancel(self):
        if self in self.loop.timers:
            self.loop.timers.remove(self)


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def over():
    return []


def test_a_pause_that_lasts_is_over_once(loop, over):
    Pauses(loop).call_later(5, lambda: over.append(loop.now))
    loop.go_on(4.9)
    assert over == []
    loop.go_on(60)
    assert over == [105.0]
    assert loop.timers == []


def test_each_pause_has_its_whole_time(loop, over):
    pauses = Pauses(loop)
    for _ in range(10):
        pauses.call_later(5, lambda: over.append(loop.now)).cancel()
        loop.go_on(3)
    pauses.call_later(5, lambda: over.append(loop.now))
    loop.go_on(60)
    assert over == [135.0]


def test_a_pause_that_has_ended_is_not_over(loop, over):
    Pauses(loop).call_later(5, lambda: over.append(loop.now)).cancel()
    loop.go_on(60)
    assert over == []
    assert loop.timers == []


def test_thousands_of_requests_set_a_timer_or_two(loop, over):
    pauses = Pauses(loop)
    for _ in range(1000):
        pauses.call_later(5, lambda: over.append(loop.now)).cancel()
        loop.go_on(0.01)
    assert (over, loop.set) == ([], 2)


def test_a_pause_after_one_that_was_over_is_a_new_one(loop, over):
    pauses = Pauses(loop)
    pauses.call_later(5, lambda: over.append(loop.now))
    loop.go_on(10)
    pauses.call_later(5, lambda: over.append(loop.now))
    loop.go_on(10)
    assert over == [105.0, 115.0]


def test_nothing_is_kept_of_a_connection_that_has_ended(loop):
    class Protocol:
        def __init__(self):
            self.loop = Pauses(loop)
            self.loop.call_later(5, self.end)

        def end(self):
            raise AssertionError

    protocol = Protocol()
    protocol.loop.forget()
    assert loop.timers == []
    known = weakref.ref(protocol)
    del protocol
    gc.collect()
    assert known() is None
    loop.go_on(60)
