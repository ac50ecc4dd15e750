"""Which .socket units a site needs, and what they say. Asks nobody; whether it can work, the machine knows."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from spyglass_systemd.protocols.unitfile import literal
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.listener import AF_INET6, AF_UNIX

if TYPE_CHECKING:
    from spyglass_systemd.protocols.unitfile import Line
    from spyglass_systemd.tools.wanted import Wanted
    from spyglass_systemd.words.addresses import Address

HTTP = "http"  # what a listener is called that has no name
_IN_UNIT_NAMES = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_AF_UNSPEC = 0

# ### Why several units?
# FileDescriptorName= is one for all of a unit's listeners, and the names are what `[listeners.NAME]` goes by. So each
# name has a unit, and all of them have one service. The first is the site's own; the others are instances of the
# template too, `spyglass@blog.admin.socket`, so that whatever the package does to all listeners it does to them.


@dataclass(frozen=True)
class Listening:
    """One .socket unit: its name, the listeners' name, what it says other than the template."""

    unit: str
    name: str
    addresses: tuple[Address, ...]
    lines: tuple[Line, ...]


def listening(wanted: Wanted) -> tuple[Listening, ...]:
    """The .socket units, the site's own first. Raises ConfigError for what systemd could not listen on."""
    groups: dict[str, tuple[Address, ...]] = {}
    for address in wanted.listen:
        _check(wanted, address)
        name = address.name or HTTP
        groups[name] = (*groups.get(name, ()), address)
    _check_names(wanted, groups)
    units: list[Listening] = []
    for name, addresses in (groups or {HTTP: ()}).items():
        unit = wanted.site.listener_unit(name) if units else wanted.site.socket
        units.append(Listening(unit, name, addresses, _lines(wanted, name, addresses, further=bool(units))))
    return tuple(units)


def _lines(wanted: Wanted, name: str, addresses: tuple[Address, ...], *, further: bool) -> tuple[Line, ...]:
    lines: list[tuple[str, str]] = []
    if addresses:
        lines += [("ListenStream", ""), *(("ListenStream", stream(address)) for address in addresses)]
    if name != HTTP:
        lines.append(("FileDescriptorName", name))
    if any(address.family == AF_INET6 for address in addresses):
        lines.append(("BindIPv6Only", "ipv6-only"))  # so that 0.0.0.0 fits beside [::]
    if not any(address.family == AF_UNIX for address in addresses) and addresses:
        lines += _of_tcp(wanted, name)
    elif not wanted.site.places.user and wanted.socket_group != "www-data":
        lines.append(("SocketGroup", literal(wanted.socket_group)))
    in_socket = tuple(("Socket", key, value) for key, value in lines)
    if not further:
        return in_socket
    site = wanted.site
    of_unit = (
        ("Unit", "Description", f"Listener {name} of the web app {site.name}"),
        ("Unit", "AssertPathExists", ""),
        ("Unit", "AssertPathExists", literal(str(site.config))),
    )
    return (*of_unit, *in_socket, ("Socket", "Service", site.service))


# systemd warns at each start of a unit that has an option of TCP and a Unix socket, so it is for units that have none.
# A connection that says nothing need not wake anybody: with DeferAcceptSec= it comes when its first byte does. Where
# the server speaks first the client would wait for that; so never where the app may be raw, and `auto` may be.


def _of_tcp(wanted: Wanted, name: str) -> list[tuple[str, str]]:
    lead = wanted.settings.listeners.get(name, {})
    kind = lead.get("kind", "auto") if lead else wanted.settings.kind
    deferred = [("DeferAcceptSec", str(ceil(wanted.settings.header_timeout)))] if kind in {"wsgi", "asgi"} else []
    return [("NoDelay", "yes"), *deferred]


def stream(address: Address) -> str:
    """What ListenStream= says of it."""
    return literal(address.text.removeprefix("unix:"))


def _check(wanted: Wanted, address: Address) -> None:
    where = f"{wanted.site.config}: listen = {address}"
    if not _IN_UNIT_NAMES.issuperset(address.name):
        raise ConfigError(
            f"{where}: no unit can be called {address.name!r}", hint="name it with letters, digits, - _ and . only"
        )
    if isinstance(address.sockaddr, tuple):
        host, port = address.sockaddr
        if address.family == _AF_UNSPEC and "%" not in host:
            raise ConfigError(f"{where}: systemd resolves no host names", hint=f"write the IP address of {host}")
        if not port:
            raise ConfigError(f"{where}: any free port is no port that a client could know", hint="write a number")
    elif isinstance(address.sockaddr, str):
        path = address.sockaddr
        if not path.startswith("/"):
            raise ConfigError(f"{where}: systemd wants the whole path", hint=f"write unix:/run/spyglass/{path}")
        if path.startswith(f"{wanted.site.runtime}/"):
            raise ConfigError(
                f"{where}: that directory goes each time the app falls asleep, and the socket with it",
                hint=f"write unix:{wanted.site.path}",
            )


def _check_names(wanted: Wanted, groups: dict[str, tuple[Address, ...]]) -> None:
    names, leads = list(groups or {HTTP: ()}), wanted.settings.listeners
    for name in leads:
        if name not in names:
            raise ConfigError(
                f"{wanted.site.config}: [listeners.{name}] has no listener",
                hint=f'give it an address: listen = [..., "{name}=127.0.0.1:8001"]',
            )
    for name in names:
        if name not in leads and not wanted.settings.app:
            raise ConfigError(
                f"{wanted.site.config}: the listener {name} has no app",
                hint=f"give it one, by [listeners.{name}] or by app= for all that have none",
            )
