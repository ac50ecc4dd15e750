"""`spyglass start`: listen now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.tools import switch
from spyglass_systemd.tools.sites import due
from spyglass_systemd.tools.wanted import read
from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=True)
def command(site: Site) -> None:
    """Listens for a site from now on. The app is started by the first connection.

    For a site that is to be there after the next boot as well, there is `spyglass enable`. What its units have to say
    of listeners, user and Python comes from that one, too: where they are not as the file has them, nothing is started.
    """
    if due(read(site)):
        raise ConfigError(
            f"the units of {site.name} are not as {site.config} has them",
            hint=f"`spyglass enable {site.typed}` makes them",
        )
    switch.start(site)
