"""`spyglass run`: a program in the place of a site's app."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools import sandbox, surroundings, wanted

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site

_SHELL = ("/bin/bash",)


@_command
@of_a_site(changes=True)
@click.argument("words", metavar="-- COMMAND", nargs=-1, type=click.UNPROCESSED)
def command(site: Site, *, words: tuple[str, ...]) -> int:
    """Runs COMMAND as the app of a site would be run; without one, a shell.

    That is: as its user, in its sandbox, with its directories and credentials, in its `chdir`, with its `environment`,
    and with its Python first on the PATH: `spyglass run blog -- python3 manage.py migrate`.

    COMMAND is on your terminal, or on your pipes, and its exit status is passed on. The app need not be awake, and is
    not woken. One that is awake shares its directory in /var/lib with COMMAND, but not its /tmp.
    """
    asked = wanted.read(site)
    box = surroundings.sandbox_of(asked)
    done = box.run(
        words or _SHELL, environment=surroundings.environment(asked), directory=surroundings.directory(asked)
    )
    what, hint = sandbox.cause(done.returncode, box)
    if what:  # or it is the program's own status
        sys.stderr.write(f"spyglass: status {done.returncode}; of systemd it means: {what}\n  {hint}\n")
    return done.returncode
