"""Lines and tables on a terminal, in colour and as wide as it is; elsewhere plain, whole lines. Knows no verb."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def console() -> Console:
    """Where a verb shows things: stdout. NO_COLOR and TERM=dumb are heeded, no_color.org."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def line(out: Console, *parts: tuple[str, str]) -> None:
    """One line of (text, style) pairs; it may be wider than the terminal. What is in a text is shown as it is."""
    out.print(Text.assemble(*parts), soft_wrap=True)


def table(out: Console, rows: list[list[tuple[str, str]]]) -> None:
    """Rows of (text, style) cells in columns; a column in which nobody but the first row has anything is left out."""
    wanted = [at for at in range(len(rows[0])) if any(row[at][0] for row in rows[1:])]
    widths = {at: max(len(row[at][0]) for row in rows) for at in wanted}
    for row in rows:
        cells = [(f"{row[at][0]:<{widths[at]}}  " if at != wanted[-1] else row[at][0], row[at][1]) for at in wanted]
        line(out, *cells)


@contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """While something takes its time, a line on a terminal's stderr: what is waited for, and for how long by now."""
    began = time.monotonic()
    with Console(file=sys.stderr, highlight=False, markup=False).status(Text(f"{title} ...")) as spinner:
        yield lambda waits: spinner.update(Text(f"{title}: {waits}, {time.monotonic() - began:.0f} s"))
