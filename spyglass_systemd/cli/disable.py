"""`spyglass disable`: listen no more for a site, at no boot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.sites import alone, disable

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True, known=False)
def command(site: Site) -> None:
    """Stops listening for a site, ends its app, which answers what it has accepted, and takes the drop-ins back.

    Its file stays, and what it keeps; `spyglass remove` is for those.
    """
    with alone(site.places):
        was = disable(site)
    if was:
        click.echo(f"{site.name} listens no more.")
    else:
        site.places.known(site.name)
        click.echo(f"{site.name} was not enabled.")
