"""`spyglass new`: write the file of a new site, with every option in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools.changes import write
from spyglass_systemd.tools.drafts import draft
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import UsageError
from spyglass_systemd.words.table import FILE, OPTIONS, Option
from spyglass_systemd.words.values import app as app_of
from spyglass_systemd.words.values import switch

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site

_ELSEWHERE = {"app", "name", "listeners", "screen"}  # an argument, the site's name, and tables that no flag can say
_ROWS = [row for row in OPTIONS.values() if FILE in row.places and row.key not in _ELSEWHERE]
_VENVS = ("venv", ".venv", "env")
_PREFIX = "row_"  # of a parameter, so that the option `user` of the table is another one than the flag --user


class _Value(click.ParamType):  # type: ignore[type-arg]  # the releases of Debian have no argument here
    """Text that the table makes a value of. It stays text: the value of `off` is None, click's word for not given."""

    def __init__(self, row: Option) -> None:
        self.name = row.metavar
        self._row = row

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            self._row.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return value


class RowOption(click.Option):
    """A flag made from a row of the table of options."""

    def __init__(self, row: Option) -> None:
        self.row = row
        name = _PREFIX + row.key
        if row.parse is switch:
            super().__init__([name, f"{row.flag}/{row.flag.replace('--', '--no-', 1)}"], default=None, help=row.help)
        else:
            many = isinstance(row.default, tuple | dict)
            super().__init__([name, row.flag], type=_Value(row), metavar=row.metavar, multiple=many, help=row.help)


@_command
@of_a_site(changes=True, known=False)
@click.argument("app", metavar="APP")
def command(site: Site, *, app: str, **flags: Any) -> None:
    """Writes the file of a new site, with every option in it, its meaning, and its default or what is given here.

    Nothing listens yet; that is what `spyglass enable` does.

    APP is imported from --chdir, the current directory unless it is given. --python is the Python of a virtual
    environment, or the environment itself; one that lies in that directory as venv, .venv or env need not be named.
    Without any the app runs on Debian's own packages.
    """
    given = _given(flags)
    try:
        given["app"] = app_of(app)
        for address in cast("tuple[str, ...]", given.get("listen", ())):
            parse_address(address)
    except ValueError as error:
        raise UsageError(str(error)) from None
    chdir = given["chdir"] = os.path.abspath(str(given.get("chdir", ".")))
    if python := _python(str(given.get("python", "")), chdir):
        given["python"] = python
    try:
        write(site.config, draft(site, given), over=False)
    except UnicodeEncodeError:
        raise UsageError("what is not UTF-8 cannot stand in the file", hint="rename it, or link to it") from None
    except FileExistsError:
        hint = f"`spyglass edit {site.typed}` changes it, `spyglass remove {site.typed}` removes it"
        raise UsageError(f"there is a site {site.name} already: {site.config}", hint=hint) from None
    click.echo(f"{site.config}: {app} in {chdir}, by {python or 'the Python of Debian'}")
    click.echo(f"Next: spyglass enable {site.typed}")


def _given(flags: dict[str, Any]) -> dict[str, object]:
    """The values by their keys; those that may be given several times joined."""
    found: dict[str, object] = {}
    for name, value in flags.items():
        key = name.removeprefix(_PREFIX)
        if value is None or value == ():
            continue
        row = OPTIONS[key]
        if isinstance(row.default, dict):
            found[key] = {k: v for each in map(row.parse, value) if isinstance(each, dict) for k, v in each.items()}
        elif isinstance(row.default, tuple):
            found[key] = tuple(item for each in map(row.parse, value) if isinstance(each, tuple) for item in each)
        else:
            found[key] = row.parse(value)
    return found


def _python(given: str, chdir: str) -> str:
    """The interpreter's whole path, which is not resolved: that of an environment is a link; "" for Debian's."""
    if given:
        path = os.path.abspath(given)
        return f"{path}/bin/python" if os.path.isdir(path) else path
    found = (f"{chdir}/{name}/bin/python" for name in _VENVS)
    return next(filter(os.path.exists, found), "")


command.params += map(RowOption, _ROWS)
