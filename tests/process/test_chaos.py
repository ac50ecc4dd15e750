"""Everything at once, under a real Lookout: visitors all the time, and signals or deaths whenever the dice say so."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from harness import APPS, LIMIT, PROGRAM, Connection, children, descriptors, eventually, session
from visitors import Visitors

SECONDS = 4.0
GENTLE = (signal.SIGHUP, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGTERM)


class Lookout:
    def __init__(self, directory, *options):
        self.address = str(directory / "s")
        self.log = directory / "log"
        command = [sys.executable, "-P", PROGRAM, "lookout", "--listen", f"unix:{self.address}", "--chdir", APPS]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--idle", "0.1", "--min-awake", "0", *options, "knife:app"],
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        eventually(lambda: " listening " in self.log.read_text())
        self.descriptors = descriptors(self.process.pid)

    def below(self):
        """Masters, Templates and workers."""
        masters = children(self.process.pid)
        templates = [pid for master in masters for pid in children(master)]
        return masters, templates, [pid for template in templates for pid in children(template)]

    def answers(self):
        """Whether a visitor who comes now is answered."""
        with Connection(self.address).ask("say(1)") as connection:
            return connection.read().status in (200, 503)

    def send(self, number):
        """To the Master; what ends is sent to it alone, for its Lookout would go along."""
        masters, _, _ = self.below()
        for pid in masters if number == signal.SIGTERM else [self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, dice):
        """One of a kind, if there is any."""
        for pid in dice.choice(self.below())[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def lookout(tmp_path):
    """Starts one; at the end the port answers, all sleep, nothing is left over, and it can be told to stop."""
    made = []

    def lookout(*options):
        made.append(Lookout(tmp_path, *options))
        return made[-1]

    yield lookout
    (one,) = made
    try:
        eventually(one.answers, "it answers: the first may yet be accepted by one who is dying")
        eventually(lambda: not any(one.below()), "all asleep")
        assert descriptors(one.process.pid) == one.descriptors
        one.process.terminate()
        assert one.process.wait(LIMIT) == 0
        eventually(lambda: not session(one.process.pid), "nobody left")
        assert "Traceback" not in one.log.read_text()
    finally:
        sys.stdout.write(one.log.read_text())
        for pid in session(one.process.pid):
            os.kill(pid, signal.SIGKILL)
        one.process.wait()


@pytest.mark.parametrize("options", [(), ("--max-requests", "20", "--workers", "3")], ids=" ".join)
def test_signals_that_lose_nobody_lose_nobody_together(lookout, options):
    dice = random.Random(1)
    one = lookout(*options)
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with Visitors(one.address, count=dice.choice((1, 2, 4))) as visitors:
            for _ in range(dice.randrange(6)):
                time.sleep(dice.choice((0, 0.01, 0.05, 0.15)))  # nothing is waited for: it is the dice's
                one.send(dice.choice(GENTLE))
        assert not visitors.lost
        time.sleep(dice.choice((0, 0.05, 0.1, 0.3)))


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_dies_the_port_answers_again(lookout, seed):
    dice = random.Random(seed)
    one = lookout()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        with Visitors(one.address, count=3) as visitors:
            for _ in range(dice.randrange(4)):
                time.sleep(dice.choice((0, 0.01, 0.1, 0.3)))
                if dice.random() < 0.5:
                    one.kill(dice)
                else:
                    one.send(dice.choice(GENTLE))
        assert not [error for error in visitors.lost if isinstance(error, TimeoutError | ConnectionRefusedError)]
