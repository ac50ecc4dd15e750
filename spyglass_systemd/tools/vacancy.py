"""Whether what a site wants to listen on is free: of other sites, and of everybody else. Listens on nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spyglass_systemd.protocols import binding, unitfile
from spyglass_systemd.tools.dropins import FILE
from spyglass_systemd.tools.listening import stream
from spyglass_systemd.tools.switch import manager_of, sockets
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.places import Places, Site
    from spyglass_systemd.tools.wanted import Wanted


def vacant(wanted: Wanted) -> Iterator[str]:
    """A check: no other site has one of the addresses, and nobody else listens there."""
    site = wanted.site
    addresses = {stream(address): address for address in wanted.listen}
    if len(addresses) < len(wanted.listen):
        raise ConfigError(f"{site.config}: listen has an address twice", hint="one listener is enough for any number")
    for unit in _enabled(site.places):
        both = addresses.keys() & streams(site.places, unit)
        if both and unit not in sockets(site):
            other = unit.removeprefix("spyglass@").removesuffix(".socket").partition(".")[0]
            raise ConfigError(
                f"{site.config}: listen = {addresses[min(both)]}: the site {other} listens there",
                hint=f"take another address, or `spyglass disable {site.places.site(other).typed}`",
            )
    own = _held(site)
    for text, address in (addresses or {str(site.path): parse_address(f"unix:{site.path}")}).items():
        if text not in own:
            binding.check(address)
    yield from ()


def streams(places: Places, unit: str) -> set[str]:
    """What the drop-in of a .socket unit has it listen on; none where the template's socket is all."""
    path = places.units / f"{unit}.d" / FILE
    try:
        lines = unitfile.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none, or somebody's own
        return set()
    return {value for _, key, value in lines if key == "ListenStream" and value}


def _enabled(places: Places) -> list[str]:
    found = places.units.glob(f"spyglass@*.socket.d/{FILE}")
    return sorted(path.parent.name.removesuffix(".d") for path in found)


def _held(site: Site) -> set[str]:
    """What the site listens on already."""
    manager = manager_of(site)
    active = [unit for unit in sockets(site) if manager.is_active(unit)]
    return {text for unit in active for text in streams(site.places, unit) or {str(site.path)}}
