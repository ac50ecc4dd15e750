"""`spyglass logs`: what the journal has of a site."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.cli.screen import console, line
from spyglass_systemd.cli.span import span
from spyglass_systemd.protocols.journal import ERROR, WARNING
from spyglass_systemd.tools import logs
from spyglass_systemd.words.errors import ManagerError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from spyglass_systemd.tools.places import Site

_COLOURS = {
    "woke": "cyan",
    "ready": "green",
    "recovered": "green",
    "reloaded": "green",
    "slept": "blue",
    "dozed": "blue",
    "drained": "blue",
    "worker_died": "yellow",
    "failed": "red",
    "gave_up": "red",
    "reload_failed": "red",
}
_MANY = 50  # lines, where nobody says how many


@_command
@of_a_site(changes=False)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("--events", is_flag=True, help="Only what happened to the app: woke, ready, slept, failed ...")
@click.option("--app", is_flag=True, help="Only what the app prints and logs.")
@click.option("--since", callback=span, metavar="SPAN", help="Only what is no older than this.")
@click.option("-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last so many entries.")
def command(site: Site, *, follow: bool, events: bool, app: bool, since: float | None, lines: int | None) -> None:
    """Shows what the journal has of a site, oldest first: events, the app's output, what systemd says of its units.

    Without `--since` and `--lines` it is the last 50 entries. A line is a line: what would end it or move the cursor is
    escaped. For what an event means and what to do about it, see `journalctl -x`.
    """
    if events and app:
        raise UsageError("--events and --app are two halves of it", hint="leave both out to see all")
    if lines == 0 and not follow:
        raise UsageError(
            "the last 0 entries are none", hint="say how many; with --follow, 0 is only what comes from now on"
        )
    sources = (logs.EVENT,) if events else (logs.APP,) if app else logs.EVERYTHING
    last = _MANY if lines is None and since is None else lines
    out = console()
    found = False
    try:
        for entry in logs.read(site, sources=sources, since=since, last=last, follow=follow):
            found = True
            _show(out, entry)
    except BrokenPipeError:  # of whom we write to
        raise
    except OSError as error:
        raise ManagerError(f"the journal cannot be read: {error.strerror}") from None
    if not found:
        sys.stderr.write(f"spyglass: the journal has nothing of {site.name}{_perhaps()}\n")


def _show(out: Console, entry: logs.Entry) -> None:
    first, *rest = entry.lines
    when = time.strftime("%b %d %H:%M:%S", time.localtime(entry.when))
    who = "" if entry.source in {logs.EVENT, logs.OURS, logs.APP} else f"{entry.source}: "
    style = _COLOURS.get(entry.event, "")
    if not style:
        style = "red" if entry.priority <= ERROR else "yellow" if entry.priority == WARNING else ""
    line(out, (f"{when} ", "dim"), (who, "dim"), (first, style))
    for more in rest:
        line(out, (f"    {more}", "dim"))


def _perhaps() -> str:
    if os.geteuid() == 0:
        return ""
    return "\n  whoever is not root and not in the group systemd-journal or adm sees only entries of his own"
