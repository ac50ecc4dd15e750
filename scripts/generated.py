"""Files that are written by a program and committed: write them, or with --check say which are not as they would be."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def settle(files: dict[str, str]) -> int:
    """The texts of `files`, by their path from the root of the checkout. The exit code."""
    if "--check" not in sys.argv[1:]:
        for name, text in files.items():
            path = ROOT / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return 0
    stale = [name for name, text in files.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text]
    for name in stale:
        sys.stderr.write(f"{name} is not what {Path(sys.argv[0]).name} writes: run it, and commit the file\n")
    return 1 if stale else 0
