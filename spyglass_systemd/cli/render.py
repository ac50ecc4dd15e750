"""`spyglass render`: units of one site for a host that has not our package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.changes import write
from spyglass_systemd.tools.rendering import render
from spyglass_systemd.tools.wanted import read

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=False)
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Write them into this directory; files of the same names are written over.",
)
def command(site: Site, *, directory: Path) -> None:
    """Writes the units of a site so that they stand alone, with comments, for hosts without the Debian package.

    They need our runtime where the app's Python finds it, and nothing else of ours.
    """
    for name, text in render(read(site)).items():
        write(directory / name, text)
        click.echo(directory / name)
