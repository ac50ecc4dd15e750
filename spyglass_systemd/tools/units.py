"""The template units as they are shipped with the package, and where they are installed. Changes none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from spyglass_systemd.words.errors import ManagerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.wanted import Wanted

SHIPPED = Path(__file__).parent.parent / "units"
_TEMPLATES = "spyglass@.socket", "spyglass@.service"


def template(kind: str, *, user: bool) -> str:
    """The text of the template of a `socket` or a `service`, the system's or a user's."""
    return (SHIPPED / ("user" if user else "") / f"spyglass@.{kind}").read_text(encoding="utf-8")


def installed(wanted: Wanted) -> Iterator[str]:
    """A check: systemd has the templates."""
    places = wanted.site.places
    for name in _TEMPLATES:
        if not any((directory / name).is_file() for directory in places.packaged):
            raise ManagerError(
                f"systemd has no {name} on this machine",
                hint="the Debian package spyglass-systemd brings it; without that, "
                f"`spyglass render {wanted.site.typed} --to DIR` writes units that stand alone",
            )
    yield from ()
