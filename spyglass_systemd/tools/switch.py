"""Starting and stopping a site's listeners and its app, in the order in which nobody is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spyglass_systemd.protocols.systemctl import Systemctl

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


def start(site: Site) -> None:
    """Listen. Raises ManagerError."""
    manager_of(site).do("start", "--", *sockets(site))


def stop(site: Site) -> None:
    """Listen no more, then end the app: the other way round the next connection would start it again.

    Raises ManagerError.
    """
    manager = manager_of(site)
    manager.do("stop", "--", *sockets(site))
    manager.do("stop", "--", site.service)


def restart(site: Site) -> None:
    """End the app and start it anew if it is awake; the listeners stay. Raises ManagerError."""
    manager_of(site).do("try-restart", "--", site.service)


def sockets(site: Site) -> list[str]:
    """The units that listen for a site, that of its name first."""
    further = sorted(path.name.removesuffix(".d") for path in site.places.units.glob(f"{site.listener_unit('*')}.d"))
    return [site.socket, *further]


def manager_of(site: Site) -> Systemctl:
    """The service manager that has its units."""
    return Systemctl(user=site.places.user)
