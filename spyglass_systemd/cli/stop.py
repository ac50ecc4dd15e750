"""`spyglass stop`: listen no more, and end the app."""

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
    """Stops listening for a site, then ends its app, which answers what it has accepted.

    Who connects from then on is refused. An enabled site listens again after the next boot.
    """
    switch.stop(site)
