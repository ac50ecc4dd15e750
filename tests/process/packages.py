"""Packages from PyPI that only some tests need, each in a directory of its own that is kept for the next run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache"


def installed(name, *wanted):
    """The directory `name` with the packages `wanted` in it, for --pythonpath; skips where they cannot be had."""
    there = CACHE / name
    if not there.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as made:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", f"{made}/packages", *wanted]
            if subprocess.run(pip, check=False, timeout=50).returncode:
                pytest.skip(f"{', '.join(wanted)} cannot be installed here")
            Path(made, "packages").rename(there)  # whole, or not at all
    return there
