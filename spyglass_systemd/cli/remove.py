"""`spyglass remove`: a site is no more, and what it kept only if that is meant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.sites import alone, disable
from spyglass_systemd.tools.switch import manager_of
from spyglass_systemd.words.errors import UsageError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
@click.option("--purge", is_flag=True, help="Remove what the app has kept as well: its state, cache and logs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(site: Site, *, purge: bool, yes: bool) -> int:
    """Disables a site and removes its file; what the app has kept stays unless --purge is given."""
    kept = [str(path) for path in (site.state, site.cache, site.logs) if path.exists()]
    if not yes:
        what = [str(site.config), *(kept if purge else [])]
        try:
            sure = click.confirm(f"Remove {', '.join(what)}?")
        except click.Abort:
            if sys.stdin.isatty():
                raise
            click.echo()  # the question waits on its line
            raise UsageError("nobody is there to say yes", hint="--yes removes without asking") from None
        if not sure:
            click.echo("Nothing is removed.")
            return 1
    with alone(site.places):
        disable(site)
        if purge and kept:
            manager_of(site).do("clean", "--what=state", "--what=cache", "--what=logs", "--", site.service)
        site.config.unlink()
    click.echo(f"{site.name} is removed.")
    if kept and not purge:
        clean = f"systemctl {'--user ' if site.places.user else ''}clean --what=all {site.service}"
        click.echo(f"What it kept is in {', '.join(kept)}; `{clean}` removes that.")
    return 0
