"""Descriptors find their places, whatever numbers they had before."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from spyglass_systemd.protocols import handover

# Puts pipes at the numbers of the arguments, has a child list what it got, and says which is which.
GIVER = """
import os, sys
from spyglass_systemd.protocols import handover
fds = [int(text) for text in sys.argv[1:]]
names = []
for fd in fds:
    os.dup2(os.open(f"/proc/self/{'comm maps stat statm status'.split()[len(names)]}", os.O_RDONLY), 40 + fd)
    names.append(os.readlink(f"/proc/self/fd/{40 + fd}").rpartition("/")[2])
for fd in fds:
    os.dup2(40 + fd, fd)
numbers = " ".join(str(3 + i) for i in range(len(fds)))
listing = f"for i in {numbers}; do basename $(readlink /proc/$$/fd/$i); done"
pid = handover.start(["/bin/bash", "-c", listing], dict(os.environ), fds)
os.waitpid(pid, 0)
print("want", *names)
"""


@pytest.mark.parametrize("fds", [[3, 4], [4, 3], [5, 3, 4], [9, 8, 7, 3], [4, 5, 6, 7, 3]])
def test_each_descriptor_gets_its_number(fds):
    done = subprocess.run(
        [sys.executable, "-c", GIVER, *map(str, fds)], capture_output=True, text=True, timeout=20, check=True
    )
    *got, want = done.stdout.splitlines()
    assert " ".join(got) == want.removeprefix("want ")


def test_a_fork_that_fails_is_an_oserror_and_nothing_stays_blocked(monkeypatch):
    import signal

    def no_fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(os, "fork", no_fork)
    with pytest.raises(OSError, match="temporarily"):
        handover.start(["true"], {}, [3])
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.parametrize("quick", [False, True])
def test_what_is_started_leads_a_group_of_its_own_whoever_comes_first(monkeypatch, quick):
    parent, setpgid = os.getpid(), os.setpgid

    def too_late(pid, group):
        if os.getpid() == parent:
            raise PermissionError(13, "Permission denied")  # EACCES, setpgid(2): it has called execve(2) already
        setpgid(pid, group)

    reader, writer = os.pipe()
    program = "import os; os.write(3, b'%d' % (os.getpgrp() == os.getpid()))"
    if quick:
        monkeypatch.setattr(os, "setpgid", too_late)
    pid = handover.start([sys.executable, "-c", program], dict(os.environ), [writer])
    os.close(writer)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.read(reader, 1) == b"1"
    os.close(reader)
