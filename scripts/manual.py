"""Write the man pages in packaging/man from the prose beside them and from the table of options; --check compares.

The prose is a little Markdown: `# NAME SECTION what it is`, `## SECTION`, paragraphs, `term :: explanation`, indented
examples, **bold**, *italic*, `literal`; `> ` before a term puts it below another one, `>> ` does that with a paragraph;
`{{...}}` stands for what a program knows better.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from generated import ROOT, settle

from spyglass_systemd import __version__
from spyglass_systemd.cli.flags import Flag, default_of, of_option
from spyglass_systemd.cli.verbs import HEADINGS, VERBS
from spyglass_systemd.protocols.journal import MESSAGE_IDS
from spyglass_systemd.words.table import ENABLE, FILE, GROUPS, LOOKOUT, OPTIONS, SERVE, Option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROSE = ROOT / "packaging" / "man"
_MARKS = re.compile(r"\*\*(.+?)\*\*|\*(.+?)\*|`(.+?)`|(\b[\w@.]+)(?=\(\d\))")


def page(prose: str) -> str:
    """A man page, man(7)."""
    title, _, body = prose.partition("\n")
    name, section, what = title.removeprefix("# ").split(" ", 2)
    for key, fill in FILLS.items():
        if f"{{{{{key}}}}}" in body:
            body = body.replace(f"{{{{{key}}}}}", fill())
    roff = [
        '.\\" Written by scripts/manual.py from the .md file beside it: change it there.',
        f'.TH {name.upper()} {section} "" "spyglass-systemd {__version__}" ""',
        ".SH NAME",
        f"{_escape(name)} \\- {_escape(what)}",
    ]
    for block in re.split(r"\n\n+", body.strip()):
        roff += _block(block)
    return "\n".join(roff) + "\n"


def _block(block: str) -> Iterable[str]:
    if block.startswith("## "):
        return [f'.SH "{block[3:]}"']
    if block.startswith("### "):
        return [f'.SS "{block[4:]}"']
    if block.startswith("    "):
        lines = [_line(_escape(line[4:])) for line in block.split("\n")]
        return [".PP", ".RS 4", ".EX", *lines, ".EE", ".RE"]
    if block.startswith(">> "):
        return [".IP", _line(_marked(block[3:]))]
    if block.startswith("> "):
        return [".RS", *_block(block[2:]), ".RE"]
    term, colons, text = block.partition(" :: ")
    if colons:
        plain = "`" not in term and "*" not in term
        return [".TP", _line(f"\\fB{_escape(term)}\\fR" if plain else _marked(term)), _line(_marked(text))]
    return [".PP", _line(_marked(block))]


def _marked(text: str) -> str:
    """With fonts for what is marked, and one line for a paragraph."""
    text = " ".join(text.split())
    parts, at = [], 0
    for match in _MARKS.finditer(text):
        parts.append(_escape(text[at : match.start()]))
        font = "I" if match[2] else "B"
        parts.append(f"\\f{font}{_escape(next(group for group in match.groups() if group))}\\fR")
        at = match.end()
    return "".join([*parts, _escape(text[at:])])


def _escape(text: str) -> str:
    for plain, roff in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("^", "\\(ha"), ("~", "\\(ti"), ("`", "\\(ga")):
        text = text.replace(plain, roff)
    return text.replace("±", "\\(+-").replace("§", "section ")


def _line(text: str) -> str:
    """A line that begins with a dot is a request, unless something invisible stands before it."""
    return f"\\&{text}" if text.startswith(".") else text


# ### What is filled in


def _usages() -> str:
    return "\n\n".join(f"**spyglass {verb.name}**{_emphasized(verb.usage)}" for verb in VERBS.values())


def _emphasized(usage: str) -> str:
    """What follows the verb in its line of usage, with what stands for something in italics."""
    _, _, rest = usage.partition(" ")
    return " " + re.sub("([A-Z]+)", r"*\1*", rest) if rest else ""


def _verbs() -> str:
    """Each verb with what it does and its options; those of `serve` and `lookout` have a section of their own."""
    blocks = []
    for heading in HEADINGS:
        verbs = [verb for verb in VERBS.values() if verb.heading == heading]
        blocks += [f"### {heading}"] if verbs else []
        for verb in verbs:
            first, *more = verb.explanation().split("\n\n")
            blocks.append(f"**{verb.name}**{_emphasized(verb.usage)} :: {first}")
            blocks += [f">> {paragraph}" for paragraph in more]
            if verb.name not in {SERVE, LOOKOUT}:
                blocks += [
                    f"> {flag.synopsis} :: {_of_flag(flag)}" for flag in verb.flags() if flag.group not in GROUPS
                ]
            if any(flag.group in GROUPS for flag in verb.flags()) and verb.name not in {SERVE, LOOKOUT}:
                blocks.append(
                    ">> And every key of **spyglass.toml**(5) but `app`, `listeners` and `screen`, as a flag: `-` "
                    "for `_`, `--user-name` for `user`."
                )
    return "\n\n".join(blocks)


def _of_flag(flag: Flag) -> str:
    parts = [flag.help, *filter(None, [flag.rest])]
    if flag.default:
        parts.append(f"(Default: `{flag.default}`)")
    return " ".join(parts)


def _options() -> str:
    return _grouped(
        lambda option: bool({SERVE, LOOKOUT} & set(option.places)),
        lambda option: of_option(option).synopsis + ("" if SERVE in option.places else " (lookout only)"),
    )


def _keys() -> str:
    return _grouped(
        lambda option: FILE in option.places,
        lambda option: f"{option.key} = {_kind(option)}",
        site="NAME",
    )


def _grouped(wanted: Callable[[Option], bool], term: Callable[[Option], str], site: str = "") -> str:
    blocks = []
    for group in GROUPS:
        options = [option for option in OPTIONS.values() if option.group == group and option.help and wanted(option)]
        if options:
            blocks.append(f"### {group}")
            blocks += [f"{term(option)} :: {_explanation(option, site)}" for option in options]
    return "\n\n".join(blocks)


def _explanation(option: Option, site: str) -> str:
    parts = [option.help]
    if words := getattr(option.parse, "words", ()):
        parts.append(f"One of {', '.join(f'`{word}`' for word in words)}.")
    if isinstance(option.default, tuple):
        parts.append("May be given several times.")
    if default := default_of(option, site):
        parts.append(f"(Default: `{default}`)")
    if ENABLE in option.places:
        parts.append("**spyglass serve** accepts the key and does nothing with it.")
    return " ".join(parts)


def _kind(option: Option) -> str:
    if isinstance(option.default, dict):
        return "table"
    if option.metavar == "TABLE":
        return "list of tables"
    if isinstance(option.default, tuple):
        return f"list of {option.metavar}"
    return option.metavar or "true|false"


def _dropins() -> str:
    blocks = []
    for path in sorted((ROOT / "units" / "dropins").glob("*.conf")):
        lines = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
        blocks.append(f"{path.name} :: {' '.join(lines)}")
    return "\n\n".join(blocks)


def _events() -> str:
    return ", ".join(f"`{name}`" for name in MESSAGE_IDS)


FILLS: dict[str, Callable[[], str]] = {
    "usages": _usages,
    "verbs": _verbs,
    "options": _options,
    "keys": _keys,
    "dropins": _dropins,
    "events": _events,
}

if __name__ == "__main__":
    sources = sorted(PROSE.glob("*.md"))
    sys.exit(settle({f"packaging/man/{path.stem}": page(path.read_text()) for path in sources}))
