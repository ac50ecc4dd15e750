"""Lines and tables on a terminal, in colour and as wide as it is; elsewhere plain, whole lines. Knows no verb."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.text import Text


def console() -> Console:
    """Where a verb shows things: stdout. NO_COLOR and TERM=dumb are heeded, no_color.org."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)


def line(out: Console, *parts: tuple[str, str]) -> None:
    """One line of (text, style) pairs; it may be wider than the terminal. What is in a text is shown as it is."""
    out.print(Text.assemble(*parts), soft_wrap=True)
