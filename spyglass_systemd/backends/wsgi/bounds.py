"""What is looked at before the parser sees a head: its size, and the characters in it. Understands nothing of it."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.refusal import Refusal

# ### What makes it strict?
# Which parser is under httptools depends on its version, and the one that Debian has lets much through. So what two
# parsers could read differently is refused before it sees the head, or after: that is how requests are smuggled. One
# look at the whole head, at the speed of C: when everything but the CRLF pairs is a character that a head may hold,
# there is no bare CR or LF, no NUL, no control character left to worry about, and no line may be folded. Each field
# name is checked once and remembered.

_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


_DIGITS = frozenset("0123456789")


class Limits:
    """How much of a head we read: bytes a line, bytes in all, fields."""

    __slots__ = ("count", "line", "total")

    def __init__(self, line: int, total: int, count: int) -> None:
        self.line = line
        self.total = total
        self.count = count


def check(head: bytes, limits: Limits) -> None:
    """Look at a whole head, without the empty line at its end. Raises Refusal."""
    breaks = head.count(b"\r\n")
    if len(head.translate(None, _TEXT)) != 2 * breaks or b"\r\n " in head or b"\r\n\t" in head:
        raise Refusal(400, "a control character, a folded line, or a line that does not end in CRLF")
    if len(head) > limits.line:
        _measure(head, limits)
    if breaks > limits.count:
        raise Refusal(431, f"more than {limits.count} header fields")


def check_partial(data: bytes, limits: Limits) -> None:
    """Look at the beginning of a head whose end has not come. Raises Refusal as soon as it can never be a good one."""
    if chr(data[0]) not in TOKEN:
        raise Refusal(400, "this is not HTTP")  # a TLS handshake, most often
    if data.count(b"\n") != data.count(b"\r\n"):
        raise Refusal(400, "a line that does not end in CRLF")
    first = data.find(b"\r\n")
    if first > limits.line or (first < 0 and len(data) > limits.line + 1):
        raise Refusal(414, f"a request line of over {limits.line} bytes")
    # Up to three bytes of what ends a head may be here, and the fourth not yet.
    if len(data) > limits.total + 3 or len(data) - data.rfind(b"\r\n") > limits.line + 3:
        raise Refusal(431, f"a header line of over {limits.line} bytes, or over {limits.total} bytes in all")


def version_refused(version: str) -> Refusal:
    """Of a version that is neither 1.1 nor 1.0: another one, or none at all."""
    name, _, digits = version.partition("/")
    if name == "HTTP" and len(digits) == 3 and digits[1] == "." and _DIGITS.issuperset(digits[0] + digits[2]):
        return Refusal(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    return Refusal(400, "no valid version in the request line")


def _measure(head: bytes, limits: Limits) -> None:
    lines = head.split(b"\r\n")
    if len(lines[0]) > limits.line:
        raise Refusal(414, f"a request line of over {limits.line} bytes")
    if len(head) > limits.total or max(map(len, lines)) > limits.line:
        raise Refusal(431, f"a header line of over {limits.line} bytes, or over {limits.total} bytes in all")
