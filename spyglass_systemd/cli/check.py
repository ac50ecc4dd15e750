"""`spyglass check`: import an app as its Template would, and say how that went."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import places_of
from spyglass_systemd.tools import importing, wanted
from spyglass_systemd.words.errors import UsageError

if TYPE_CHECKING:
    from typing import NoReturn

_PROGRAM = os.path.join(os.path.dirname(os.path.dirname(__file__)), "__main__.py")


@_command
@click.argument("target", metavar="NAME|APP", required=False, default="")
@click.option("--config", metavar="FILE", default="", help="Check the app of this file, here and now, without a site.")
@click.option("--chdir", metavar="DIR", default="", help="Enter this directory before APP is imported.")
@click.option("--user", is_flag=True, help="Sites of your own service manager (systemctl --user).")
def command(*, target: str, config: str, chdir: str, user: bool) -> int:
    """Imports an app exactly as it will be imported when it wakes.

    It says of what kind the app is, how long that took, and which threads were left behind; where it fails, the
    traceback from the app's first frame on, and what to try.

    Of a site, NAME, this happens as its user, in its sandbox, with its Python; nothing of it is run as root. With APP
    (module:attribute) or --config it happens here, for whoever develops it.

    The exit status is 0, 69 where the app does not load, 78 where its configuration is wrong.
    """
    if config or ":" in target:
        if config and target and ":" not in target:
            raise UsageError(f"{target} is a site, and has a file of its own", hint="leave out --config, or the name")
        _check_here([*([f"--config={config}"] if config else []), *([f"--chdir={chdir}"] if chdir else [])], target)
    if not target:
        raise UsageError("there is nothing to check", hint="name a site, an APP (module:attribute), or --config FILE")
    if chdir:
        raise UsageError("--chdir is for an APP", hint="of a site it is a line of its file")
    places = places_of(user=user)
    site = places.known(target)
    places.check_rights()
    asked = wanted.read(site)
    for remark in importing.examine(asked):
        sys.stdout.write(f"{remark}\n")
    return 0


def _check_here(flags: list[str], app: str) -> NoReturn:
    """In a fresh interpreter, as the Template has it."""
    os.execv(sys.executable, [sys.executable, "-P", _PROGRAM, "trial", *flags, *([app] if app else [])])  # noqa: S606  # no shell is wanted
