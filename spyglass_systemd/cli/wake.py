"""`spyglass wake`: an app that is awake before somebody needs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.cli.screen import progress
from spyglass_systemd.tools.wake import wake

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=False)
def command(site: Site) -> None:
    """Wakes a site's app, waits until it accepts, and says how long that took.

    It connects to the site's first listener as a visitor does, and asks for nothing. For an app that takes long to load
    and is needed at a time that is known: in a timer, before the shop opens. One that is awake already is a success.
    The exit code is 69 where nobody listens, or the app does not start.
    """
    with progress(f"{site.name}: waking") as tell:
        woken = wake(site, tell)
    if woken.seconds is None:
        sys.stdout.write(f"{site.name}: awake already\n")
        return
    phases = ", ".join(f"{name} {us / 1000:.0f} ms" for name, us in woken.phases_us.items() if us)
    sys.stdout.write(f"{site.name}: awake after {1000 * woken.seconds:.0f} ms ({phases})\n")
