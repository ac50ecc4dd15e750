"""Samples into figures, figures into tables and files. Measures nothing."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from typing import TYPE_CHECKING

from places import RESULTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def median(samples: Sequence[float]) -> float:
    """The median, NaN of nothing."""
    return statistics.median(samples) if samples else float("nan")


def p90(samples: Sequence[float]) -> float:
    """The 90th percentile: the nearest rank."""
    return sorted(samples)[min(len(samples) - 1, int(0.9 * len(samples)))] if samples else float("nan")


def paired(samples: dict[int, float], base: dict[int, float]) -> list[float]:
    """The ratio in each round in which both were measured: what the machine did to a whole round cancels out."""
    return [samples[number] / base[number] for number in sorted(samples.keys() & base.keys())]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with columns of one width."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def save(name: str, figures: dict[str, object]) -> Path:
    """Keep `figures` as JSON, with what they were measured on."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    machine = {"python": platform.python_version(), "kernel": platform.release(), "machine": platform.machine()}
    path.write_text(json.dumps({"machine": machine, **figures}, indent=1) + "\n")
    return path


def say(text: str) -> None:
    """Progress, beside the result and not in it."""
    print(text, file=sys.stderr, flush=True)
