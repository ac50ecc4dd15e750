"""The edge storm: requests aimed at the moments in which an app falls asleep. Knows the Lookout's command line and log.

A volley is a handful of requests, each on a fresh connection. Its first shot is aimed at the moment of falling asleep:
so long after the last answer, where "so long" follows what happened, down when the app slept, up when it was still
there (the Template's pid in the answers tells). So the shots gather around the very instant of quiesce and exit,
wherever that is on this machine. The other shots come together with the first, or spread over the exit, the Lookout's
turn and the next Master's start. Every tenth volley sweeps a wide range instead.
"""

from __future__ import annotations

import concurrent.futures
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import client
import processes
from places import APPS

SHOTS = 8  # in a volley
WORK = (0, 0, 1, 3)  # milliseconds that the app takes
LATE = 0.004  # the most that a shot stays silent after its connect, and between the halves of a split one
SPREAD = 0.030  # what the scattered shots of a volley cover: exit, the Lookout's turn, the next Master's start
JITTER = 0.0015
_BAD = ("died", "failed", "killed")
STEP = 0.0004  # how far the aim follows each volley


def event_of(line: str) -> str:
    """Actor and event of a line of the log: `who master gen=1 pid=917 woke listener=http` is "master woke"."""
    _, *words = line.split() or [""]
    if not words or line[0].isspace():
        return "?"
    event = next((word.rstrip(":") for word in words[1:] if "=" not in word), "?")
    return f"{words[0].partition('=')[0]} {event}"


class Shot:
    """One request to be: when (CLOCK_MONOTONIC), and how."""

    __slots__ = ("at", "head", "silent", "split")

    def __init__(self, at: float, dice: random.Random) -> None:
        self.at = at
        self.head = client.head_of(f"/?{dice.choice(WORK)}", close=dice.random() < 0.5)
        self.silent = dice.choice((0.0, 0.0, dice.uniform(0, LATE)))
        self.split = dice.choice((0, 0, 20))


Shoot = Callable[[tuple[str, int] | str, Shot], client.Answer]  # raises client.Lost


class Lookout:
    """`spyglass lookout` on one listener, and what it and its Masters said, counted by event."""

    def __init__(
        self, python: str, address: tuple[str, int] | str, *, workers: int, idle: float, app: tuple[str, ...]
    ) -> None:
        self.events: Counter[str] = Counter()
        self.tail: list[str] = []
        self.trouble: list[str] = []  # what was said before and with each event that must not be
        self._listening = threading.Event()
        listen = f"unix:{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
        command = [python, "-m", "spyglass_systemd", "lookout", "--listen", listen, "--workers", str(workers)]
        command += ["--idle", f"{idle:g}", "--min-awake", "0", *app]
        self._leader = processes.start(command, cwd=APPS, out=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait(self, limit: float = 10.0) -> None:
        """Until it listens. Raises RuntimeError with what it said where it does not."""
        if not self._listening.wait(limit) or self._leader.poll() is not None:
            self.stop()
            raise RuntimeError("the Lookout does not listen:\n" + "\n".join(self.tail))

    def stop(self) -> tuple[int, list[int]]:
        """SIGTERM: its exit status, and the pids of what it left behind (nothing, if it is right)."""
        left = processes.end(self._leader, gently=True, limit=40.0)
        self._reader.join(10.0)
        self._leader.stdout.close()
        return self._leader.returncode, left

    def _read(self) -> None:
        for line in self._leader.stdout:
            text = line.decode(errors="replace").rstrip()
            event = event_of(text)
            self.events[event] += 1
            self.tail = [*self.tail[-60:], text]
            if event.endswith(_BAD):
                self.trouble += [*self.tail[-12:], "..."]
            if event == "lookout listening":
                self._listening.set()
        self._listening.set()


class Tally:
    """What came of one storm."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.answered = 0
        self.lost: Counter[str] = Counter()
        self.volleys = 0
        self.wakes = 0  # as the clients saw them: another Template than the volley before
        self.events: Counter[str] = Counter()
        self.status = 0
        self.left: list[int] = []
        self.seconds = 0.0
        self.aim_ms = 0.0
        self.slowest_ms = 0.0
        self.tail: list[str] = []

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.answered + sum(self.lost.values())

    @property
    def sleeps(self) -> int:
        """As the log has them."""
        return self.events["lookout slept"]

    @property
    def resumed(self) -> int:
        """How many quiesces somebody came into."""
        return self.events["master resumed"]

    @property
    def faults(self) -> list[str]:
        """What must not be: a request lost, something left behind, an exit status, a death."""
        found = [f"{count} x {how}" for how, count in self.lost.items()]
        found += [f"left behind: {self.left}"] if self.left else []
        found += [f"exit status {self.status}"] if self.status else []
        return found + [f"{count} x {event}" for event, count in self.events.items() if event.endswith(_BAD)]


def storm(
    *,
    unix: bool,
    workers: int,
    sleeps: int,
    idle: float = 0.03,
    limit: float = 600.0,
    seed: int = 0,
    python: str = "",
    app: tuple[str, ...] = ("who:app",),
    shoot: Shoot | None = None,
) -> Tally:
    """Shoot until the app has slept `sleeps` times or `limit` seconds are over. The Tally says what came of it.

    `app` is the app and its options, `shoot` sends one shot: an HTTP request, where nothing else is said.
    """
    dice = random.Random(seed)
    tally = Tally(f"{'Unix' if unix else 'TCP'}, {workers} worker{'s' if workers > 1 else ''}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="storm-") as folder, concurrent.futures.ThreadPoolExecutor(SHOTS) as pool:
        address = str(Path(folder, "s")) if unix else ("127.0.0.1", processes.free_port())
        lookout = Lookout(python or sys.executable, address, workers=workers, idle=idle, app=app)
        lookout.wait()
        try:
            aim, template = idle, b""
            last = time.monotonic()
            while lookout.events["lookout slept"] < sleeps and time.monotonic() < began + limit:
                answers = _volley(pool, address, _plan(last, aim, tally.volleys, dice), tally, shoot or _shoot)
                last = max([answer.done for answer in answers], default=time.monotonic())
                parents = [answer.body.split()[0] for answer in sorted(answers, key=lambda each: each.done)]
                slept = any(parent != template for parent in parents)
                tally.wakes += len({*parents} - {template})
                template = parents[-1] if parents else template
                if tally.volleys % 10:  # the sweeps say nothing about the aim
                    aim += -STEP if slept else STEP * 1.5  # in balance at 3 sleeps in 5 volleys
        finally:
            tally.status, tally.left = lookout.stop()
            tally.events, tally.tail = lookout.events, lookout.trouble or lookout.tail
            tally.seconds = time.monotonic() - began
            tally.aim_ms = 1000 * aim
    return tally


def _plan(last: float, aim: float, volley: int, dice: random.Random) -> list[Shot]:
    first = last + (dice.uniform(0.5, 2.0) * aim if volley % 10 == 0 else aim + dice.gauss(0, JITTER))
    spread = dice.choice((0.0, 0.001, SPREAD))
    return [Shot(first + (dice.uniform(0, spread) if number else 0.0), dice) for number in range(SHOTS)]


def _volley(
    pool: concurrent.futures.Executor, address: tuple[str, int] | str, shots: list[Shot], tally: Tally, shoot: Shoot
) -> list[client.Answer]:
    tally.volleys += 1
    answers = []
    for future in [pool.submit(shoot, address, shot) for shot in shots]:
        try:
            answers.append(future.result())
        except client.Lost as lost:
            tally.lost[lost.how] += 1
    tally.answered += len(answers)
    tally.slowest_ms = max([tally.slowest_ms, *(answer.ms for answer in answers)])
    return answers


def _shoot(address: tuple[str, int] | str, shot: Shot) -> client.Answer:
    time.sleep(max(0.0, shot.at - time.monotonic()))
    return client.request(address, head=shot.head, silent=shot.silent, split=shot.split, limit=10.0)
