"""What trusted proxies say of a request, in its scope, and nothing that anybody else claims. Knows no connection."""

from __future__ import annotations

from spyglass_systemd.backends.asgi import names
from spyglass_systemd.policy.forwarded import Trust, resolve
from spyglass_systemd.words.claims import CLAIMS
from spyglass_systemd.words.hosts import split_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.policy.forwarded import Origin
    from spyglass_systemd.words.options import Settings

_SECURE = {"http": "ws", "https": "wss"}


def _spellings(name: str) -> list[str]:
    """With each `-` as `_` too: many take `x_forwarded_for` for the same field."""
    word, dash, rest = name.partition("-")
    return [word + mark + end for mark in "-_" for end in _spellings(rest)] if dash else [word]


SPELLINGS = frozenset(spelling.encode() for name in CLAIMS for spelling in _spellings(name))


def origins(app: Any, settings: Settings) -> Any:
    """An ASGI 3 app around an ASGI 3 app, for requests. Where no such field came it costs one look at the names.

    A function, because calling an instance takes longer than the look does.
    """
    trust = Trust(settings.trusted_proxies, settings.trusted_fields)
    paths_have_root = names.paths_have_root(names.version())
    claims_nothing = SPELLINGS.isdisjoint

    def settled(scope: Any, receive: Any, send: Any) -> Any:
        if not claims_nothing(dict(scope["headers"])):  # one look, in C
            _settle(scope, trust, in_path=paths_have_root)
        return app(scope, receive, send)

    return settled


def _settle(scope: Any, trust: Trust, *, in_path: bool) -> None:
    came = scope["headers"]
    scope["headers"] = [field for field in came if field[0] not in SPELLINGS]
    client = scope.get("client")
    told = [(name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in came]
    origin = resolve(client[0] if client else "", told, trust)
    if origin is not None:
        _tell(scope, origin)
        if origin.prefix:
            _mount(scope, origin.prefix, in_path=in_path)


def _tell(scope: Any, origin: Origin) -> None:
    """ASGI specification, HTTP connection scope."""
    if origin.client is not None:
        scope["client"] = (origin.client, 0) if origin.client else None
    if origin.scheme:
        scope["scheme"] = _SECURE[origin.scheme] if scope["type"] == "websocket" else origin.scheme
    headers = scope["headers"]
    if origin.host:
        headers = [field for field in headers if field[0] != b"host"]
        headers.append((b"host", origin.host.encode("latin-1")))
    if origin.host or origin.scheme:
        host = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
        if host:
            name, port = split_host(host, scope["scheme"])
            scope["server"] = (name, int(port) if port.isdecimal() else None)
    scope["headers"] = headers + [(name.encode(), value.encode("latin-1")) for name, value in origin.fields]


def _mount(scope: Any, prefix: str, *, in_path: bool) -> None:
    """At `prefix` in place of `root_path`; what routes by the path expects it there, or not, as uvicorn does it."""
    mounted = scope.get("root_path", "")
    scope["root_path"] = prefix
    if not in_path:
        return
    scope["path"] = prefix + scope["path"].removeprefix(mounted)
    if scope.get("raw_path") is not None:
        scope["raw_path"] = prefix.encode() + scope["raw_path"].removeprefix(mounted.encode())
