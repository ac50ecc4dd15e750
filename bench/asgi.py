"""ASGI and raw: what the backends cost beside bare uvicorn, and that they lose nobody at the edge of sleep.

    python bench/asgi.py [--only cost,throughput,wake,lost,storm] [--runs N] [--rounds N] [--sleeps N]

`throughput` and `wake` compare with uvicorn embedded in one process, in turns on the same kind of listener, the first
also in requests for each second of CPU time, which tells more where others use the machine; `cost` is what one request
costs in the two protocols, in turns in one process (starters/request_cost.py), which tells most there; `lost` asks both
what becomes of a client who was accepted when SIGTERM came; `storm` is the edge storm on asgi, on raw, and with
WebSockets, with 1 and 3 workers. Exit 1 where a request of ours was lost, never for a time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import client
import figures
import peers
import processes
from places import APPS, CACHE, RESULTS, STARTERS
from servers import Server
from storm import Shot, Tally, storm
from throughput import _pin, _wrk, running
from wake import wake
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect, unix_connect

VENV = CACHE / "asgi-bench"
PYTHON = VENV / "bin" / "python"
PACKAGES = ("uvicorn==0.54.0", "httptools==0.9.0", "uvloop==0.23.0", "websockets==17.4")
WINDOWS = 10  # of half a second, for each server, in a round of the throughput
SECONDS = 2  # for what streams, at the end
BARE = Server("uvicorn, embedded", f"{PYTHON} {STARTERS}/uvicorn_fd.py {{app}}:app")
OURS = Server("spyglass serve", f"{PYTHON} -m spyglass_systemd serve --workers 1 {{app}}:app")
GOALS = {"throughput": "≥ 0.97", "wake": "≤ 1.05"}


def prepare() -> None:
    """An environment of its own: a real install of ours, not an editable one, beside uvicorn."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        _pip(*PACKAGES)
    peers.VENV, peers.PYTHON, peers._OURS = VENV, PYTHON, VENV / "spyglass-installed"  # noqa: SLF001  # its own recipe
    peers._install_ours()  # noqa: SLF001


def _pip(*arguments: str) -> None:
    subprocess.run([str(PYTHON), "-m", "pip", "-q", "install", *arguments], check=True, stdout=2)


def throughput(rounds: int) -> str:
    """Requests a second, and for each second of the server's CPU time, which others on the machine do not take away.

    In each round a new pair of processes, and WINDOWS for each of the two, in turns: what the machine does meanwhile,
    and what luck a process had with its memory, comes out of the ratio.
    """
    rates, costs = ({BARE.name: {}, OURS.name: {}} for _ in range(2))
    for number in range(rounds):
        with running(BARE, "ahello") as bare, running(OURS, "ahello") as ours:
            seen = {BARE.name: [], OURS.name: []}
            for window in range(WINDOWS):
                pair = [(BARE.name, *bare), (OURS.name, *ours)]
                for name, pid, address in pair if window % 2 else reversed(pair):
                    seen[name].append(_window(pid, address))
        for name, windows in seen.items():
            requests, wall, cpu = (sum(each) for each in zip(*windows, strict=True))
            rates[name][number], costs[name][number] = requests / wall, requests / cpu
        figures.say(f"bench: throughput, round {number + 1} of {rounds}")
    return f"{_table('throughput', rates)}\n{_table('efficiency', costs)}"


def _window(pid: int, address: tuple[str, int]) -> tuple[int, float, float]:
    """Requests, seconds, seconds of the server's CPU time."""
    before = _cpu_seconds(pid)
    output = _wrk(address, 0.5)
    count, seconds, unit = re.search(r"(\d+) requests in ([\d.]+)(s|ms)", output).groups()
    return int(count), float(seconds) / (1000 if unit == "ms" else 1), _cpu_seconds(pid) - before


def _cpu_seconds(session: int) -> float:
    ticks = 0
    for pid in processes.members(session):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cost(rounds: int) -> str:
    """A table of requests for each second of CPU time in the protocol alone."""
    command = [*_pin(0), str(PYTHON), str(STARTERS / "request_cost.py"), "ahello:app", str(rounds)]
    output = subprocess.run(command, cwd=APPS, check=True, stdout=subprocess.PIPE, text=True).stdout
    pairs = [json.loads(line) for line in output.splitlines()]
    names = (BARE.name, OURS.name)
    return _table("cost", {name: {n: 1e9 / pair[i] for n, pair in enumerate(pairs)} for i, name in enumerate(names)})


def compare(what: str, measure, rounds: int) -> str:
    """A table of both servers, `measure`d in turns."""
    samples = {BARE.name: {}, OURS.name: {}}
    for number in range(-1, rounds):  # the first one compiles and warms up
        for server in (BARE, OURS) if number % 2 else (OURS, BARE):
            value = measure(server)
            if number >= 0:
                samples[server.name][number] = value
        figures.say(f"bench: {what}, round {number + 1} of {rounds}")
    return _table(what, samples)


def _table(what: str, samples: dict[str, dict[int, float]]) -> str:
    rows = []
    for name, values in samples.items():
        ratio = figures.median(figures.paired(values, samples[BARE.name]))
        got = sorted(values.values())
        goal = GOALS.get(what, "") if name == OURS.name else ""
        rows.append([name, f"{figures.median(got):.1f}", f"{got[0]:.1f}..{got[-1]:.1f}", f"{ratio:.3f}", goal])
    figures.save(f"asgi-{what}", {name: list(values.values()) for name, values in samples.items()})
    unit = {"throughput": "requests/s", "wake": "ms"}.get(what, "requests/CPU second")
    return figures.table(("server", f"{unit}, median", "min..max", "x uvicorn", "goal"), rows)


# ### Who is lost at SIGTERM

GET = client.head_of("/", close=False)
CASES = ("silent", "half a head", "kept alive", "in flight", "WebSocket", "events")


def fate(server: list[str], case: str) -> str:
    """What becomes of one client who was accepted before SIGTERM and goes on 0.2 s after it."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        fd = listener.fileno()
        activate = [sys.executable, "-I", "-S", str(STARTERS / "activate.py"), str(fd)]
        with (RESULTS / "asgi.log").open("ab") as log:
            leader = processes.start([*activate, *server], cwd=APPS, out=log, fds=(fd,))
        try:
            client.request(listener.getsockname(), limit=10.0)
            if case == "WebSocket":
                return _fate_of_a_websocket(listener.getsockname(), leader)
            with socket.create_connection(listener.getsockname(), timeout=8) as sock:
                return _fate_of(sock, case, leader)
        finally:
            processes.end(leader)


def _fate_of(sock: socket.socket, case: str, leader: subprocess.Popen) -> str:
    before = {"half a head": GET[:20], "kept alive": GET, "in flight": client.head_of("/wait")}
    before["events"] = client.head_of("/sse")
    sock.sendall(before.get(case, b""))
    heard = b""
    while case in ("kept alive", "events") and (not heard.endswith(b"\n") or heard.endswith(b"\r\n\r\n")):
        heard += sock.recv(65536)
    time.sleep(0.2)
    leader.terminate()
    time.sleep(0.2)
    heard = b""
    try:
        if case in ("silent", "half a head", "kept alive"):
            sock.sendall(GET[20:] if case == "half a head" else GET)
        while data := sock.recv(65536):
            heard += data
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except TimeoutError:
        return "answered" if heard.startswith(b"HTTP/1.1 200") else "nothing for 8 s"
    if case == "events":
        return "ended in order" if heard.endswith(b"0\r\n\r\n") else "cut"
    return "answered" if heard.startswith(b"HTTP/1.1 200") else "closed without an answer"


def _fate_of_a_websocket(address: tuple[str, int], leader: subprocess.Popen) -> str:
    try:
        with connect(f"ws://{address[0]}:{address[1]}/") as ws:
            ws.send("hello")
            ws.recv(5)
            leader.terminate()
            try:
                ws.recv(8)
            except WebSocketException as error:
                closed = getattr(error, "rcvd", None)
                return f"closed with {closed.code}" if closed else "cut"
            except TimeoutError:
                return "open after 8 s"
    except OSError as error:
        return str(error)
    return "?"


def lost() -> tuple[str, bool]:
    """The table, and whether ours lost nobody."""
    app = "whos:streaming"
    bare = [str(PYTHON), str(STARTERS / "uvicorn_fd.py"), app, str(SECONDS)]
    ours = [str(PYTHON), "-m", "spyglass_systemd", "serve", "--workers", "1", "--drain", str(SECONDS), app]
    rows = [[name, *(fate(command, case) for case in CASES)] for name, command in (("uvicorn", bare), ("ours", ours))]
    good = ["answered"] * 4 + ["closed with 1012", "ended in order"]
    return figures.table(("SIGTERM, then the client goes on", *CASES), rows), rows[1][1:] == good


# ### The storms


def _by_websocket(address: tuple[str, int] | str, shot: Shot) -> client.Answer:
    time.sleep(max(0.0, shot.at - time.monotonic()))
    started = time.monotonic()
    opened = (
        unix_connect(address, "ws://bench/")
        if isinstance(address, str)
        else connect(f"ws://{address[0]}:{address[1]}/")
    )
    try:
        with opened as ws:
            time.sleep(shot.silent)
            ws.send("who")
            body = ws.recv(10)
    except (OSError, WebSocketException) as error:
        raise client.Lost(f"{type(error).__name__}: {error}") from error
    return client.Answer(body.encode(), started, time.monotonic())


def storms(sleeps: int) -> tuple[str, bool]:
    """The table, and whether nobody was lost."""
    kinds = {
        "asgi": (("whos:asgi",), None),
        "raw": (("--kind", "raw", "--threads", "8", "whos:raw"), None),
        "WebSocket": (("whos:asgi",), _by_websocket),
    }
    rows, good = [], True
    for name, (app, shoot) in kinds.items():
        for unix, workers in itertools.product((False, True), (1, 3)):
            tally: Tally = storm(
                unix=unix, workers=workers, sleeps=sleeps, app=app, shoot=shoot, python=str(PYTHON), idle=0.05
            )
            gone = ", ".join(f"{count} {how}" for how, count in tally.lost.items()) or "0"
            rows.append([name, tally.name, tally.requests, gone, tally.sleeps, f"{tally.seconds:.0f}"])
            figures.say(f"bench: storm {rows[-1]}")
            good = good and not tally.faults
            for fault in tally.faults:
                print(f"FAULT {name}, {tally.name}: {fault}", *tally.tail[-20:], sep="\n")
    return figures.table(("kind", "listener", "connections", "lost", "sleeps", "seconds"), rows), good


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="cost,throughput,wake,lost,storm")
    parser.add_argument("--runs", type=int, default=9, help="of the throughput, 10 s each")
    parser.add_argument("--rounds", type=int, default=15, help="of the wake")
    parser.add_argument("--sleeps", type=int, default=25, help="in each of twelve storms: some 500 connections")
    parser.add_argument("--short", action="store_true", help="one run, three rounds, five sleeps")
    options = parser.parse_args()
    runs, rounds, sleeps = (1, 3, 5) if options.short else (options.runs, options.rounds, options.sleeps)
    only, good = options.only.split(","), True
    prepare()
    if "cost" in only:
        print(cost(50 if options.short else 500))
    if "throughput" in only:
        print(throughput(runs))
    if "wake" in only:
        print(compare("wake", lambda server: wake(server, "ahello"), rounds))
    if "lost" in only:
        table, good = lost()
        print(table)
    if "storm" in only:
        table, calm = storms(sleeps)
        print(table)
        good = good and calm
    return 0 if good else 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
