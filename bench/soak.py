"""The soak: apps of each kind under load and random faults for hours. Every request is answered, or its loss explained.

    python bench/soak.py [--minutes N | --short] [--seed N]

Exit 1 where a request was lost that no fault explains, where the port did not answer again by itself, where something
was left behind, and where the Lookout or a Master grows. The seed decides which faults there are and what clients do;
when a fault meets a client is the machine's.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import statistics
import sys
import threading
import time
from collections import defaultdict

import faults
import figures
from gauge import Gauge
from house import House, eventually
from places import RESULTS
from record import ANSWERED, LOST, REFUSED, UNEXPLAINED, Record
from visits import VISITS, one_shot, talk_raw

MINUTES, SHORT = 120.0, 10.0
LOOK = 2.0  # seconds between two samples
_OURS = re.compile(r'File "[^"]*/spyglass_systemd/')
_LIMIT = "Too many open files"  # a Master that cannot open its own modules leaves: that is the fault, not ours
GROWTH_KIB, GROWTH_FDS = 1024, 2  # what a process may have gained over the whole run, by its slope


class Soak:
    """All houses, their visitors and their faults, for `seconds`."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seed = seed
        self._until = time.monotonic() + seconds
        self._over = threading.Event()
        folder = RESULTS / "soak"
        shutil.rmtree(folder, ignore_errors=True)
        self.houses = [
            House("flask", "flask", folder / "flask", "--max-requests", "300", python=sys.executable),
            House("asgi", "asgi", folder / "asgi", python=sys.executable),
            House("raw", "raw", folder / "raw", "--kind", "raw", "--threads", "8", python=sys.executable),
            House("steady", "flask", folder / "steady", python=sys.executable, sleeps=False),
        ]
        self.record = Record()
        self.gauge = Gauge(self.houses)
        self.recoveries: dict[str, list[float]] = defaultdict(list)
        self.problems: list[str] = []

    def run(self) -> None:
        """Until the time is over, and all has been looked at."""
        visitors = [
            threading.Thread(target=self._visit, args=(house, number, visit))
            for house in self.houses
            for number, visit in enumerate(VISITS[house.kind])
        ]
        tormentors = [threading.Thread(target=self._torment, args=(house,)) for house in self.houses]
        for thread in visitors + tormentors:
            thread.start()
        told = time.monotonic()
        while any(thread.is_alive() for thread in tormentors):
            self.gauge.look()
            time.sleep(LOOK)
            if time.monotonic() - told > 60:
                told = time.monotonic()
                left = max(0, self._until - told) / 60
                lost = len(self.record.unexplained)
                figures.say(
                    f"soak: {sum(self.record.counts.values())} requests, {lost} unexplained, {left:.0f} min left"
                )
        self._over.set()
        for thread in visitors:
            thread.join()
        for house in self.houses:
            self._end(house)

    def _visit(self, house: House, number: int, visit) -> None:
        dice = random.Random(f"{self._seed} {house.name} {number}")
        while not self._over.is_set():
            house.open.wait()
            self.record.visit(house, visit, dice)
            time.sleep(dice.uniform(0, 0.3))

    def _torment(self, house: House) -> None:
        dice = random.Random(f"{self._seed} {house.name} faults")
        while time.monotonic() < self._until:
            time.sleep(dice.uniform(1.0, 5.0))
            fault = faults.choose(house, dice)
            began = time.monotonic()
            self._note(f"{house.name} {fault.__name__}")
            try:
                if fault in faults.EXCUSED:
                    with house.excuse():
                        fault(house, dice)
                        took = self._recover(house, dice)
                else:
                    fault(house, dice)
                    took = self._recover(house, dice)
                self.recoveries[fault.__name__].append(took)
                self._note(f"{house.name} answers again")
            except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and the others go on
                self.problems.append(f"{began:.3f} {house.name} {fault.__name__}: {type(error).__name__} {error}")

    def _note(self, what: str) -> None:
        with (RESULTS / "soak" / "faults").open("a") as notes:
            notes.write(f"{time.monotonic():.3f} {what}\n")

    def _recover(self, house: House, dice: random.Random) -> float:
        """Ask until the port answers; how long it took."""
        began = time.monotonic()
        knock = talk_raw if house.kind == "raw" else one_shot
        eventually(lambda: self.record.visit(house, knock, dice) == ANSWERED, f"{house.name} answers again")
        return time.monotonic() - began

    def _end(self, house: House) -> None:
        """Nothing happens any more: it answers, falls asleep, answers again, stops."""
        dice = random.Random(0)
        try:
            self._recover(house, dice)
            if house.sleeps:
                eventually(lambda: not house.below, f"{house.name} falls asleep")
                self._recover(house, dice)
            eventually(lambda: len(house.templates) == 1, "one Template")
            eventually(lambda: len(house.workers) == 2, "two workers")
        except TimeoutError as error:
            self.problems.append(f"at the end: {error} ({house.templates} {house.workers})")
        status, left = house.stop()
        if status or left:
            self.problems.append(f"{house.name}: exit status {status}, left behind: {left}")
        log = house.log.read_text(errors="replace")
        if any(
            _OURS.search(each) and _LIMIT not in each for each in log.split("Traceback (most recent call last)")[1:]
        ):
            self.problems.append(f"{house.name}: a traceback of ours in {house.log}")


def report(soak: Soak) -> list[str]:
    """Print what was seen; the faults found."""
    outcomes = (ANSWERED, REFUSED, LOST, UNEXPLAINED)
    counts = soak.record.counts
    rows = []
    for house, visit in sorted({key[:2] for key in counts}):
        rows.append([house, visit, *(counts[house, visit, outcome] for outcome in outcomes)])
    total = [sum(counts[key] for key in counts if key[2] == outcome) for outcome in outcomes]
    print(figures.table(("app", "request", *outcomes), [*rows, ["all", "", *total]]))
    print()
    rows = [
        [name, len(took), f"{statistics.median(took):.2f}", f"{max(took):.2f}"]
        for name, took in sorted(soak.recoveries.items())
    ]
    print(figures.table(("fault", "times", "answered again after, median s", "longest s"), rows))
    print()
    head = ("process", "samples", "hours", "KiB first", "last", "KiB/h", "fds first", "last", "fds/h")
    verdicts = soak.gauge.verdicts()
    print(figures.table(head, [[each[0], each[1], *(f"{value:.2f}" for value in each[2:])] for each in verdicts]))
    print()
    for house in soak.houses:
        events = ("lookout woke", "lookout slept", "master reloaded", "worker worker_died", "master failed")
        print(f"{house.name}: {', '.join(f'{house.events[event]} x {event}' for event in events)}")
    print(f"slowest visit: {soak.record.slowest:.1f} s\n")
    found = [f"UNEXPLAINED {each}" for each in soak.record.unexplained] + soak.problems + soak.gauge.faults
    for name, _, hours, _, _, kib, _, _, fds in verdicts:
        if kib * hours > GROWTH_KIB or fds * hours > GROWTH_FDS:
            found.append(f"{name} grows: {kib:.0f} KiB and {fds:.2f} descriptors an hour")
    for house in soak.houses:
        if house.sleeps and not house.events["lookout slept"]:
            found.append(f"{house.name} never slept")
    return found


def main() -> int:
    """Soak and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--short", action="store_true", help=f"{SHORT:g} minutes")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 20), help="repeats a run")
    options = parser.parse_args()
    minutes = SHORT if options.short else options.minutes
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # many die here, as they are told to
    print(f"soak of {minutes:g} minutes, --seed {options.seed}, logs in {RESULTS / 'soak'}\n", flush=True)
    soak = Soak(60 * minutes, options.seed)
    soak.run()
    found = report(soak)
    print(
        *[f"FAULT {fault}" for fault in found] or ["nothing unexplained, nothing left behind, nothing grows"], sep="\n"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
