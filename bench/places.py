"""Where things lie. Knows no server and runs nothing."""

from __future__ import annotations

from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
APPS = BENCH / "apps"
STARTERS = BENCH / "starters"
CACHE = ROOT / ".cache"
RESULTS = CACHE / "bench"
