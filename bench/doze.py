"""The wake from a doze beside the cold wake of the same app: connect(2) to the last byte of the answer.

    python bench/doze.py [--rounds N] [--short] [--apps hello,flaskapp]

Each round starts one Master by systemd-socket-activate: its first visitor waits for the import, the next few come when
the workers are gone and only the Template is there. Exit 1 where a request was lost, never for a time.
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
from places import APPS
from servers import DOZES

GOAL = 0.1
NAPS = 3  # of each Master


class Round:
    """One Master: what its first visitor waited, and what those who found it dozing did, in milliseconds."""

    def __init__(self, module: str) -> None:
        port = processes.free_port()
        command = ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", *DOZES.command(module)]
        leader = processes.start(command, cwd=APPS, out=subprocess.PIPE)
        try:
            leader.stdout.readline()  # "Listening on ... as 3."
            self.cold = client.request(("127.0.0.1", port), limit=20.0).ms
            self.naps = []
            for _ in range(NAPS):
                _until_dozed(leader)
                self.naps.append(client.request(("127.0.0.1", port), limit=20.0).ms)
        finally:
            processes.end(leader)
            leader.stdout.close()

    @property
    def ratio(self) -> float:
        return figures.median(self.naps) / self.cold


def _until_dozed(leader: subprocess.Popen) -> None:
    """Until its Master says that the workers may go, and they are gone."""
    for line in leader.stdout:
        if b" dozed" in line:
            break
    while len(processes.members(leader.pid)) > 2:  # the Master and the Template
        pass


def row(module: str, rounds: list[Round], lost: int) -> list[str]:
    """Its line of the table."""
    naps = [ms for each in rounds for ms in each.naps]
    return [
        module,
        f"{len(rounds)}",
        f"{figures.median([each.cold for each in rounds]):.1f}",
        f"{figures.median(naps):.1f}",
        f"{min(naps, default=float('nan')):.1f}",
        f"{figures.p90(naps):.1f}",
        f"{figures.median([each.ratio for each in rounds]):.3f}",
        f"≤ {GOAL}" if module == "flaskapp" else "",
        f"{lost}",
    ]


HEAD = ("app", "n", "cold wake ms", "wake from doze ms", "min", "p90", "x cold", "goal", "lost")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--short", action="store_true", help="3 rounds: does everything answer?")
    parser.add_argument("--apps", default="hello,flaskapp")
    options = parser.parse_args()
    if not shutil.which("systemd-socket-activate"):
        sys.exit("bench: systemd-socket-activate is missing\n  apt-get install systemd")
    peers.prepare()
    modules = options.apps.split(",")
    rounds: dict[str, list[Round]] = {module: [] for module in modules}
    lost = dict.fromkeys(modules, 0)
    for number in range((3 if options.short else options.rounds) + 1):
        for module in modules:
            try:
                made = Round(module)
            except client.Lost as error:
                lost[module] += 1
                figures.say(f"bench: {module}: {error.how}")
            else:
                rounds[module] += [made] if number else []  # the first compiles byte code and warms the page cache
    print(figures.table(HEAD, [row(module, rounds[module], lost[module]) for module in modules]))
    saved = {module: [{"cold": each.cold, "naps": each.naps} for each in rounds[module]] for module in modules}
    figures.say(f"bench: samples in {figures.save('doze', {'rounds': saved})}")
    return 1 if any(lost.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
