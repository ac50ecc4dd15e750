"""A scoreboard on a tmpfs without room: an error, and no signal that kills."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

SCRIPT = """
import os, subprocess, sys
directory = sys.argv[1]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", directory], check=True)
from spyglass_systemd.protocols.scoreboard import Scoreboard
old = Scoreboard.create(directory, 1, 1)
filler = os.open(f"{directory}/filler", os.O_WRONLY | os.O_CREAT)
try:
    while os.write(filler, b"x" * 4096):
        pass
except OSError as error:
    print(error.strerror)
try:
    Scoreboard.create(directory, 64, 2)
except OSError as error:
    print(error.strerror)
print(sorted(os.listdir(directory)))
old.rows[0].opened(1)
print(old.rows[0].accepted)
"""


@pytest.mark.timeout(60)
def test_a_full_tmpfs_is_an_error_and_the_old_board_goes_on(tmp_path):
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    command = [*private, sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "No space left on device",
        "No space left on device",
        "['filler', 'scoreboard']",
        "1",
    ]
