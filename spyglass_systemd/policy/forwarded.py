"""Who is behind a proxy, according to the proxy: X-Forwarded-* and Forwarded (RFC 7239). Knows no request, no app."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# ### Whom do we believe?
# Only a peer that the operator has named. Anybody can write `X-Forwarded-For: 127.0.0.1`, and an app that believes it
# lets him in. So from anybody else these fields are not merely ignored: they are taken out, because an app or a
# framework may look at them itself.
#
# ### How far back?
# Each proxy appends the address it was called from. From the right, every address that we trust is a proxy of ours; the
# first one that we do not trust is the client. What stands left of it is what the client has written himself.

FIELDS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix", "forwarded")
_SCHEMES = ("http", "https", "ws", "wss")


class Origin:
    """What the client asked for, and from where. "" where nobody trusted has said it: then the connection tells."""

    __slots__ = ("client", "host", "prefix", "scheme")

    def __init__(self, client: str = "", scheme: str = "", host: str = "", prefix: str = "") -> None:
        self.client = client
        self.scheme = scheme
        self.host = host
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"<Origin client={self.client!r} scheme={self.scheme!r} host={self.host!r} prefix={self.prefix!r}>"


class Trust:
    """The addresses of our proxies: IP addresses, networks (`10.0.0.0/8`), `unix` for peers on a Unix socket."""

    __slots__ = ("_addresses", "_networks", "unix")

    def __init__(self, proxies: Iterable[str]) -> None:
        """Raises ValueError for what is neither."""
        self.unix = False
        self._addresses: set[str] = set()
        self._networks = []
        for proxy in proxies:
            if proxy == "unix":
                self.unix = True
            elif "/" in proxy:
                from ipaddress import ip_network  # noqa: PLC0415  # 5 ms, for those who name a network

                self._networks.append(ip_network(proxy))
            else:
                self._addresses.add(normal(proxy))

    def holds(self, address: str) -> bool:
        """Whether `address`, an IP address, or "" for a peer on a Unix socket, is a proxy of ours."""
        if not address:
            return self.unix
        if address in self._addresses:
            return True
        if not self._networks:
            return False
        from ipaddress import ip_address  # noqa: PLC0415

        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found.version == network.version and found in network for network in self._networks)


def resolve(peer: str, fields: Iterable[tuple[str, str]], trust: Trust) -> Origin | None:
    """The origin of a request whose connection comes from `peer` ("" on a Unix socket); None for an untrusted peer.

    `fields` are the request's fields, names in lower case, in their order. `Forwarded`, the standard, is preferred.
    """
    if not trust.holds(peer):
        return None
    told: dict[str, list[str]] = {}
    for name, value in fields:
        if name in FIELDS:
            told.setdefault(name, []).append(value)
    if "forwarded" in told:
        return _standard(",".join(told["forwarded"]), trust)
    origin = Origin()
    hops = [hop.strip() for hop in ",".join(told.get("x-forwarded-for", ())).split(",")]
    origin.client = _client([normal(hop) for hop in hops if hop], trust)
    origin.scheme = _scheme(_last(told.get("x-forwarded-proto")))
    origin.host = _last(told.get("x-forwarded-host"))
    origin.prefix = _prefix(_last(told.get("x-forwarded-prefix")))
    return origin


def _standard(value: str, trust: Trust) -> Origin:
    """RFC 7239 section 4: elements between commas, pairs between semicolons, values that may be quoted."""
    elements = [_pairs(element) for element in _split(value, ",")]
    clients = [normal(element["for"]) for element in elements if element.get("for")]
    origin = Origin(client=_client(clients, trust))
    nearest = elements[-1] if elements else {}
    for element in reversed(elements):
        nearest = element
        if not trust.holds(normal(element.get("for", "")) or "-"):
            break
    origin.scheme = _scheme(nearest.get("proto", ""))
    origin.host = nearest.get("host", "")
    return origin


def _client(hops: list[str], trust: Trust) -> str:
    """From the right, the first that is no proxy of ours; the leftmost where all are."""
    for hop in reversed(hops):
        if not trust.holds(hop or "-"):
            return hop
    return hops[0] if hops else ""


def _last(values: list[str] | None) -> str:
    """What the nearest proxy said."""
    return values[-1].rpartition(",")[2].strip() if values else ""


def _scheme(value: str) -> str:
    lower = value.lower()
    return lower if lower in _SCHEMES else ""


def _prefix(value: str) -> str:
    path = value.rstrip("/")
    return path if path.startswith("/") and not path.startswith("//") else ""


def normal(address: str) -> str:
    """An address without port and brackets, as a connection would give it: `[::1]:80`, `1.2.3.4:80`."""
    address = address.strip()
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    return address.lower().removeprefix("::ffff:") if "." in address else address.lower()


def _split(text: str, separator: str) -> list[str]:
    """At separators that are not inside a quoted string (RFC 9110 section 5.6.4)."""
    parts, quoted, escaped = [""], False, False
    for character in text:
        if character == separator and not quoted:
            parts.append("")
            continue
        parts[-1] += character
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return parts


def _pairs(element: str) -> dict[str, str]:
    found = {}
    for pair in _split(element, ";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            found[name.strip().lower()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    text, characters = "", iter(value[1:-1])
    for character in characters:
        text += next(characters, "") if character == "\\" else character
    return text
