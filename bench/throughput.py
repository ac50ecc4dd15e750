"""Steady throughput of one worker: requests a second with keep-alive, ours against gunicorn sync.

    python bench/throughput.py [--runs N] [--seconds S] [--short] [--apps hello,flaskapp]

The worker is pinned to CPU 0 and wrk to CPU 1, 32 connections, a NoDelay listener. The servers take turns; a figure is
compared with gunicorn's of the same turn. Exit 1 where a response was not 2xx or 3xx, never for a figure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time

import client
import figures
import peers
import processes
from places import APPS, RESULTS, STARTERS
from servers import BASE, STEADY, Server

GOALS = {("spyglass", "flaskapp"): 2.0}
CONNECTIONS = 32


class Load:
    """What wrk saw in one run."""

    def __init__(self, output: str) -> None:
        rate = re.search(r"Requests/sec:\s*([\d.]+)", output)
        p99 = re.search(r"99%\s*([\d.]+)(us|ms|s)", output)
        errors = re.search(r"Socket errors: (.*)", output)
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        if not rate:
            raise client.Lost(f"wrk said\n{output}")
        self.rate = float(rate[1])
        self.p99_ms = float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]] if p99 else float("nan")
        self.errors = errors[1] if errors else ""
        self.refused = int(refused[1]) if refused else 0


def load(server: Server, module: str, seconds: float) -> Load:
    """One run: start, warm up, measure, end."""
    with running(server, module) as (_, address):
        return Load(_wrk(address, seconds))


@contextlib.contextmanager
def running(server: Server, module: str):
    """The server with this app, warm, pinned to CPU 0: its leader's pid, and its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
        address = listener.getsockname()
        fd = listener.fileno()
        activate = [sys.executable, "-I", "-S", str(STARTERS / "activate.py"), str(fd)]
        with (RESULTS / "throughput.log").open("ab") as log:
            command = [*_pin(0), *activate, *server.command(module)]
            leader = processes.start(command, cwd=APPS, out=log, fds=(fd,))
        try:
            client.request(address, limit=10.0)
            _wrk(address, 0.5)
            yield leader.pid, address
        finally:
            processes.end(leader, gently=True)


def _wrk(address: tuple[str, int], seconds: float) -> str:
    url = f"http://{address[0]}:{address[1]}/"
    with subprocess.Popen(
        [*_pin(1), "wrk", "-t1", f"-c{CONNECTIONS}", "-d3600s", "--latency", url],
        stdout=subprocess.PIPE,
        text=True,
    ) as wrk:  # wrk's own durations are whole seconds; SIGINT makes it print
        time.sleep(seconds)
        wrk.send_signal(2)
        return wrk.communicate(timeout=20)[0]


def _pin(cpu: int) -> list[str]:
    return ["taskset", "-c", str(cpu)] if (os.cpu_count() or 1) > 1 else []


class Runs:
    """One server with one app."""

    def __init__(self, server: Server, module: str) -> None:
        self.server = server
        self.module = module
        self.loads: dict[int, Load] = {}
        self.lost = 0

    def add(self, number: int, seconds: float) -> None:
        """One more turn."""
        try:
            self.loads[number] = load(self.server, self.module, seconds)
            self.lost += self.loads[number].refused
        except client.Lost as lost:
            self.lost += 1
            figures.say(f"bench: {self.server.name}, {self.module}: {lost.how}")

    @property
    def rates(self) -> dict[int, float]:
        """Requests a second, by turn."""
        return {number: each.rate for number, each in self.loads.items()}

    def row(self, base: Runs) -> list[str]:
        """Its line of the table."""
        rates, ratios = list(self.rates.values()), figures.paired(self.rates, base.rates)
        goal = GOALS.get((self.server.name.split()[0], self.module))
        return [
            self.server.name,
            self.module,
            f"{figures.median(rates):.0f}",
            f"{min(rates, default=0):.0f}..{max(rates, default=0):.0f}",
            f"{figures.median(ratios):.2f}",
            f"≥ {goal:.1f}" if goal else "",
            ", ".join(f"{each.p99_ms:.1f}" for each in self.loads.values()),
            "; ".join({each.errors for each in self.loads.values() if each.errors}),
        ]


HEAD = ("server", "app", "req/s median", "min..max", "x gunicorn sync", "goal", "p99 ms", "socket errors")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--short", action="store_true", help="one run of half a second")
    parser.add_argument("--apps", default="hello,flaskapp")
    options = parser.parse_args()
    for program, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if not shutil.which(program):
            sys.exit(f"bench: {program} is missing\n  apt-get install {package}")
    peers.prepare()
    turns, seconds = (1, 0.5) if options.short else (options.runs, options.seconds)
    runs = [Runs(server, module) for module in options.apps.split(",") for server in STEADY]
    for number in range(turns):
        figures.say(f"bench: turn {number + 1} of {turns}")
        for each in runs:
            each.add(number, seconds)
    bases = {each.module: each for each in runs if each.server is BASE}
    print(figures.table(HEAD, [each.row(bases[each.module]) for each in runs]))
    saved = [{"server": r.server.name, "app": r.module, "req_s": list(r.rates.values())} for r in runs]
    figures.say(f"bench: samples in {figures.save('throughput', {'runs': saved})}")
    return 1 if any(each.lost for each in runs) else 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
