"""The file of a new site: every option with its meaning and its default, and what was asked for. Writes no file."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import toml
from spyglass_systemd.words.shown import shown
from spyglass_systemd.words.table import FILE, GROUPS, OPTIONS, Option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spyglass_systemd.tools.places import Site

_HEAD = """\
# The site {name}: its app, and how it is run. spyglass.toml(5) explains the values.
#
# A line that begins with # shows the default, take the # away to say otherwise. After a change:
#
#     {enable}     takes what stands under Listeners and Units, and asks whether the rest can work
#     {restart}    takes the rest at once; without it the next wake does
"""
_WIDTH = 118
_EXAMPLES = {  # of what has no default that one could write
    "environment": toml.table("environment", {"NAME": "value"}),
    "credentials": toml.table("credentials", {"NAME": "/etc/spyglass/NAME.secret"}),
    "screen": toml.table("[screen]", {"path": ["/healthz", "/wp-*"], "status": 404, "text": "Not here."}),
    "listeners": toml.table("listeners.admin", {"app": "blog.admin:app", "kind": "auto", "root_path": ""}),
}


def draft(site: Site, given: Mapping[str, object]) -> str:
    """The text of the file, with the values of `given`, by key, as the table of options makes them."""
    user = " --user" if site.places.user else ""
    commands = (f"spyglass {verb} {site.name}{user}" for verb in ("enable", "restart"))
    parts = [_HEAD.format(name=site.name, **dict(zip(("enable", "restart"), commands, strict=True)))]
    rows = [row for row in OPTIONS.values() if FILE in row.places and row.key != "name"]  # it has its name
    for group in GROUPS:
        blocks = [_block(site, row, given) for row in rows if row.group == group and not _is_table(row)]
        if blocks:
            parts.append("\n\n".join([f"# ### {group}", *blocks]) + "\n")
    tables = [_table(row, given) for row in rows if _is_table(row)]
    parts.append("\n\n".join(["# ### Tables, which end the file", *tables]) + "\n")
    return "\n".join(parts)


def _block(site: Site, row: Option, given: Mapping[str, object]) -> str:
    told = row.key in given
    value = given[row.key] if told else _default(site, row)
    line = toml.assignment(row.key, _written(row, value))
    return f"{_meaning(row)}\n{line if told else f'#{line}'}"


def _is_table(row: Option) -> bool:
    """Whether a person writes it as one, or as several: `[environment]`, `[[screen]]`."""
    return isinstance(row.default, dict) or row.key in _EXAMPLES


def _table(row: Option, given: Mapping[str, object]) -> str:
    values = given.get(row.key)
    if isinstance(values, dict) and values:
        return f"{_meaning(row)}\n{toml.table(row.key, values)}"
    example = _EXAMPLES.get(row.key) or toml.table(row.key, {"NAME": "value"})
    return "\n".join([_meaning(row), *(f"#{line}" for line in example.splitlines())])


def _default(site: Site, row: Option) -> object:
    """What holds for a site where its file says nothing."""
    if row.key == "listen":
        return (f"unix:{site.path}",)
    return row.default


def _written(row: Option, value: object) -> object:
    """The value for TOML: text where a person writes one."""
    if isinstance(value, tuple):
        return [shown(row, each) for each in value]
    text = shown(row, value)
    return value if isinstance(value, bool) or str(value) == text else text


def _meaning(row: Option) -> str:
    words = getattr(row.parse, "words", ())
    text = row.help + (f" One of {', '.join(words)}." if words else "")
    return "\n".join(f"# {line}" for line in textwrap.wrap(text, _WIDTH))
