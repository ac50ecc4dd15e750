"""Who else runs in our name: processes that the app started and that are not ours. Ends nobody.

When the Master exits, systemd sends SIGKILL to whatever is left in the cgroup, without a word (systemd.kill(5),
KillMode=). An `ffmpeg` that a request has started is work, so it keeps the app awake as an open connection does.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def find(ours: frozenset[int], environ: Mapping[str, str], lookout_pid: int) -> tuple[tuple[int, str], ...]:
    """The (pid, command) of every process of ours that is not in `ours`.

    With systemd they are the members of our cgroup; the cgroup is ours alone where SYSTEMD_EXEC_PID names us
    (systemd.exec(5), 248 and newer). Else they are our descendants and, as `lookout_pid` inherits our orphans, its
    other children.
    """
    me = os.getpid()
    pids = _cgroup_members() if environ.get("SYSTEMD_EXEC_PID") == str(me) else _descendants(me, lookout_pid)
    found = []
    for pid in sorted(pids - ours - {me}):
        stat = _stat(pid)
        if stat is not None and stat.state not in "ZX":
            found.append((pid, stat.command))
    return tuple(found)


def _cgroup_members() -> set[int]:
    for line in _lines("/proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        mounts = {"": ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"), "name=systemd": ("/sys/fs/cgroup/systemd",)}
        for mount in mounts.get(controllers, ()):
            members = {int(pid) for pid in _lines(f"{mount}{path}/cgroup.procs")}
            if os.getpid() in members:
                return members
    return set()


def _descendants(root: int, lookout_pid: int) -> set[int]:
    parents: dict[int, int] = {}
    me = _stat(root)
    for name in os.listdir("/proc"):
        # What is older than we are is nobody's of ours: a script may have started it before it became the Lookout.
        if name.isdigit() and (stat := _stat(int(name))) is not None and me is not None and stat.began >= me.began:
            parents[int(name)] = stat.parent
    found: set[int] = set()
    for pid in parents:
        chain, at = [], pid
        while at > 1 and at not in (root, lookout_pid) and at not in found:
            chain.append(at)
            at = parents.get(at, 0)
        if at in found or at == root or (at == lookout_pid and lookout_pid):
            found.update(chain)
    return found


class _Stat:
    """A process, as proc_pid_stat(5) has it; `began` in clock ticks since the boot."""

    __slots__ = ("began", "command", "parent", "state")

    def __init__(self, command: str, state: str, parent: int, began: int) -> None:
        self.command = command
        self.state = state
        self.parent = parent
        self.began = began


def _stat(pid: int) -> _Stat | None:
    """None when it is gone."""
    lines = _lines(f"/proc/{pid}/stat")
    if not lines:
        return None
    head, _, tail = " ".join(lines).rpartition(")")
    fields = tail.split()
    return _Stat(head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []
