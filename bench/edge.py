"""The edge storm, whole: no request is lost when an app falls asleep, whatever the moment.

    python bench/edge.py [--sleeps N] [--short] [--seed N] [--idle S] [--limit S] [--screen]

TCP and Unix, 1 and 3 workers, one after another, `spyglass lookout` with min_awake 0; storm.py says how the requests
are aimed. Exit 1 where a request was lost, a process left behind or a worker died, and where the app slept less often
than asked (a storm without sleeps proves nothing). With --screen the Master looks at each connection first.
"""

from __future__ import annotations

import argparse
import sys

import figures
import peers
from places import APPS
from storm import Tally, storm

SLEEPS, REQUESTS, SHORT = 2000, 20000, 60
HEAD = (
    "listener",
    "requests",
    "answered 200",
    "lost",
    "sleeps",
    "resumed",
    "wakes seen",
    "aim ms",
    "slowest ms",
    "seconds",
)


def row(tally: Tally) -> list[str]:
    """Its line of the table."""
    return [
        tally.name,
        f"{tally.requests}",
        f"{tally.answered}",
        ", ".join(f"{count} {how}" for how, count in tally.lost.items()) or "0",
        f"{tally.sleeps}",
        f"{tally.resumed}",
        f"{tally.wakes}",
        f"{tally.aim_ms:.1f}",
        f"{tally.slowest_ms:.0f}",
        f"{tally.seconds:.0f}",
    ]


def main() -> int:
    """Storm and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sleeps", type=int, default=SLEEPS, help="in all, over the four combinations")
    parser.add_argument("--short", action="store_true", help=f"{SHORT} sleeps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--idle", type=float, default=0.03, help="seconds")
    parser.add_argument("--screen", action="store_true", help="with a list of probes, none of which comes")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for each combination")
    options = parser.parse_args()
    peers.prepare()
    sleeps = SHORT if options.short else options.sleeps
    screen = ("--config", str(APPS / "screened.toml")) if options.screen else ()
    tallies = []
    for unix in (False, True):
        for workers in (1, 3):
            tally = storm(
                unix=unix,
                workers=workers,
                sleeps=-(-sleeps // 4),
                idle=options.idle,
                limit=options.limit,
                seed=options.seed + len(tallies),
                python=str(peers.PYTHON),
                app=(*screen, "who:app"),
            )
            tallies.append(tally)
            figures.say(f"bench: {tally.name}: {tally.requests} requests, {tally.sleeps} sleeps, {tally.seconds:.0f} s")
    print(figures.table(HEAD, map(row, tallies)))
    total, slept = sum(each.requests for each in tallies), sum(each.sleeps for each in tallies)
    lost = sum(sum(each.lost.values()) for each in tallies)
    print(f"\n{total} requests, {slept} sleeps, {lost} lost")
    saved = [{name: value for name, value in vars(each).items() if name != "tail"} for each in tallies]
    figures.say(f"bench: counts in {figures.save('edge', {'storms': saved})}")
    faults = [f"{each.name}: {fault}" for each in tallies for fault in each.faults]
    if slept < sleeps:
        faults.append(f"{slept} sleeps instead of {sleeps}")
    if not options.short and options.sleeps == SLEEPS and total < REQUESTS:
        faults.append(f"{total} requests instead of {REQUESTS}")
    for fault in faults:
        print(f"FAULT {fault}")
    for each in tallies:
        if each.faults:
            print(f"--- the last lines of {each.name}", *each.tail, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
