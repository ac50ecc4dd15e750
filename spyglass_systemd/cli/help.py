"""Help for the command line, written from the table of options. Runs nothing."""

from __future__ import annotations

import shutil
import textwrap

from spyglass_systemd.words.spans import format_span
from spyglass_systemd.words.table import GROUPS, OPTIONS, Option
from spyglass_systemd.words.values import switch

OVERVIEW = """\
Usage: spyglass VERB [OPTIONS] [APP]

A Python web app that nobody uses is not running, and nobody notices.

Verbs:
  lookout   Listen, and run APP only while somebody uses it: for laptops, containers, CI.
  serve     Serve APP on the listeners that systemd, or a lookout, passes.
  version   Say which version this is.
  help      Explain a verb: spyglass help lookout.
"""
VERBS = {
    "lookout": """\
Usage: spyglass lookout [OPTIONS] APP

Listens. The first connection starts APP; after --idle without activity it is gone again, and the Lookout listens on.
Every option but --listen goes to `spyglass serve`.
""",
    "serve": """\
Usage: spyglass serve [OPTIONS] APP

Serves APP on the listeners that systemd or `spyglass lookout` passes, and exits when nobody needs it any more. This is
what the ExecStart= of a .service unit says; it opens no listener by itself.
""",
}
_EPILOGUE = """\
APP is module:attribute (blog.wsgi:application) or module:factory(); the file of --config may name it as well. A SPAN is
seconds (90) or units (5min, 1h 30min, 250ms), off is never; a SIZE is bytes or units (64KiB, 1MiB).
"""
_INDENT = 30


def command_help(command: str, columns: int = 0) -> str:
    """The help of one verb that has options, `columns` wide (0: as wide as the terminal)."""
    columns = columns or min(shutil.get_terminal_size().columns, 120)
    parts = [_filled(VERBS[command], columns)]
    for group in GROUPS:
        rows = [row for row in OPTIONS.values() if row.group == group and row.help and command in row.places]
        if rows:
            parts.append("\n".join([f"{group}:", *(_row(row, columns) for row in rows)]) + "\n")
    parts.append(_filled(_EPILOGUE, columns))
    return "\n".join(parts)


def synopsis(option: Option) -> str:
    """The flag with its value: `--idle SPAN`, `--[no-]preload`."""
    if option.parse is switch:
        return option.flag.replace("--", "--[no-]", 1)
    return f"{option.flag} {option.metavar}"


def default_of(option: Option) -> str:
    """The default as one writes it; "" for none."""
    value = option.default
    if value is None:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_span(value)
    if isinstance(value, int):
        return _size(value) if option.metavar == "SIZE" else str(value)
    return value if isinstance(value, str) else " ".join(value) if isinstance(value, tuple) else ""


def _size(size: int) -> str:
    if size % 2**20 == 0:
        return f"{size // 2**20}MiB"
    return str(size) if size % 2**10 else f"{size // 2**10}KiB"


def _row(option: Option, columns: int) -> str:
    default = default_of(option)
    text = option.help.replace("`", "").removesuffix(".") + (f" (default {default})." if default else ".")
    lines = textwrap.wrap(text, max(columns - _INDENT, _INDENT))
    return f"  {synopsis(option):<{_INDENT - 2}}" + f"\n{' ' * _INDENT}".join(lines)


def _filled(text: str, columns: int) -> str:
    return "\n\n".join(textwrap.fill(paragraph, columns) for paragraph in text.split("\n\n")) + "\n"
