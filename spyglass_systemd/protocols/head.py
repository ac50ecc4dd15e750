"""The head of one HTTP/1 request, read strictly or not at all: a pure function of bytes. Knows no body and no answer.

For the Master where it answers in the app's place. What this takes for a head, every parser of ours takes for the same
one (RFC 9112); what it does not take is not refused, but left to them. Its lenient sibling is knock.
"""

from __future__ import annotations

from spyglass_systemd.protocols.knock import Head
from spyglass_systemd.words.hosts import is_host

TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
END = b"\r\n\r\n"
_VISIBLE = bytes(range(0x21, 0x7F))
_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
_DIGITS = frozenset("0123456789")
_VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
_ONCE = ("host", "content-length", "content-type")
_MOST_DIGITS = 18  # of a Content-Length
_LINE, _COUNT = 8192, 100  # bytes of a line, fields


def request_line(data: bytes) -> tuple[str, str] | None:
    """Method and target of the request that begins with `data`; None while its first line is not whole.

    Raises ValueError for what is no such line, and for a target that is no path.
    """
    line, end, _ = data.partition(b"\r\n")
    if not end:
        return None
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    if not method or not TOKEN.issuperset(method):
        raise ValueError("no method")
    if not target.startswith(b"/") or target.translate(None, _VISIBLE) or b"#" in target:
        raise ValueError("no path")
    if version not in _VERSIONS:
        raise ValueError("neither HTTP/1.1 nor HTTP/1.0")
    return method.decode(), target.decode()


def read(data: bytes) -> Head | None:
    """The head that `data` begins with, up to its END; None while it is not whole.

    Raises ValueError for what is no head, not surely one, or longer than one needs to be.
    """
    text, end, _ = data.partition(END)
    asked = request_line(text + end)
    if not end or asked is None:
        return None
    first, *lines = text.split(b"\r\n")
    if len(lines) > _COUNT or max(map(len, (first, *lines))) > _LINE:
        raise ValueError("too long")
    fields = tuple(_field(each) for each in lines)
    _check(fields, required=first.endswith(_VERSIONS[0]))
    return Head(*asked, fields)


def bare(head: Head) -> bool:
    """Whether the request ends with its head, and waits for nothing before its answer."""
    names = {name for name, _ in head.fields}
    return int(head.field("content-length") or 0) == 0 and names.isdisjoint(("transfer-encoding", "expect"))


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not name or not TOKEN.issuperset(name) or value.translate(None, _TEXT):
        raise ValueError("no field")
    return name.decode().lower(), value.decode("latin-1").strip(" \t")


def _check(fields: tuple[tuple[str, str], ...], *, required: bool) -> None:
    """What a server must refuse by these fields alone, or may. `required`: there must be a Host."""
    names = [name for name, _ in fields]
    if any(names.count(name) > 1 for name in _ONCE) or (required and "host" not in names):
        raise ValueError("a field that must be there once")
    for name, value in fields:
        if name == "host" and value and not is_host(value):
            raise ValueError("no host")
        if name == "content-length" and (not value or not _DIGITS.issuperset(value) or len(value) > _MOST_DIGITS):
            raise ValueError("no length")
