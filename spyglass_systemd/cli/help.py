"""Help for the command line: the list of verbs, and a page for each. Runs nothing."""

from __future__ import annotations

import shutil
import textwrap

from spyglass_systemd.cli.verbs import HEADINGS, VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.cli.flags import Flag

_OPENING = """\
Usage: spyglass VERB [OPTIONS] [ARGUMENTS]

A Python web app that nobody uses is not running, and nobody notices.
"""
_ENDING = "spyglass help VERB explains a verb."
_OF_AN_APP = """\
APP is module:attribute (blog.wsgi:application) or module:factory(){}. A SPAN is
seconds (90) or units (5min, 1h 30min, 250ms), off is never; a SIZE is bytes or units (64KiB, 1MiB).
"""
_OR_A_FILE = "; the file of --config may name it as well"
_OF_A_SITE = (
    "NAME is that of a site: its options are those of /etc/spyglass/NAME.toml, or below ~/.config with --user.\n"
)
_INDENT = 30


def overview() -> str:
    """Every verb with its summary."""
    width = max(map(len, VERBS))
    parts = [_OPENING]
    for heading in HEADINGS:
        verbs = [verb for verb in VERBS.values() if verb.heading == heading]
        if verbs:
            lines = (f"  {verb.name:<{width}}  {verb.summary}" for verb in verbs)
            parts.append("\n".join([f"{heading}:", *lines]) + "\n")
    return "\n".join([*parts, f"{_ENDING}\n"])


def page(name: str, columns: int = 0) -> str:
    """The help of one verb, `columns` wide (0: as wide as the terminal)."""
    columns = columns or min(shutil.get_terminal_size().columns, 120)
    verb = VERBS[name]
    parts = [f"Usage: spyglass {verb.usage}\n", _filled(verb.explanation(), columns)]
    flags = verb.flags()
    for group in dict.fromkeys(flag.group for flag in flags):
        rows = [_row(flag, columns) for flag in flags if flag.group == group]
        parts.append("\n".join([f"{group}:", *rows]) + "\n")
    if "APP" in verb.argument:
        has_file = any(flag.forms[0] == "--config" for flag in flags)
        parts.append(_filled(_OF_AN_APP.format(_OR_A_FILE if has_file else ""), columns))
    elif "NAME" in verb.argument:
        parts.append(_filled(_OF_A_SITE, columns))
    return "\n".join(parts)


def _row(flag: Flag, columns: int) -> str:
    text = " ".join(filter(None, (flag.help, flag.rest))).replace("`", "").removesuffix(".")
    text += f" (default {flag.default})." if flag.default else "."
    lines = textwrap.wrap(text, max(columns - _INDENT, _INDENT))
    start = f"  {flag.synopsis:<{_INDENT - 2}}"
    if len(start) > _INDENT:
        start = f"{start}\n{' ' * _INDENT}"
    return start + f"\n{' ' * _INDENT}".join(lines)


def _filled(text: str, columns: int) -> str:
    return "\n\n".join(textwrap.fill(paragraph, columns) for paragraph in text.strip().split("\n\n")) + "\n"
