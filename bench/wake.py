"""The cold wake: connect(2) to the last byte of the answer, from asleep, for us, the peers, and the floor.

    python bench/wake.py [--rounds N] [--short] [--apps hello,flaskapp] [--only TEXT]

systemd-socket-activate holds the listener and starts the server for the first connection. Each round wakes every server
once; a figure is compared with the floor's of the same round. Exit 1 where a request was lost, never for a time.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys

import client
import figures
import peers
import processes
from places import APPS, RESULTS
from servers import FLOOR, WAKES, Server

GOALS = {("spyglass", "hello"): 1.8, ("spyglass", "flaskapp"): 1.06}


def wake(server: Server, module: str) -> float:
    """Milliseconds of one wake. Raises client.Lost, with what the server said."""
    port = processes.free_port()
    cache = RESULTS / "cache" / server.name  # as a unit has one, and all that is in it by the second wake
    cache.mkdir(parents=True, exist_ok=True)
    place = ["-E", f"CACHE_DIRECTORY={cache}"]
    command = ["systemd-socket-activate", *place, "-l", f"127.0.0.1:{port}", *server.command(module)]
    leader = processes.start(command, cwd=APPS, out=subprocess.PIPE)
    said = b""
    try:
        said += leader.stdout.readline()  # "Listening on ... as 3."
        return client.request(("127.0.0.1", port), limit=20.0).ms
    except client.Lost as lost:
        processes.end(leader)
        said += leader.stdout.read()
        raise client.Lost(f"{lost.how}\n{said.decode(errors='replace')}") from lost
    finally:
        processes.end(leader)
        leader.stdout.close()


class Runs:
    """The samples of one server with one app, by round, and what was lost."""

    def __init__(self, server: Server, module: str) -> None:
        self.server = server
        self.module = module
        self.ms: dict[int, float] = {}
        self.lost = 0

    def add(self, number: int) -> None:
        """One more wake."""
        try:
            self.ms[number] = wake(self.server, self.module)
        except client.Lost as lost:
            self.lost += 1
            figures.say(f"bench: {self.server.name}, {self.module}: {lost.how}")

    def row(self, floor: Runs) -> list[str]:
        """Its line of the table."""
        samples, ratios = list(self.ms.values()), figures.paired(self.ms, floor.ms)
        goal = GOALS.get((self.server.name.split()[0], self.module))
        return [
            self.server.name,
            self.module,
            f"{len(samples)}",
            f"{figures.median(samples):.1f}",
            f"{min(samples, default=float('nan')):.1f}",
            f"{figures.p90(samples):.1f}",
            f"{figures.median(ratios):.2f}",
            f"≤ {goal:.2f}" if goal else "",
            f"{self.lost}",
        ]


HEAD = ("server", "app", "n", "median ms", "min", "p90", "x floor", "goal", "lost")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--short", action="store_true", help="3 rounds: does everything answer?")
    parser.add_argument("--apps", default="hello,flaskapp")
    parser.add_argument("--only", default="", help="only servers whose name contains this, and the floor")
    options = parser.parse_args()
    if not shutil.which("systemd-socket-activate"):
        sys.exit("bench: systemd-socket-activate is missing\n  apt-get install systemd")
    peers.prepare()
    rounds = 3 if options.short else options.rounds
    servers = [server for server in WAKES if server.installed and (options.only in server.name or server is FLOOR)]
    runs = [Runs(server, module) for module in options.apps.split(",") for server in servers]
    for each in (
        runs
    ):  # the first wake of each compiles byte code and warms the page cache: not counted, and who loses it is out
        each.add(-1)
        each.ms.clear()
    alive = [each for each in runs if not each.lost]
    for number in range(rounds):
        figures.say(f"bench: round {number + 1} of {rounds}")
        for each in alive[number % len(alive) :] + alive[: number % len(alive)]:
            each.add(number)
    floors = {each.module: each for each in runs if each.server is FLOOR}
    print(figures.table(HEAD, [each.row(floors[each.module]) for each in runs]))
    path = figures.save(
        "wake", {"runs": [{"server": r.server.name, "app": r.module, "ms": list(r.ms.values())} for r in runs]}
    )
    figures.say(f"bench: samples in {path}")
    return 1 if any(each.lost for each in runs) else 0


if __name__ == "__main__":
    sys.exit(main())
