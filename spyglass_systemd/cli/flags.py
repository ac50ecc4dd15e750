"""A flag as help, the man page and completions show it, from the table of options or from a click option."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from spyglass_systemd.words.shown import shown
from spyglass_systemd.words.table import GROUPS, OPTIONS, Option
from spyglass_systemd.words.values import switch

if TYPE_CHECKING:
    import click

OPTIONS_OF_A_VERB = "Options"


@dataclass(frozen=True)
class Flag:
    """One flag. `forms` are its spellings, the second one of a switch turns it off; `metavar` is "" for a switch.

    `default` is as one writes it. `words` are what its value can be, if there are few; `many`: it may be repeated.
    `short` is its short spelling, where it has one; `needed`: the verb does nothing without it.
    """

    group: str
    forms: tuple[str, ...]
    metavar: str
    help: str
    default: str = ""
    words: tuple[str, ...] = ()
    many: bool = False
    short: str = ""
    needed: bool = False

    @property
    def rest(self) -> str:
        """What there is to say of its value beyond `help`."""
        one_of = f"One of {', '.join(self.words)}." if self.words else ""
        return " ".join(filter(None, (one_of, "May be given several times." if self.many else "")))

    @property
    def synopsis(self) -> str:
        """With its value: `--idle SPAN`, `--[no-]preload`."""
        if len(self.forms) > 1:
            return self.forms[0].replace("--", "--[no-]", 1)
        short = f"{self.short}, " if self.short else ""
        return f"{short}{self.forms[0]} {self.metavar}".strip()

    @property
    def completes(self) -> str:
        """What its value is that a shell can complete: a word, a file or a directory; "" for anything else."""
        if self.words:
            return "word"
        return {"DIR": "directory", "FILE": "file"}.get(self.metavar, "")


def of_option(option: Option) -> Flag:
    """The flag of an option of the table."""
    is_switch = option.parse is switch
    return Flag(
        group=option.group,
        forms=(option.flag, option.flag.replace("--", "--no-", 1)) if is_switch else (option.flag,),
        metavar="" if is_switch else option.metavar,
        help=option.help,
        default=default_of(option),
        words=tuple(getattr(option.parse, "words", ())),
        many=isinstance(option.default, tuple | dict),
    )


def of_options(command: str) -> list[Flag]:
    """The flags of `serve` or `lookout`, by the headings of the table."""
    rows = [option for option in OPTIONS.values() if option.help and command in option.places]
    return [of_option(option) for group in GROUPS for option in rows if option.group == group]


def of_command(command: click.Command) -> list[Flag]:
    """The flags of a click command. An option made from a row of the table has that row as `row`."""
    import click  # noqa: PLC0415  # serve and lookout are explained without it

    found = []
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or parameter.hidden:
            continue
        row = getattr(parameter, "row", None)
        if row is not None:
            found.append(replace(of_option(row), default=default_of(row, site="NAME")))
            continue
        words = tuple(parameter.type.choices) if isinstance(parameter.type, click.Choice) else ()
        found.append(
            Flag(
                group=OPTIONS_OF_A_VERB,
                forms=tuple(form for form in (*parameter.opts, *parameter.secondary_opts) if form.startswith("--")),
                metavar="" if parameter.is_flag else parameter.metavar or "VALUE",
                help=parameter.help or "",
                default=str(parameter.default) if parameter.show_default else "",
                words=words,
                many=parameter.multiple,
                needed=parameter.required,
                short=next((form for form in parameter.opts if not form.startswith("--")), ""),
            )
        )
    return found


def default_of(option: Option, site: str = "") -> str:
    """The default as one writes it, of a lookout or of a `site`; "" for none."""
    if site and option.key == "listen":
        return f"unix:/run/spyglass/{site}.sock"
    value = option.default
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if isinstance(value, dict) else shown(option, value)
