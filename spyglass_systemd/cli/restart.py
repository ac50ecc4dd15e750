"""`spyglass restart`: end the app, go on listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools import switch

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
def command(site: Site) -> None:
    """Ends a site's app, which answers what it has accepted, and starts it anew; one that sleeps is let sleep.

    The listeners stay: nobody is refused, who connects meanwhile waits. New code is taken without a wait by
    `spyglass reload`.
    """
    switch.restart(site)
