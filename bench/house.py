"""One app under soak: a `spyglass lookout`, what it and all below it say, who they are, and what they hold.

Knows no client and no fault; it can tell which connections are in a process's hands, which is what explains a loss.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import processes
from places import APPS
from storm import event_of

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 60.0  # seconds for the port to answer again, and for everything else that must come by itself
_GOOD = "from soak_{kind} import make\n\napp = make({version})\n"


def eventually(check: Callable[[], object], what: str) -> object:
    """Ask again and again until `check()` is true; its value. Raises TimeoutError."""
    deadline = time.monotonic() + LIMIT
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.01)
    return found


class House:
    """`kind` is that of bench/apps/soak_KIND.py. `open` is set while visitors may come; `sleeps`: whether it may."""

    def __init__(self, name: str, kind: str, folder: Path, *options: str, python: str, sleeps: bool = True) -> None:
        self.name = name
        self.kind = kind
        self.sleeps = sleeps
        self.folder = folder
        self.keepalive = 0.5 if sleeps else 5.0
        self.port = processes.free_port()
        self.address = ("127.0.0.1", self.port)
        self.open = threading.Event()
        self.open.set()
        self.version = self.least_version = 0
        self.events: Counter[str] = Counter()
        self._cut: dict[int, list[float]] = {}  # a client's port: when whoever held its connection was ended
        self._excuses: list[list[float]] = []  # from when to when the app may be answered for with 503
        folder.mkdir(parents=True)
        (folder / "app").mkdir()
        self.log = folder / "log"
        self.write_good()
        command = [python, "-m", "spyglass_systemd", "lookout", "--name", name, "--listen", f"127.0.0.1:{self.port}"]
        command += ["--chdir", str(folder / "app"), "--pythonpath", str(APPS), "--request-timeout", "8s"]
        command += ["--import-timeout", "20s", "--min-awake", "0", *(("--idle", "1s") if sleeps else ("--idle", "off"))]
        os.environ["RUNTIME_DIRECTORY"] = str(folder)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # a new version of the same size in the same second must be seen
        self._leader = subprocess.Popen(
            [*command, *options, "shop:app"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.pid = self._leader.pid
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        eventually(lambda: self.events["lookout listening"], f"{name} listens")

    def _read(self) -> None:
        with self.log.open("wb") as log:
            for line in self._leader.stdout:
                log.write(b"%.3f %s" % (time.monotonic(), line))
                log.flush()
                self.events[event_of(line.decode(errors="replace").rstrip() or "- -")] += 1

    def stop(self) -> tuple[int, list[int]]:
        """SIGTERM: the exit status, and who was left behind."""
        left = processes.end(self._leader, gently=True, limit=LIMIT)
        self._reader.join(LIMIT)
        self._leader.stdout.close()
        return self._leader.returncode, left

    # ### The app

    def write_good(self) -> int:
        """A new version of the app, which works."""
        self.version += 1
        self.write(_GOOD.format(kind=self.kind, version=self.version))
        return self.version

    def write(self, source: str) -> None:
        """In one step, as a deploy does."""
        new = self.folder / "app" / ".shop.py"
        new.write_text(source)
        new.rename(self.folder / "app" / "shop.py")

    # ### Who there is

    @property
    def master(self) -> int:
        """The Master, which leads a process group of its own; 0 while the app is asleep."""
        return next((pid for pid in children(self.pid) if _group(pid) == pid), 0)

    @property
    def templates(self) -> list[int]:
        return children(self.master)

    @property
    def workers(self) -> list[int]:
        """Those whose Template lives."""
        return [pid for template in self.templates for pid in children(template)]

    @property
    def below(self) -> list[int]:
        """Every process but the Lookout."""
        return [pid for pid in processes.members(self.pid) if pid != self.pid]

    # ### What a fault explains

    def stop_and_look(self, pids: list[int]) -> None:
        """Stop processes that are about to be ended: the connections they hold by then may be lost."""
        for pid in pids:
            send(pid, signal.SIGSTOP)
        for pid in pids:
            eventually(lambda: _states(pid) <= set("TtZX"), f"{pid} stops")  # noqa: B023  # asked here and now
        self.look(pids)

    def look(self, pids: list[int]) -> None:
        """The connections that these processes hold may be lost from now on."""
        now = time.monotonic()
        for port in self._held(pids):
            self._cut.setdefault(port, []).append(now)

    def _held(self, pids: list[int]) -> list[int]:
        """The client's port of every connection that one of these processes has open."""
        inodes = set()
        for pid in pids:
            with contextlib.suppress(OSError):
                for fd in os.scandir(f"/proc/{pid}/fd"):
                    with contextlib.suppress(OSError):
                        inodes.add(os.readlink(fd.path))  # noqa: PTH115  # there are many
        found = []
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
            if local == self.port and f"socket:[{fields[9]}]" in inodes:
                found.append(remote)
        return found

    def was_cut(self, port: int, began: float, ended: float) -> bool:
        """Whether whoever held the connection of this client was ended between these times."""
        return any(began <= at <= ended for at in self._cut.get(port, ()))

    @contextlib.contextmanager
    def excuse(self):
        """For as long as the block lasts, a 503 is an answer."""
        span = [time.monotonic(), float("inf")]
        self._excuses.append(span)
        yield
        span[1] = time.monotonic()

    def excused(self, began: float, ended: float) -> bool:
        """Whether a 503 is an answer to what was asked between these times."""
        return any(since <= ended and began <= until for since, until in self._excuses)


def send(pid: int, number: int) -> None:
    """A signal, to whoever is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def children(pid: int) -> list[int]:
    """Whichever of its threads has forked them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task") if pid else ():
            found += [int(child) for child in Path(task.path, "children").read_text().split()]
    return found


def _group(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return 0


def _states(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found.add(Path(task.path, "stat").read_text().rpartition(")")[2].split()[0])
    return found
