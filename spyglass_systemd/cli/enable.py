"""`spyglass enable`: check a site, and listen for it from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.sites import Enabling
from spyglass_systemd.tools.switch import manager_of

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
@click.option("--dry-run", is_flag=True, help="Check, show the drop-ins that would change, and change nothing.")
def command(site: Site, *, dry_run: bool) -> None:
    """Checks whether a site can work, writes drop-ins for its units, and listens, now and from each boot on.

    The app is started by the first connection. Where something fails, everything is as it was before. A second time it
    takes what has changed in the file: other listeners are there at once, for which the app ends and is started by the
    next connection; the rest is in force from the next wake on, or after `spyglass restart`.
    """
    enabling = Enabling(site)
    for remark in enabling.remarks:
        click.echo(f"Note: {remark}", err=True)
    if dry_run:
        click.echo(enabling.change.diff() or "No drop-in would change.\n", nl=False)
        return
    if enabling.is_done:
        click.echo(f"{site.name} is enabled, and its units are as its file has them.")
    else:
        enabling.run()
        click.echo(f"{site.name} listens on {', '.join(enabling.addresses)}")
    if manager_of(site).is_active(site.service):
        user = " --user" if site.places.user else ""
        click.echo(f"It is awake, with the options it woke with: spyglass restart {site.name}{user}")
