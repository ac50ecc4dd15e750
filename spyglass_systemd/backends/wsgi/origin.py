"""What trusted proxies say of a request, in its environ: PEP 3333, RFC 3875. Loaded where there are such proxies."""

from __future__ import annotations

from spyglass_systemd.policy.forwarded import resolve
from spyglass_systemd.words.hosts import split_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.wsgi.head import Believe
    from spyglass_systemd.policy.forwarded import Trust


def believer(trust: Trust) -> Believe:
    """Brings an environ in line with what the fields of its head say, if those come from somebody trusted."""

    def believe(environ: dict[str, Any], fields: list[tuple[bytes, bytes]]) -> None:
        told = [(name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for name, value in fields]
        origin = resolve(environ["REMOTE_ADDR"], told, trust)
        if origin is None:
            return
        if origin.client is not None:
            environ["REMOTE_ADDR"] = origin.client
            environ.pop("REMOTE_PORT", None)
        if origin.scheme:
            environ["wsgi.url_scheme"] = origin.scheme
        if origin.host:
            environ["HTTP_HOST"] = origin.host
        if origin.prefix:
            environ["SCRIPT_NAME"] = origin.prefix
        host = environ.get("HTTP_HOST")
        if host and (origin.host or origin.scheme):
            environ["SERVER_NAME"], environ["SERVER_PORT"] = split_host(host, environ["wsgi.url_scheme"])
        for name, value in origin.fields:
            environ["HTTP_" + name.upper().replace("-", "_")] = value

    return believe
