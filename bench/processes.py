"""Processes that a bench starts, each in a session of its own, so that whatever it forks is found and ended by pid."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
from pathlib import Path
from typing import IO

from places import RESULTS


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def start(command: list[str], *, cwd: Path, out: int | IO[bytes], fds: tuple[int, ...] = ()) -> subprocess.Popen:
    """Run `command` as the leader of a new session, without the activation that we may have been started with."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("LISTEN_", "NOTIFY_", "PYTHON"))}
    RESULTS.mkdir(parents=True, exist_ok=True)
    environ["HOME"] = str(RESULTS)  # gunicorn leaves a control socket there
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        pass_fds=fds,
        start_new_session=True,
    )


def members(session: int) -> list[int]:
    """The pids of a session that still run (zombies do not)."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, _, sid = Path(entry.path, "stat").read_text().rpartition(")")[2].split()[:4]
                if int(sid) == session and state not in "ZX":
                    found.append(int(entry.name))
    return found


def end(leader: subprocess.Popen, *, gently: bool = False, limit: float = 10.0) -> list[int]:
    """End a session and wait for every process of it: with SIGTERM to its leader first where `gently`. Returns the
    pids that were still there when the leader was gone."""
    if gently:
        leader.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            leader.wait(limit)
    else:
        leader.kill()
        leader.wait(limit)
    left = members(leader.pid)
    fds = []
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            fds.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    for fd in fds:
        select.select([fd], [], [], limit)
        os.close(fd)
    if leader.poll() is None:
        leader.kill()
        leader.wait(limit)
    return left
