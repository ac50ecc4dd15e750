"""What an app under soak costs while time goes by: memory, descriptors, zombies, strays. Judges by the slope."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections import defaultdict
from pathlib import Path

from house import House, children

WARM = 0.2  # of the run, in which memory may still grow to its size
STRAY = 90.0  # seconds after which a worker that has lost its Template must have left
ZOMBIE = 20.0  # seconds after which somebody must have waited for it
PAIRS = 400  # samples of which all pairs are looked at


class Gauge:
    """`series` has what was seen of one process, by its name: [(seconds, KiB of RSS, descriptors)]."""

    def __init__(self, houses: list[House]) -> None:
        self._houses = houses
        self.series: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
        self.faults: list[str] = []
        self._since: dict[tuple[str, int], float] = {}
        self._began = time.monotonic()

    def look(self) -> None:
        """One sample of everything."""
        now = time.monotonic()
        seen: set[tuple[str, int]] = set()
        for house in self._houses:
            master = house.master
            for name, pid in (("Lookout", house.pid), ("Master", master)):
                with contextlib.suppress(OSError, StopIteration):
                    if pid and (name == "Lookout" or not house.sleeps):
                        descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # their number is enough
                        found = (now - self._began, _rss_kib(pid), descriptors)
                        self.series[f"{house.name} {name} {pid}"].append(found)
            for pid in [pid for parent in (house.pid, master, *house.templates) for pid in children(parent)]:
                state = _state(pid)  # whom a worker has not waited for is the app's affair
                if state == "Z":
                    seen.add(("zombie", pid))
                elif state and pid != house.master and pid in children(house.pid):
                    seen.add(("stray", pid))
        self._since = {each: self._since.get(each, now) for each in seen}
        for (what, pid), since in list(self._since.items()):
            if now - since > (ZOMBIE if what == "zombie" else STRAY):
                fault = f"{what} {pid}"
                if fault not in self.faults:
                    self.faults.append(fault)

    def verdicts(self) -> list[tuple[str, int, float, float, float, float, float, float]]:
        """By process: samples, hours, first and last KiB, KiB an hour, first and last descriptors, descriptors an hour.

        First and last are medians of a tenth of the samples; the slope is the median of all slopes between two samples.
        """
        found = []
        for name, samples in self.series.items():
            if len(samples) < 20:
                continue
            warm = samples[int(WARM * len(samples)) :]
            tenth = max(3, len(warm) // 10)
            hours = (warm[-1][0] - warm[0][0]) / 3600
            rss, fds = ([(at, value) for at, *values in warm for value in [values[n]]] for n in (0, 1))
            found.append(
                (
                    name,
                    len(samples),
                    hours,
                    *(_median(rss[:tenth]), _median(rss[-tenth:]), _slope(rss) * 3600),
                    *(_median(fds[:tenth]), _median(fds[-tenth:]), _slope(fds) * 3600),
                )
            )
        return found


def _median(samples: list[tuple[float, float]]) -> float:
    return statistics.median(value for _, value in samples)


def _slope(samples: list[tuple[float, float]]) -> float:
    """Theil and Sen's: what a few outliers do does not count."""
    few = samples[:: max(1, len(samples) // PAIRS)]
    slopes = [(b - a) / (later - at) for n, (at, a) in enumerate(few) for later, b in few[n + 1 :] if later > at]
    return statistics.median(slopes) if slopes else 0.0


def _rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""
