"""The kept inputs of each target: one text file a target, one input a line, as Python writes bytes. Knows no target.

So a find can be read in a diff, and nothing that looks at source files trips over bytes that are no text.
"""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

import spyglass_systemd

HERE = Path(__file__).parent
PACKAGE = str(Path(spyglass_systemd.__file__).parent)
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def path(target):
    """Where the inputs of a target are kept."""
    return HERE / "corpus" / f"{target}.txt"


def load(target):
    """The inputs that are kept."""
    kept = path(target)
    return [ast.literal_eval(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def save(target, inputs):
    """Keep these, the shortest first."""
    path(target).parent.mkdir(exist_ok=True)
    lines = [repr(data) for data in sorted(set(inputs), key=lambda data: (len(data), data))]
    path(target).write_text("".join(f"{line}\n" for line in lines))


def least(check, inputs):
    """Of these, the shortest that together take every way through our code which all of them take."""
    known, kept = set(), []
    with _tracing:  # of which a process has one
        for data in sorted(set(inputs), key=lambda data: (len(data), data)):
            ways = _ways(check, data)
            if ways - known:
                known |= ways
                kept.append(data)
    return kept


_tracing = threading.Lock()


def _ways(check, data):
    """From which line to which line it goes, in every function."""
    ways = set()

    def enter(frame, _event, _argument):
        code, last = frame.f_code, 0
        if not code.co_filename.startswith(PACKAGE):
            return None

        def step(frame, _event, _argument):
            nonlocal last
            ways.add((code, last, frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return ways
