"""Units for one site that stand alone, for hosts without the templates: template and drop-in made one text."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from spyglass_systemd.protocols.unitfile import write
from spyglass_systemd.tools import runtime
from spyglass_systemd.tools.dropins import service
from spyglass_systemd.tools.listening import listening
from spyglass_systemd.tools.units import template

if TYPE_CHECKING:
    from spyglass_systemd.protocols.unitfile import Line
    from spyglass_systemd.tools.wanted import Wanted

_HEAD = """\
{what}, written by `spyglass render {typed}`. It stands alone and is
yours to change; the options of the app are in {config}. To use it:
    {make}cp spyglass-{name}* {units}
    systemctl {user}daemon-reload
    systemctl {user}enable --now {sockets}
"""
# Of these one more line is one more value; of all others the last one counts.
_NO_MANUAL = ("Unit", "Documentation", "")  # our manual pages come with the package
_LISTS = {"Environment", "EnvironmentFile", "LoadCredential", "LoadCredentialEncrypted"}


def render(wanted: Wanted) -> dict[str, str]:
    """The texts by the files' names. Raises ConfigError for what systemd could not listen on."""
    if not wanted.python and sys.prefix != sys.base_prefix:  # where we are installed, our runtime is
        wanted = replace(wanted, python=sys.executable)
    units = listening(wanted)
    files = {unit.unit: ("socket", unit.lines) for unit in units}
    files[wanted.site.service] = ("service", service(wanted, runtime.program(wanted.interpreter), units))
    sockets = " ".join(_alone(wanted, unit.unit) for unit in units)
    return {_alone(wanted, unit): _unit(wanted, kind, lines, sockets) for unit, (kind, lines) in files.items()}


def _unit(wanted: Wanted, kind: str, lines: tuple[Line, ...], sockets: str) -> str:
    user = wanted.site.places.user
    what = {"socket": "What the web app {} listens on", "service": "The web app {}"}[kind].format(wanted.site.name)
    head = _HEAD.format(
        what=what,
        name=wanted.site.name,
        typed=wanted.site.typed,
        config=wanted.site.config,
        units=wanted.site.places.units,
        make=f"mkdir -p {wanted.site.places.units} && " if user else "",
        user="--user " if user else "",
        sockets=sockets,
    )
    _, _, body = template(kind, user=user).partition("\n\n")  # its own head speaks of templates
    return write((), head) + "\n" + _alone(wanted, merged(body, (_NO_MANUAL, *lines)))


def _alone(wanted: Wanted, text: str) -> str:
    """A template's text, or a unit's name, as those of this one site."""
    name = wanted.site.name
    for old, new in (("spyglass@%i", f"spyglass-{name}"), ("%i", name), (f"spyglass@{name}", f"spyglass-{name}")):
        text = text.replace(old, new)
    return text.replace("spyglass@NAME", f"spyglass-{name}").replace("NAME", name)


def merged(text: str, lines: tuple[Line, ...]) -> str:
    """A unit file with the lines of a drop-in where they belong, in place of what they take back or say anew."""
    values: dict[tuple[str, str], list[str]] = {}
    for section, key, value in lines:
        values.setdefault((section, key), []).append(value)
    found: list[str] = []
    done: set[tuple[str, str]] = set()
    current = ""
    for line in [*text.rstrip("\n").splitlines(), "[]"]:
        place = current, line.partition("=")[0]
        if line.startswith("["):
            rest = [each for each in values if each[0] == current and each not in done]
            _add(found, [f"{each[1]}={value}" for each in rest for value in values[each] if value])
            current = line.strip("[]")
        elif place in values and place[1] not in _LISTS:
            if place not in done:
                while found and found[-1].startswith("#"):  # the reason for what is no longer there
                    found.pop()
                found += [f"{place[1]}={value}" for value in values[place] if value]
                done.add(place)
            continue
        found.append(line)
    return "\n".join(found[:-1]) + "\n"


def _add(found: list[str], lines: list[str]) -> None:
    """To the end of a section, before the blank lines that part it from the next."""
    blank = 0
    while blank < len(found) and not found[-1 - blank]:
        blank += 1
    found[len(found) - blank :] = [*lines, *found[len(found) - blank :]]
