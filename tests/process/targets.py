"""A service that is attacked, with honest visitors beside, and what must hold of it afterwards. Knows no attack."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from crowd import Crowd
from harness import eventually
from visitors import Visitors

BOUND = 1.5  # times its memory when it was warm, a worker may have at most
NEVER_LOGGED = ("worker_died", "Traceback", "Exception", "exhausted", "accept_failed", " failed ")


class Target:
    """A service with one worker, warm: it has served requests of every kind. It sleeps after a second."""

    def __init__(self, service, kind, listener, *options):
        self.kind = kind
        short = ("--header-timeout", "0.5", "--keepalive", "0.4", "--idle", "1", "--workers", "1", "--kind", kind)
        self.master = service(*short, *options, spec=f"target:{kind}", listeners=[listener])
        self.address = self.master.addresses[0]
        with self.master.start(waiting="x") as first:
            assert first.read().body == b"1"
        self.master.all_accept(1)
        (self.worker,) = self.master.workers
        for _ in range(3):
            assert self.master.request("x" * 300_000).body == b"300000"
            with Crowd(self.address, 20) as crowd:
                crowd.say(b"GET /1000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                crowd.until_all_are_gone()
        Path(f"/proc/{self.worker.pid}/clear_refs").write_text("5")  # its peak begins anew: proc(5)
        self.warm = self.memory("VmRSS")

    def memory(self, what):
        """KiB."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text()
        return int(re.search(rf"^{what}:\s+(\d+)", status, re.MULTILINE)[1])

    def holds(self, count):
        """Whether it has at least so many connections."""
        return sum(row["open"] for row in self.master.rows()) >= count

    def visited(self):
        """Honest visitors all the time."""
        return Visitors(self.address, "x" * 10, read=lambda answer: [answer.body])

    def serves(self):
        """One honest visitor."""
        assert self.master.request("x" * 10).body == b"10"

    def is_well(self):
        """It is the same worker, its memory was bounded, its books are balanced, nobody logged a traceback."""
        peak = self.memory("VmHWM")
        sys.stdout.write(f"{self.kind}: warm {self.warm} KiB, peak {peak} KiB, {peak / self.warm:.2f}\n")
        assert [worker.pid for worker in self.master.workers] == [self.worker.pid]
        eventually(lambda: not self.holds(1), "nobody is there")
        eventually(lambda: [row["in_flight"] for row in self.master.rows()] == [0], "its books are balanced")
        for word in NEVER_LOGGED:
            assert word not in self.master.log
        assert peak <= BOUND * self.warm, f"{peak} KiB of {self.warm}"

    def falls_asleep(self):
        """In the end nothing of the attack counts as an activity."""
        self.is_well()
        assert self.master.wait() == 0
        self.master.log.until(" slept ")
