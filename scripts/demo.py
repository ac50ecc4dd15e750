"""The main job, told step by step: a Flask app that runs only while somebody wants it.

Starts `spyglass lookout` with a short idle time and talks to it as any client would. Looks only at what anybody can see
from outside: the answers, the log on stderr, and /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "examples" / "flask_app"
IDLE = 2.0  # seconds
LIMIT = 58  # seconds for all of it
ROLES = ("Lookout", "Master", "Template", "Worker")
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>


class StepError(Exception):
    """What was promised did not happen."""


class Process(NamedTuple):
    """One process below the Lookout (or itself), by what /proc says of it; sizes in MiB."""

    pid: int
    depth: int
    rss: float
    pss: float

    @property
    def role(self) -> str:
        return ROLES[self.depth] if self.depth < len(ROLES) else "subprocess"


def _parents() -> dict[int, int]:
    """The parent of every live process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except OSError:
                continue  # gone meanwhile
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    return parents


def tree(root: int) -> list[tuple[int, int]]:
    """`root` and all below it as (pid, depth), parents first."""
    parents = _parents()
    found = [(root, 0)]
    for pid, depth in found:
        found += [(child, depth + 1) for child, parent in sorted(parents.items()) if parent == pid]
    return found


def measure(pid: int, depth: int) -> Process | None:
    """The process with its memory, None where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    kib = {key: int(rest.split()[0]) for key, _, rest in (line.partition(":") for line in lines)}
    return Process(pid, depth, kib["Rss"] / 1024, kib["Pss"] / 1024)


class Answer(NamedTuple):
    """A response, and the milliseconds from before connect to its last byte."""

    status: int
    body: str
    ms: float


class Demo:
    """A running Lookout with what it logs, and a client."""

    def __init__(self, port: int) -> None:
        self.port = port
        spyglass = Path(sys.executable).with_name("spyglass")
        where = f"127.0.0.1:{port}"
        self.command = [str(spyglass), "lookout", "--listen", where, "--idle", f"{IDLE:g}s", "--min-awake", "1s"]
        self.command += ["--chdir", str(APP), "app:app"]
        self.log: list[str] = []
        self._rest = b""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0, bufsize=0
        )

    # ### What can be seen

    def processes(self) -> list[Process]:
        """The Lookout first, then the app's processes."""
        return [found for found in (measure(*each) for each in tree(self.process.pid)) if found]

    def pump(self, seconds: float) -> None:
        """Show what was logged; wait for more at most so long."""
        assert self.process.stderr
        if not select.select([self.process.stderr], [], [], seconds)[0]:
            return
        data = self.process.stderr.read(65536)
        if not data:
            raise StepError(f"the Lookout ended with status {self.process.wait()}")
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace")
            self.log.append(text)
            print(f"      │ {text}", flush=True)

    def wait(self, what: str, seconds: float, happened: Callable[[], bool]) -> None:
        """Until `happened`; raises StepError after so many seconds."""
        end = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > end:
                raise StepError(f"waited {seconds:g} s in vain for {what}")
            self.pump(0.05)

    def said(self, event: str, since: int) -> bool:
        """Whether the event is in the log after its line number `since`."""
        return any(event in line.split() for line in self.log[since:])

    # ### What can be done

    def get(self) -> Answer:
        """GET / on a connection of its own. Raises StepError for anything but a 200."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            response = connection.getresponse()
            answer = Answer(response.status, response.read().decode().strip(), (time.perf_counter() - began) * 1000)
        except (OSError, http.client.HTTPException) as error:
            raise StepError(f"the request was lost: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise StepError(f"the answer was {answer.status} {answer.body[:200]!r}")
        return answer

    def master(self) -> int:
        """The pid of the Master, 0 where there is none."""
        return next((pid for pid, depth in tree(self.process.pid) if depth == 1), 0)

    def asleep(self) -> bool:
        return not self.master()

    def close(self) -> None:
        """End everything that was started, whatever state it is in."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        # Orphans come to us, their subreaper: nothing that was started can hide from this walk.
        while below := [pid for pid, depth in tree(os.getpid()) if depth]:
            for pid in reversed(below):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)


# ### The steps. Each raises StepError, or says what was seen.


def say(text: str) -> None:
    print(f"    {text}", flush=True)


def step_asleep(demo: Demo) -> None:
    demo.wait("the Lookout to listen", 10, lambda: demo.said("listening", 0))
    lookout, *app = demo.processes()
    if app:
        raise StepError(f"the app runs already: {app}")
    say(f"0 processes of the app. The Lookout, which knows nothing of it, has {lookout.rss:.1f} MiB.")


def step_first_request(demo: Demo) -> None:
    answer = demo.get()
    demo.wait("the log to say so", 2, lambda: demo.said("ready", 0))
    say(f"{answer.ms:.0f} ms from connect to the last byte; the app was loaded meanwhile. The answer:")
    say(f"  {answer.body}")


def step_awake(demo: Demo) -> None:
    demo.wait("two workers", 5, lambda: sum(depth == ROLES.index("Worker") for _, depth in tree(demo.process.pid)) == 2)
    answer = demo.get()
    _, *app = demo.processes()
    say(f"{len(app)} processes, {sum(each.pss for each in app):.1f} MiB; the second request took {answer.ms:.1f} ms.")
    for each in app:
        say(f"  {each.role:<9} pid {each.pid:<8} RSS {each.rss:5.1f} MiB   PSS {each.pss:5.1f} MiB")


def step_asleep_again(demo: Demo) -> None:
    since, began = len(demo.log), time.monotonic()
    held = sum(each.pss for each in demo.processes()[1:])
    demo.wait("the app to fall asleep", IDLE + 5, demo.asleep)
    took = time.monotonic() - began
    demo.wait("the log to say so", 2, lambda: demo.said("slept", since))
    say(f"{took:.1f} s after the last answer: 0 processes of the app, {held:.1f} MiB given back.")


def step_the_very_moment(demo: Demo) -> None:
    # Before, at and after the moment when the idle time is over, and just when the app says that it goes.
    aims = (None, -0.004, None, 0.0, None, 0.004)
    woken = [_request_at(demo, aim) for aim in aims]
    if not any(woken):
        raise StepError("every request came before the app had gone")
    say(f"{len(aims)} requests, {len(aims)} answers; {sum(woken)} of them found it gone and woke it again.")


def _request_at(demo: Demo, aim: float | None) -> bool:
    """A request sent `aim` seconds from the end of the idle time, None: as the app says that it goes. Was it woken?"""
    demo.get()
    due, since, master = time.monotonic() + IDLE, len(demo.log), demo.master()
    if aim is None:
        when = "as it says that it goes"
        demo.wait("the app to fall asleep", IDLE + 5, lambda: demo.said("slept", since))
    else:
        when = f"{aim * 1000:+.0f} ms from its idle time"
        while (left := due + aim - time.monotonic()) > 0.1:
            demo.pump(left - 0.1)
        time.sleep(max(0.0, left))
    answer = demo.get()
    woken = demo.master() != master
    what = "it had gone and was woken again" if woken else "it was still there, and stayed"
    say(f"sent {when:<24} 200 in {answer.ms:4.0f} ms: {what}")
    return woken


STEPS: tuple[tuple[str, Callable[[Demo], None]], ...] = (
    ("asleep", step_asleep),
    ("first request", step_first_request),
    ("awake", step_awake),
    ("asleep again", step_asleep_again),
    ("a request in the very moment of falling asleep", step_the_very_moment),
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(demo: Demo, *, stay: bool) -> int:
    shown = " ".join(part.replace(f"{ROOT}/", "") for part in demo.command)
    print(
        f"$ {shown}\n$ curl http://127.0.0.1:{demo.port}/    (in another terminal; {LIMIT} s are enough)\n", flush=True
    )
    for number, (title, step) in enumerate(STEPS, 1):
        print(f"{number}. {title}", flush=True)
        try:
            step(demo)
        except StepError as failed:
            if demo.process.poll() is None:
                demo.pump(0.2)
            print(f"\nFAILED at step {number} ({title}): {failed}", flush=True)
            return 1
        print(flush=True)
    print("All of it happened.", flush=True)
    if stay:
        signal.alarm(0)
        print(f"Yours until Ctrl-C: curl http://127.0.0.1:{demo.port}/", flush=True)
        while True:
            demo.pump(60)
    return 0


def _end(number: int, _frame: object) -> NoReturn:
    if number == signal.SIGALRM:
        raise StepError(f"over {LIMIT} s in all")
    sys.exit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="go on after the last step, until Ctrl-C")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, _end)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.alarm(LIMIT)
    demo = Demo(free_port())
    try:
        return run(demo, stay=arguments.stay)
    finally:
        signal.alarm(0)
        demo.close()


if __name__ == "__main__":
    sys.exit(main())
