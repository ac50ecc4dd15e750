"""`spyglass enable`: check a site, and listen for it from now on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools import bytecode, installing, surroundings
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.tools.sites import Enabling, alone
from spyglass_systemd.tools.switch import manager_of
from spyglass_systemd.tools.wanted import read
from spyglass_systemd.words.errors import UsageError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
@click.option("--dry-run", is_flag=True, help="Check, show the drop-ins that would change, and change nothing.")
@click.option("--install", is_flag=True, help="First install our runtime into the virtual environment of `python`.")
@click.option("--find-links", metavar="DIR", multiple=True, help="For --install: from here, and from no index.")
def command(site: Site, *, dry_run: bool, install: bool, find_links: tuple[str, ...]) -> None:
    """Checks whether a site can work, writes drop-ins for its units, and listens, now and from each boot on.

    The app is started by the first connection. Where something fails, everything is as it was before. A second time it
    takes what has changed in the file: other listeners are there at once, for which the app ends and is started by the
    next connection; the rest is in force from the next wake on, or after `spyglass restart`.

    The check imports the app in its sandbox, as its user, see `spyglass check`. With --install its virtual environment
    gets the runtime of this very version before, by its own pip and as its owner; what that needs comes from the
    package index, or from the wheels in --find-links DIR. Byte code that is missing is made, as the owner of the code.
    """
    if install:
        _install(site, find_links, dry_run=dry_run)
    elif find_links:
        raise UsageError("--find-links says where --install takes from", hint="add --install")
    with alone(site.places):
        _enable(site, dry_run=dry_run)


def _enable(site: Site, *, dry_run: bool) -> None:
    enabling = Enabling(site)
    for remark in enabling.remarks:
        click.echo(f"Note: {remark}", err=True)
    if dry_run:
        click.echo(enabling.change.diff() or "No drop-in would change.\n", nl=False)
        return
    if enabling.is_done:
        click.echo(f"{site.name} is enabled, and its units are as its file has them.")
    else:
        for remark in bytecode.refresh(surroundings.sources(enabling.wanted), look(enabling.wanted.interpreter)):
            click.echo(f"Note: {remark}", err=True)
        enabling.run()
        click.echo(f"{site.name} listens on {', '.join(enabling.addresses)}")
    if manager_of(site).is_active(site.service):
        user = " --user" if site.places.user else ""
        click.echo(f"It is awake, with the options it woke with: spyglass restart {site.name}{user}")


def _install(site: Site, links: tuple[str, ...], *, dry_run: bool) -> None:
    if dry_run:
        raise UsageError("--dry-run changes nothing, and --install does", hint="leave out one of them")
    wanted = read(site)
    version = installing.install(wanted.interpreter, wanted.settings.kind, links)
    click.echo(f"{look(wanted.interpreter).venv} has spyglass-systemd {version}")
