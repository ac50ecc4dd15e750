"""`spyglass start`: listen now."""

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
    """Listens for a site from now on. The app is started by the first connection.

    For a site that is to be there after the next boot as well, there is `spyglass enable`.
    """
    switch.start(site)
