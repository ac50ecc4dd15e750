"""What an app says of its response, checked by PEP 3333 and RFC 9110, and its head. Knows no socket and no request."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset("0123456789")
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 64
_MOST_DIGITS = 18  # of a Content-Length: what clients count in 64 bits

_PLAIN, _LENGTH, _DATE, _CONNECTION, _HOP = range(5)  # what a field means to us
_SPECIAL = {
    "content-length": _LENGTH,
    "date": _DATE,
    "connection": _CONNECTION,
    # Between this server and its client: not the app's to say (PEP 3333, "Other HTTP Features"), so they are left out.
    "keep-alive": _HOP,
    "proxy-connection": _HOP,
    "te": _HOP,
    "trailer": _HOP,
    "transfer-encoding": _HOP,
    "upgrade": _HOP,
}
_names: dict[str, int] = {}
_codes: dict[str, int] = {}

UNKNOWN = -1  # Head.length where the app does not say


class Head:
    """A response's head as far as the app made it.

    `data` is the status line and its fields (no empty line), `length` its Content-Length or UNKNOWN, `dated`: it has a
    Date, `last`: the app wants the connection closed.
    """

    __slots__ = ("code", "data", "dated", "last", "length")

    def __init__(self, code: int, data: bytes, length: int, *, dated: bool, last: bool) -> None:
        self.code = code
        self.data = data
        self.length = length
        self.dated = dated
        self.last = last

    @property
    def bodiless(self) -> bool:
        """No response with this status has a body."""
        return self.code in (204, 304)


def prepare(status: str, headers: Iterable[tuple[str, str]]) -> Head:
    """Check what an app gives to start_response: nothing that could split a response gets through.

    Raises TypeError or ValueError.
    """
    code = _codes.get(status) or _check_status(status)
    length, dated, last = UNKNOWN, False, False
    lines = [f"HTTP/1.1 {status}\r\n" if len(status) > 3 else f"HTTP/1.1 {status} \r\n"]  # no reason
    for name, value in headers:
        kind = _names.get(name)
        if kind is None:
            kind = _check_name(name)
        if not isinstance(value, str):
            raise TypeError(f"the value of {name} must be a str, not {value!r}")
        if kind:
            if kind == _LENGTH:
                known, length = length, _check_length(value, length)
                if code == 204 or known != UNKNOWN:  # RFC 9110 section 8.6: it has none, and nobody has two
                    continue
            elif kind == _DATE:
                dated = True
            else:
                last = last or (kind == _CONNECTION and "close" in value.lower())
                continue
        lines.append(f"{name}: {value}\r\n")
    data = "".join(lines).encode("latin-1")
    if len(data.translate(None, _TEXT)) != 2 * len(lines):
        raise ValueError(f"a control character in the status or in a header: {lines!r}")
    return Head(code, data, length, dated=dated, last=last)


def _check_status(status: str) -> int:
    if not isinstance(status, str):
        raise TypeError(f"the status must be a str, not {status!r}")
    digits, reason = status[:3], status[3:]
    if len(digits) != 3 or not _DIGITS.issuperset(digits) or reason[:1] not in ("", " "):  # 200 OK
        raise ValueError(f"the status must be three digits, a space and a reason, not {status!r}")
    code = int(digits)
    if not 200 <= code < 600:  # 1xx is not the app's to send
        raise ValueError(f"{status!r} is no final status")
    if len(_codes) >= _MOST_REMEMBERED:
        _codes.clear()
    if len(status) <= _LONGEST_REMEMBERED:
        _codes[status] = code
    return code


def _check_name(name: str) -> int:
    if not isinstance(name, str):
        raise TypeError(f"the name of a header must be a str, not {name!r}")
    if not name or not _TOKEN.issuperset(name):
        raise ValueError(f"no valid name of a header: {name!r}")
    kind = _SPECIAL.get(name.lower(), _PLAIN)
    if len(_names) >= _MOST_REMEMBERED:
        _names.clear()
    if len(name) <= _LONGEST_REMEMBERED:
        _names[name] = kind
    return kind


def _check_length(value: str, before: int) -> int:
    if not value or not _DIGITS.issuperset(value) or len(value) > _MOST_DIGITS:
        raise ValueError(f"Content-Length must be a number of up to {_MOST_DIGITS} digits, not {value!r}")
    if before not in (UNKNOWN, int(value)):
        raise ValueError("more than one Content-Length")
    return int(value)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Date:
    """The Date header line, made anew once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """`Date: Sun, 06 Nov 1994 08:49:37 GMT`, with its CRLF (RFC 9110 section 5.6.7)."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = date_line(second)
        return self._line


def date_line(second: int) -> bytes:
    """The Date header line for `second` since the epoch."""
    year, month, day, hour, minute, sec, weekday, _, _ = time.gmtime(second)
    text = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{sec:02} GMT"
    return b"Date: %b\r\n" % text.encode("ascii")
