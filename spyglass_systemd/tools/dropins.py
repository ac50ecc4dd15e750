"""What the units of a site say other than their templates, as the texts of drop-ins. Writes nothing, runs nothing."""

from __future__ import annotations

import os
from math import ceil
from typing import TYPE_CHECKING

from spyglass_systemd.protocols.unitfile import command, literal, write
from spyglass_systemd.tools import secrets
from spyglass_systemd.tools.listening import listening

if TYPE_CHECKING:
    from pathlib import Path

    from spyglass_systemd.protocols.unitfile import Line
    from spyglass_systemd.tools.listening import Listening
    from spyglass_systemd.tools.wanted import Wanted

FILE = "50-spyglass.conf"
_HEAD = """\
Written by `spyglass enable {typed}` from {config}: change that, and enable it again.
What you want otherwise goes into another file beside this one: `systemctl {user}edit {unit}`.
"""
_STOPPING = 40.0  # seconds, TimeoutStopSec= of the template
_AFTER_DRAIN = 15.0  # for the end of everybody, when all is answered or given up
_HOMES = ("/home", "/root")


def dropins(wanted: Wanted, program: tuple[str, ...]) -> dict[Path, str]:
    """The files and their texts; a unit without one is as its template has it.

    `program` is what stands between the interpreter and `serve`. Raises ConfigError, as `listening` does.
    """
    units = listening(wanted)
    texts = {unit.unit: unit.lines for unit in units} | {wanted.site.service: service(wanted, program, units)}
    return {wanted.site.dropins(unit) / FILE: _text(wanted, unit, lines) for unit, lines in texts.items() if lines}


def service(wanted: Wanted, program: tuple[str, ...], units: tuple[Listening, ...]) -> tuple[Line, ...]:
    """The lines for the .service unit."""
    site, settings = wanted.site, wanted.settings
    lines: list[tuple[str, str]] = []
    if len(units) > 1:
        lines.append(("Sockets", " ".join(unit.unit for unit in units)))
    if wanted.python or "-X" in program:
        serve = command(wanted.interpreter, *program, "serve", "--config", str(site.config), "--name", site.name)
        lines += [("ExecStart", ""), ("ExecStart", serve)]
    if wanted.user:
        lines += [("DynamicUser", "no"), ("User", literal(wanted.user))]
    lines += [(key, literal(value)) for key, value in secrets.lines(wanted)]
    if settings.drain + _AFTER_DRAIN > _STOPPING:
        lines.append(("TimeoutStopSec", str(ceil(settings.drain + _AFTER_DRAIN))))
    if not site.places.user and any(below_home(path) for path in wanted.paths):
        lines.append(("ProtectHome", "read-only"))
    return tuple(("Service", key, value) for key, value in lines)


def below_home(path: str) -> bool:
    """Whether ProtectHome= of the template hides it, or what it is a link to."""
    named = (path, os.path.realpath(path))
    return any(each == home or each.startswith(f"{home}/") for each in named for home in _HOMES)


def _text(wanted: Wanted, unit: str, lines: tuple[Line, ...]) -> str:
    user = "--user " if wanted.site.places.user else ""
    return write(lines, _HEAD.format(typed=wanted.site.typed, config=wanted.site.config, user=user, unit=unit))
