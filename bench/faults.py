"""What happens to an app under soak: deaths, stops, limits, deploys good and bad. Each of them ends.

A fault that may cost somebody his answer stops its victims first and has the house look at what they hold: those
connections, and no others, may be lost. After each one the port must answer again, without a person.
"""

from __future__ import annotations

import random
import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from house import LIMIT, House, eventually, send

_BROKEN = (
    "raise RuntimeError('broken')\n",
    "import nothing_like_it\n",
    "app = 1 +\n",
    "import sys\nsys.exit(3)\n",
    "import os\nos._exit(3)\n",
    "import ctypes\nctypes.string_at(0)\n",
    "pp = 1\n",
    "import os\nos.kill(os.getpid(), 9)\n",
)
_DEADLY = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)

Fault = Callable[[House, random.Random], None]


def _end(pids: list[int], number: int, house: House) -> None:
    house.stop_and_look(pids)
    for pid in pids:
        send(pid, number)
        send(pid, signal.SIGCONT)


def _some(dice: random.Random, pids: list[int]) -> list[int]:
    return dice.sample(pids, 1) if pids else []


# ### Deaths


def worker_dies(house: House, dice: random.Random) -> None:
    _end(_some(dice, house.workers), dice.choice(_DEADLY), house)


def all_workers_die(house: House, dice: random.Random) -> None:
    _end(house.workers, dice.choice(_DEADLY), house)


def template_dies(house: House, dice: random.Random) -> None:
    for pid in _some(dice, house.templates):
        send(pid, dice.choice(_DEADLY))


def template_dies_in_a_reload(house: House, dice: random.Random) -> None:
    send(house.pid, signal.SIGHUP)
    time.sleep(dice.uniform(0, 0.3))
    for pid in house.templates[-1:]:
        send(pid, signal.SIGKILL)


def master_dies(house: House, dice: random.Random) -> None:
    """And with it all below: the Lookout ends its group."""
    master = house.master
    if master:
        send(master, signal.SIGSTOP)
        house.stop_and_look(house.below)
        send(master, dice.choice(_DEADLY))
        send(master, signal.SIGCONT)


def master_is_told_to_go_at_once(house: House, _: random.Random) -> None:
    master = house.master
    if master:
        house.stop_and_look([pid for pid in house.below if pid != master])
        house.look([master])
        send(master, signal.SIGQUIT)


def master_is_told_to_go(house: House, _: random.Random) -> None:
    for pid in filter(None, [house.master]):
        send(pid, signal.SIGTERM)


# ### Stops


def _pause(pids: list[int], dice: random.Random, longest: float) -> None:
    for pid in pids:
        send(pid, signal.SIGSTOP)
    time.sleep(dice.uniform(0, longest))
    for pid in pids:
        send(pid, signal.SIGCONT)


def worker_stops(house: House, dice: random.Random) -> None:
    _pause(_some(dice, house.workers), dice, 2.0)


def template_stops(house: House, dice: random.Random) -> None:
    _pause(house.templates, dice, 2.0)


def master_stops(house: House, dice: random.Random) -> None:
    _pause(list(filter(None, [house.master])), dice, 2.0)


def lookout_stops(house: House, dice: random.Random) -> None:
    _pause([house.pid], dice, 2.0)


def all_are_suspended(house: House, dice: random.Random) -> None:
    _pause([house.pid, *house.below], dice, 3.0)


# ### Limits, and what an app does


def no_descriptors_left(house: House, dice: random.Random) -> None:
    """In one process: below what it has open, so that whatever it opens next fails."""
    for pid in _some(dice, list(filter(None, [house.master, *house.templates, *house.workers]))):
        try:
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, before[1]))
            time.sleep(dice.uniform(0.2, 2.0))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        except ProcessLookupError:  # it has left meanwhile
            return


def subprocess_at_the_edge(house: House, dice: random.Random) -> None:
    """A process that the app has started goes on when nobody asks any more: the app must not fall asleep before."""
    path = house.folder / f"done-{dice.randrange(1 << 30)}"
    if house.kind == "raw":
        asked = f"start {path}\n"
    else:
        asked = (
            f"POST /start HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: {len(str(path))}\r\n\r\n{path}"
        )
    _ask(house, asked.encode())
    house.open.clear()
    try:
        eventually(path.exists, f"{house.name}: the subprocess was ended before it was done")
    finally:
        house.open.set()
        path.unlink(missing_ok=True)


def busy_loop(house: House, dice: random.Random) -> None:
    """App code that never ends: its worker is replaced after `request_timeout`."""
    path = house.folder / f"hangs-{dice.randrange(1 << 30)}"
    asked = f"POST /hang HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(str(path))}\r\n\r\n{path}".encode()
    with socket.create_connection(house.address, LIMIT) as sock:
        sock.sendall(asked)
        eventually(lambda: path.exists() and path.read_text(), f"{house.name}: the busy loop begins")
        pid = int(path.read_text())

        def gone() -> bool:
            house.look([pid])
            return not Path(f"/proc/{pid}").exists()

        eventually(gone, f"{house.name}: the busy loop is ended")
    path.unlink()


# ### Sleep


def lull(house: House, dice: random.Random) -> None:
    """Nobody comes for about as long as it takes to fall asleep; then everybody at once."""
    house.open.clear()
    time.sleep(1.0 + abs(dice.gauss(0.3, 0.3)))
    house.open.set()


# ### Deploys


def reload_good(house: House, _: random.Random) -> None:
    version = house.write_good()
    old = {*house.templates}
    _reload(house, "master reloaded")
    # A reload that was under way, of the code before, may have been done first; ours is done when all Templates of then
    # are gone, and the last worker of theirs has had the second that it may take to stop accepting.
    eventually(lambda: not old & {*house.templates}, f"{house.name}: the old Templates leave")
    time.sleep(1.5)
    house.least_version = version


def reload_often(house: House, dice: random.Random) -> None:
    for _ in range(dice.randrange(2, 6)):
        send(house.pid, signal.SIGHUP)
        time.sleep(dice.uniform(0, 0.2))


def reload_broken(house: House, dice: random.Random) -> None:
    """The old generation serves on."""
    house.write(dice.choice(_BROKEN))
    _reload(house, "master reload_failed")
    reload_good(house, dice)


def broken_at_a_wake(house: House, dice: random.Random) -> None:
    """The app is broken when it is woken: 503, until it is mended."""
    house.write(dice.choice(_BROKEN))
    failures = house.events["master failed"]
    master_dies(house, dice)
    eventually(lambda: house.events["master failed"] > failures, f"{house.name}: the broken app is seen")
    time.sleep(dice.uniform(0, 2.0))
    version = house.write_good()
    send(house.pid, signal.SIGHUP)
    house.least_version = version


def resize(house: House, dice: random.Random) -> None:
    numbers = [signal.SIGTTIN, signal.SIGTTOU] * dice.randrange(1, 3)
    for number in numbers:
        send(house.pid, number)
        time.sleep(dice.uniform(0, 0.5))


def _reload(house: House, event: str) -> None:
    """Ask for a reload and wait for `event`; where the app sleeps, or leaves, the next wake loads what is there now."""
    before, master = house.events[event], house.master
    send(house.pid, signal.SIGHUP)
    eventually(lambda: house.events[event] > before or house.master != master or not master, f"{house.name}: {event}")


def _ask(house: House, data: bytes) -> None:
    with socket.create_connection(house.address, LIMIT) as sock:
        sock.sendall(data)
        sock.recv(1000)


ANYWHERE: tuple[Fault, ...] = (
    *[worker_dies] * 4,
    *[all_workers_die] * 2,
    *[template_dies] * 2,
    template_dies_in_a_reload,
    *[worker_stops] * 2,
    template_stops,
    master_stops,
    lookout_stops,
    all_are_suspended,
    no_descriptors_left,
    *[reload_good] * 2,
    reload_often,
    *[reload_broken] * 2,
    resize,
)
SLEEPERS: tuple[Fault, ...] = (
    *[lull] * 8,
    *[subprocess_at_the_edge] * 2,
    master_dies,
    master_is_told_to_go,
    master_is_told_to_go_at_once,
    *[broken_at_a_wake] * 2,
)


# After these, until the port answers again, a 503 is an answer: there may be no app that could give another.
EXCUSED = {template_dies, template_dies_in_a_reload, all_workers_die, no_descriptors_left, broken_at_a_wake}


def choose(house: House, dice: random.Random) -> Fault:
    """The next fault of a house."""
    there = [*ANYWHERE, *(SLEEPERS if house.sleeps else ()), *((busy_loop,) if house.kind != "raw" else ())]
    return dice.choice(there)
