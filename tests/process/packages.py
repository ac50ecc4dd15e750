"""Packages from PyPI that only some tests need, each in a directory of its own that is kept for the next run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"


def installed(name, *wanted):
    """The directory `name` with the packages `wanted` in it, for --pythonpath. Where pip fails the test fails."""
    there = CACHE / name
    if not there.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", f"{made}/packages", *wanted]
            subprocess.run(pip, check=True, timeout=50)
            Path(made, "packages").rename(there)  # whole, or not at all
    return there
