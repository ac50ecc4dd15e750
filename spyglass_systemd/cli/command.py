"""How a verb about sites is made a click command, and how one is run. Knows no verb.

A verb is a file cli/NAME.py with a function under `@command`, called `command`, and a line in cli/verbs.py:

    @command
    @of_a_site(changes=True)
    @click.option("--dry-run", is_flag=True, help="Show what would be done.")
    def command(site: Site, *, dry_run: bool) -> int | None:
        '''What it does, in paragraphs: its help.'''

It prints to stdout what was asked for, raises SpyglassError for the rest, and returns an exit code or None for 0.
"""

from __future__ import annotations

import functools
import inspect
import os
from typing import TYPE_CHECKING, Any

import click

from spyglass_systemd.protocols.systemctl import Systemctl
from spyglass_systemd.tools.places import Places, of_system, of_user
from spyglass_systemd.words.errors import UsageError
from spyglass_systemd.words.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

HELP = "-h", "--help"


class Command(click.Command):
    """A verb's command; its help looks like that of all verbs."""

    @property
    def text(self) -> str:
        """What it does, in paragraphs."""
        return inspect.cleandoc(self.help or "")

    def get_help(self, ctx: click.Context) -> str:
        """See cli/help.py."""
        from spyglass_systemd.cli.help import page  # noqa: PLC0415  # help knows all verbs

        return page(str(ctx.command.name)).rstrip()


def command(function: Callable[..., int | None]) -> Command:
    """Make a verb of a function. Its name is that of its module."""
    name = function.__module__.rpartition(".")[2].replace("_", "-")
    return click.command(name, cls=Command, context_settings={"help_option_names": list(HELP)})(function)


def of_a_site(*, changes: bool, known: bool = True) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """For a verb about one site: adds NAME and `--user`, and gives the function a `Site` first.

    `changes`: it takes the rights to change one. `known`: the site must have its configuration file.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        @of_sites(changes=changes)
        @click.argument("name", metavar="NAME")
        @functools.wraps(function)
        def call(places: Places, name: str, **rest: Any) -> int | None:
            return function(places.known(name) if known else places.site(name), **rest)

        return call

    return decorate


def of_sites(*, changes: bool) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """For a verb about sites in general: adds `--user`, and gives the function their `Places` first."""

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        @click.option("--user", is_flag=True, help="Sites of your own service manager (systemctl --user).")
        @functools.wraps(function)
        def call(*, user: bool, **rest: Any) -> int | None:
            places = places_of(user=user)
            if changes:
                places.check_rights()
            return function(places, **rest)

        return call

    return decorate


def places_of(*, user: bool) -> Places:
    """Those of the system or those of whoever runs us."""
    if not user:
        return of_system()
    return of_user(os.environ, os.getuid(), Systemctl(user=True).version())


def run(verb: Command, argv: list[str]) -> int:
    """Run it; its exit code. Raises UsageError where `argv` is wrong, and whatever the verb raises."""
    try:
        return int(verb.main(argv, prog_name=f"spyglass {verb.name}", standalone_mode=False) or 0)
    except click.exceptions.NoSuchOption as error:
        known = [form for option in verb.params for form in option.opts if form.startswith("--")]
        near = nearest(error.option_name, known)
        hint = f"did you mean {near}?" if near else f"see spyglass {verb.name} --help"
        raise UsageError(f"there is no option {error.option_name}", hint=hint) from None
    except click.ClickException as error:
        said = error.format_message().rstrip(".")
        raise UsageError(said[:1].lower() + said[1:], hint=f"see spyglass {verb.name} --help") from None
    except click.Abort:
        raise KeyboardInterrupt from None
