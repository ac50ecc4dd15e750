"""Request targets and hosts: RFC 9112 sections 3.2 and 3.3, RFC 3986. Knows nothing of the rest of a head."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.words.hosts import is_host

_HEX = frozenset("0123456789abcdefABCDEF")


def split_path(target: str, prefix: str) -> tuple[str, str]:
    """PATH_INFO and QUERY_STRING of a target in origin form. `prefix` is taken off the path where it is there."""
    path, _, query = target.partition("?")
    if "%" in path:
        path = unquote(path)
    if prefix and path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/"):
        path = path[len(prefix) :]
    return path, query


def other_form(target: str, method: str) -> tuple[str, str]:
    """Host and origin form of a target that does not begin with `/`. Raises Refusal.

    The absolute form is what clients send to a proxy, and every server must take it; the asterisk is for OPTIONS, and
    has neither host nor path.
    """
    if target == "*" and method == "OPTIONS":
        return "", ""
    scheme, colon, rest = target.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        raise Refusal(400, "no valid target in the request line")
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, origin = rest[:end], rest[end:]
    if not is_host(authority):
        raise Refusal(400, "no valid host in the target")
    return authority, origin if origin.startswith("/") else "/" + origin


def unquote(path: str) -> str:
    """Percent-decoding; what is no escape stays as it is. Bytes are latin-1 characters here, as PEP 3333 wants.

    The standard library's is in urllib.parse, which takes 4 ms to import.
    """
    first, *rest = path.split("%")
    parts = [first]
    for part in rest:
        digits = part[:2]
        if len(digits) == 2 and _HEX.issuperset(digits):
            parts.append(chr(int(digits, 16)))
            parts.append(part[2:])
        else:
            parts.append("%" + part)
    return "".join(parts)
