"""How long a client who is seen off may take, and what for; under a clock of our own."""

from __future__ import annotations

import asyncio

from spyglass_systemd.backends.asgi.parting import Parting


class Loop:
    """asyncio's, as far as a farewell needs it."""

    def __init__(self):
        self.now = 100.0
        self.timers = []

    def time(self):
        return self.now

    def call_later(self, seconds, callback):
        self.timers.append(Timer(self.now + seconds, callback))
        return self.timers[-1]

    def runs(self, seconds):
        """Half a second at a time."""
        for _ in range(2 * seconds):
            self.now += 0.5
            due = [timer for timer in self.timers if timer.at <= self.now]
            self.timers = [timer for timer in self.timers if timer.at > self.now]
            for timer in due:
                timer.callback()


class Timer:
    def __init__(self, at, callback):
        self.at, self.callback = at, callback

    def cancel(self):
        self.callback = lambda: None


class Transport:
    """asyncio's, of a socket; `left` is what its client has not taken yet."""

    def __init__(self):
        self.protocol = asyncio.Protocol()
        self.left = 0
        self.over = False

    def get_write_buffer_size(self):
        return self.left

    def set_write_buffer_limits(self, high):
        pass

    def get_protocol(self):
        return self.protocol

    def set_protocol(self, protocol):
        self.protocol = protocol

    def is_closing(self):
        return self.over

    def abort(self):
        self.over = True

    def write(self, data):
        pass

    writelines = write

    def pause_reading(self):
        pass

    resume_reading = write_eof = pause_reading


def seen_off(left):
    """The loop and transport of a client who has `left` to take, and more to send than is read."""
    loop, transport = Loop(), Transport()
    transport.left = left
    Parting(loop, transport, lambda: True, lambda: None).close()
    return loop, transport


def test_who_still_takes_an_answer_is_not_cut_however_long_that_lasts():
    loop, transport = seen_off(left=100)
    loop.runs(100)
    transport.protocol.data_received(b"more")
    loop.runs(100)
    assert not transport.over
    transport.left = 0
    loop.runs(1)
    assert not transport.over  # what the kernel holds, he takes now
    loop.runs(3)
    assert transport.over


def test_who_goes_on_sending_is_cut_when_he_has_had_his_answer_for_long_enough():
    loop, transport = seen_off(left=100)
    loop.runs(40)
    transport.left = 0
    for _ in range(29):
        transport.protocol.data_received(b"more")
        loop.runs(1)
    assert not transport.over
    for _ in range(3):
        transport.protocol.data_received(b"more")
        loop.runs(1)
    assert transport.over
