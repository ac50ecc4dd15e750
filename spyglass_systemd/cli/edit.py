"""`spyglass edit`: change the file of a site, and never leave one that makes no sense."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.changes import write
from spyglass_systemd.tools.listening import listening
from spyglass_systemd.tools.sites import Enabling
from spyglass_systemd.tools.switch import manager_of
from spyglass_systemd.tools.wanted import read
from spyglass_systemd.words.errors import SpyglassError, UsageError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
def command(site: Site) -> None:
    """Opens a copy of a site's file in $VISUAL or $EDITOR, checks it, and puts it in the place of the file.

    Where it makes no sense, you are asked whether to edit it again. Where the site is enabled and its units would
    change, you are asked whether to do what `spyglass enable` does.
    """
    old = site.config.read_text(encoding="utf-8")
    new = _edited(site, old)
    if new == old:
        click.echo("Nothing has changed.")
        return
    write(site.config, new)
    click.echo(f"{site.config} is written.")
    manager = manager_of(site)
    if not manager.is_enabled(site.socket):
        click.echo(f"Next: spyglass enable {site.typed}")
        return
    enabling = Enabling(site)
    if not enabling.is_done:
        if not _agreed("Its units change: enable it again now?"):
            click.echo(f"Next: spyglass enable {site.typed}")
            return
        enabling.run()
        click.echo(f"{site.name} listens on {', '.join(enabling.addresses)}")
    if manager.is_active(site.service):
        click.echo(f"It is awake, with the options it woke with: spyglass restart {site.typed}")


def _agreed(question: str) -> bool:
    """Whether somebody says yes, or nothing but Enter; who is not there says no."""
    try:
        return click.confirm(question, default=True)
    except click.Abort:
        click.echo()  # the question waits on its line
        return False


def _edited(site: Site, text: str) -> str:
    """What the person makes of it, which makes sense. Raises UsageError where it is given up."""
    with TemporaryDirectory(prefix="spyglass-") as directory:
        copy = replace(site.places, config=Path(directory)).site(site.name)
        copy.config.write_text(text, encoding="utf-8")
        while True:
            click.edit(filename=os.fspath(copy.config))
            try:
                listening(read(copy))
            except SpyglassError as error:
                click.echo(str(error).replace(str(copy.config), str(site.config)), err=True)
                if not _agreed("Edit it again?"):
                    raise UsageError(f"{site.config} is left as it was") from None
            else:
                return copy.config.read_text(encoding="utf-8")
