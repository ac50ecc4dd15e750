"""The head of a request as far as a Master must understand it: what is asked, with which fields. Reads no socket.

It judges nothing either: whoever serves requests has a parser that does. This one says to whom it is worth to answer.
"""

from __future__ import annotations

LIMIT = 16 * 1024  # bytes of a head that are worth looking at; a browser's is below that
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ-_")
_METHOD_LIMIT = 24  # the longest method that is registered has 17 letters
_LINE_LIMIT = 8192


class Head:
    """`method` and `target` as they came; `fields` by their names in lower case, in their order."""

    __slots__ = ("fields", "method", "target")

    def __init__(self, method: str, target: str, fields: tuple[tuple[str, str], ...]) -> None:
        self.method = method
        self.target = target
        self.fields = fields

    def field(self, name: str) -> str:
        """Its value, "" where there is none; several are one list (RFC 9110 section 5.3)."""
        return ", ".join(value for key, value in self.fields if key == name)

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.target[:80]} with {len(self.fields)} fields>"


def begins(data: bytes) -> bool | None:
    """Whether these bytes begin with the line of an HTTP/1 request (RFC 9112 section 3); None: too few to say."""
    if not data:
        return None
    method, space, rest = data[:_LINE_LIMIT].partition(b" ")
    if not 0 < len(method) <= _METHOD_LIMIT or any(byte not in _METHOD for byte in method):
        return False
    line, end, _ = rest.partition(b"\n")
    if not space or not end:
        return None if len(data) < _LINE_LIMIT else False
    return b" HTTP/1." in line


def parse(data: bytes, *, whole: bool = True) -> Head | None:
    """The head that `data` begins with; None while it is not there. Raises ValueError for what is no HTTP/1 request.

    With `whole` false, the request line and what has come of the fields are enough.
    """
    http = begins(data)
    if http is False:
        raise ValueError("no HTTP/1 request")
    ends = [at for at in (data.find(b"\n\r\n"), data.find(b"\n\n")) if at >= 0]
    if not http or (whole and not ends):
        return None
    first, *lines = data[: min(ends) if ends else data.rindex(b"\n")].decode("latin-1").split("\n")
    method, _, rest = first.partition(" ")
    fields = (line.partition(":") for line in lines)
    return Head(
        method,
        rest.rpartition(" ")[0],
        tuple((name.lower(), value.strip(" \t\r")) for name, colon, value in fields if colon),
    )
