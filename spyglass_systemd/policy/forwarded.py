"""Who is behind a proxy, according to the proxy: X-Forwarded-* and Forwarded (RFC 7239). Knows no request, no app."""

from __future__ import annotations

from spyglass_systemd.words.claims import CLAIMS, FOR, FORWARDED, HOST, PREFIX, PROTO, REAL_IP
from spyglass_systemd.words.hosts import Network, ip, is_host, packed
from spyglass_systemd.words.quoted import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# ### Whom do we believe?
# Only a peer that the operator has named. Anybody can write `X-Forwarded-For: 127.0.0.1`, and an app that believes it
# lets him in. So from anybody else these fields are not merely ignored: they are taken out, because an app or a
# framework may look at them itself.
#
# ### And what?
# Only the fields that the operator's proxies set. A proxy passes on what it does not know: nginx with Debian's
# `proxy_params` sets X-Forwarded-For and -Proto, and lets a client's own X-Forwarded-Host or Forwarded through. That is
# also why the two families are never mixed: the one that the proxy does not speak is the client's.
#
# ### How far back?
# Each proxy appends the address it was called from. From the right, every address that we trust is a proxy of ours; the
# first one that we do not trust is the client. What stands left of it is what the client has written himself. Where
# that place says `unknown`, `_hidden` or nothing that we can read, the client is unknown, which is not the same as the
# proxy: an app that lets 127.0.0.1 in must not let him in.

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_BARE = _TOKEN | frozenset(":[]")  # RFC 7239 wants quotes around these; who forgets them is understood all the same
_PATH = _TOKEN - frozenset("#%^`|") | frozenset("/(),;=:@")  # RFC 3986 section 3.3, without escapes
_UNIX = "unix:"  # nginx calls a client on a Unix socket so


class Origin:
    """What the client asked for, and from where.

    `client` is his IP address, "" where he is not to be known, None where nobody has said; then it is the peer.
    `scheme` (http or https), `host` and `prefix` are "" where nobody has said. `fields` is what the app may see in
    place of the CLAIMS that came.
    """

    __slots__ = ("client", "fields", "host", "prefix", "scheme")

    def __init__(self, client: str | None = None, scheme: str = "", host: str = "", prefix: str = "") -> None:
        self.client = client
        self.scheme = scheme
        self.host = host
        self.prefix = prefix
        self.fields: list[tuple[str, str]] = []

    def __repr__(self) -> str:
        return f"<Origin client={self.client!r} scheme={self.scheme!r} host={self.host!r} prefix={self.prefix!r}>"


class Trust:
    """Our proxies: IP addresses, networks (`10.0.0.0/8`), `unix` for peers on a Unix socket; and the `fields` they set.

    Raises ValueError for a proxy that is none of these.
    """

    __slots__ = ("_networks", "_unix", "fields")

    def __init__(self, proxies: Iterable[str], fields: Iterable[str]) -> None:
        proxies = tuple(proxies)
        self._unix = "unix" in proxies
        self._networks = [Network(proxy) for proxy in proxies if proxy != "unix"]
        self.fields = frozenset(fields)

    def holds(self, address: str) -> bool:
        """Whether `address`, an IP address, or "" for a peer on a Unix socket, is a proxy of ours."""
        if not address:
            return self._unix
        raw = packed(address)
        return any(network.holds(raw) for network in self._networks)


def resolve(peer: str, fields: Iterable[tuple[str, str]], trust: Trust) -> Origin | None:
    """The origin of a request whose connection comes from `peer` ("" on a Unix socket); None for an untrusted peer.

    `fields` are the request's fields, names in lower case, in their order.
    """
    if not trust.holds(peer):
        return None
    came = [(name, value) for name, value in fields if name in CLAIMS]
    told: dict[str, list[str]] = {}
    for name, value in came:
        if name in trust.fields:
            told.setdefault(name, []).append(value)
    origin = Origin(prefix=_prefix(_last(told.get(PREFIX))))
    if FORWARDED in trust.fields:
        _by_standard(origin, told.get(FORWARDED, []), trust)
    else:
        hops = [hop.strip() for hop in ",".join(told.get(FOR, ())).split(",")]
        origin.client, _ = _client([hop for hop in hops if hop], trust)
        origin.scheme = _scheme(_last(told.get(PROTO)))
        origin.host = _host(_last(told.get(HOST)))
    client = origin.client or ""
    truth = {FOR: client, REAL_IP: client, PROTO: origin.scheme, HOST: origin.host, PREFIX: origin.prefix}
    for name in dict(came):
        if truth.get(name):
            origin.fields.append((name, truth[name]))
    return origin


def _by_standard(origin: Origin, lines: list[str], trust: Trust) -> None:
    """RFC 7239 section 4."""
    elements: list[dict[str, str]] = []
    for line in lines:
        elements += _elements(line)
    origin.client, at = _client([element.get("for", "") for element in elements], trust)
    if elements:
        origin.scheme = _scheme(elements[at].get("proto", ""))
        origin.host = _host(elements[at].get("host", ""))


def _client(hops: list[str], trust: Trust) -> tuple[str | None, int]:
    """From the right, the first that is no proxy of ours, and where; the leftmost where all are."""
    address: str | None = None
    for at in range(len(hops) - 1, -1, -1):
        address = "" if hops[at] == _UNIX else ip(_without_port(hops[at]))
        known = address or hops[at] == _UNIX
        if not known or not trust.holds(address):
            return address, at
    return address, 0


def _without_port(hop: str) -> str:
    """`[::1]:80`, `1.2.3.4:80`; an IPv6 address alone stands without brackets in X-Forwarded-For."""
    if hop.startswith("["):
        address, bracket, port = hop[1:].partition("]")
        return address if bracket and port[:1] in ("", ":") else ""
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _last(values: list[str] | None) -> str:
    """What the nearest proxy said."""
    return values[-1].rpartition(",")[2].strip() if values else ""


def _scheme(value: str) -> str:
    return _SCHEMES.get(value.lower(), "")


def _host(value: str) -> str:
    return value if is_host(value) else ""


def _prefix(value: str) -> str:
    """A path as SCRIPT_NAME has it. Two slashes, or dots that climb, would lead elsewhere in a link."""
    path = value.rstrip("/")
    if not path.startswith("/") or not _PATH.issuperset(path):
        return ""
    return path if {"", ".", ".."}.isdisjoint(path[1:].split("/")) else ""


# ### What may a client do with a quote?
# He can open one that the proxy's own words, appended to his, would then stand in: `for=127.0.0.1;x="` and behind it
# `, for=203.0.113.7`. So nothing is repaired: a line with a quoted string that does not begin right behind its `=` and
# end right before a separator is as good as one element that says nothing.


def _elements(line: str) -> list[dict[str, str]]:
    """The elements of one Forwarded line; one empty element for a line that is not well-formed."""
    found = []
    for element in split(line, ","):
        pairs: dict[str, str] = {}
        for text in split(element, ";"):
            name, equals, value = text.strip(" \t").partition("=")
            if not name and not equals:
                continue
            name, told = name.lower(), _value(value)
            if not name or not _TOKEN.issuperset(name) or not told or name in pairs:
                return [{}]
            pairs[name] = told
        if pairs:
            found.append(pairs)
    return found


def _value(text: str) -> str:
    """A token or what is in a quoted string; "" for what is neither."""
    if not text.startswith('"'):
        return text if _BARE.issuperset(text) else ""
    found, characters = "", iter(text[1:])
    for character in characters:
        if character == '"':
            return "" if next(characters, "") else found
        found += next(characters, "") if character == "\\" else character
    return ""
