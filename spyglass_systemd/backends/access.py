"""The access log: Combined Log Format plus ` ms=12 worker=1`, a line a request. Knows no request and no connection."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FROM_ENVIRON = ("REMOTE_ADDR", "HTTP_REFERER", "HTTP_USER_AGENT")  # the app may have put anything there
_LONGEST = 960  # characters of one field: a line is one write(2), and a pipe keeps up to 4096 bytes of one together
_CUT = "..."


class AccessLog:
    """Lines wait for `flush`, once a turn of the loop."""

    __slots__ = ("_fd", "_lines", "_second", "_stamp", "_worker")

    def __init__(self, fd: int, worker: int) -> None:
        self._fd = fd
        self._worker = worker
        self._lines: list[bytes] = []
        self._second = -1
        self._stamp = ""

    def add(self, environ: dict[str, Any], request: str, code: int, size: int, ms: float) -> None:
        """One request: who asked (by his environ) for what, what was answered, bytes of body, milliseconds."""
        second = int(time.time())
        if second != self._second:
            self._second, self._stamp = second, timestamp(time.localtime(second))
        peer, referer, agent = (_safe(str(environ.get(key, ""))) for key in _FROM_ENVIRON)
        self._lines.append(
            f'{peer} - - [{self._stamp}] "{_safe(request)}" {code} {size or "-"} "{referer}" "{agent}" '
            f"ms={ms:.0f} worker={self._worker}\n".encode("ascii")
        )

    def flush(self) -> None:
        """Write what waits. A log that takes no more (EAGAIN, EPIPE) costs its lines and nothing else."""
        lines, self._lines = self._lines, []
        for line in lines:
            try:
                os.write(self._fd, line)
            except OSError:
                return


def timestamp(when: time.struct_time) -> str:
    """`10/Oct/2000:13:55:36 +0200`."""
    minutes = when.tm_gmtoff // 60
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return (
        f"{when.tm_mday:02}/{_MONTHS[when.tm_mon - 1]}/{when.tm_year}:{when.tm_hour:02}:{when.tm_min:02}:"
        f"{when.tm_sec:02} {sign}{minutes // 60:02}{minutes % 60:02}"
    )


def _safe(text: str) -> str:
    """A field between quotes. What comes from a client must neither end it nor the line, nor reach a terminal."""
    if not (text.isascii() and text.isprintable() and '"' not in text and "\\" not in text):
        return _escaped(text)
    return (text if len(text) <= _LONGEST else text[:_LONGEST] + _CUT) or "-"


def _escaped(text: str) -> str:
    """As much of it as may be written. An escape is up to four characters, and is not cut in two."""
    pieces, size = [], 0
    for c in text:
        piece = _escape(c)
        size += len(piece)
        if size > _LONGEST:
            pieces.append(_CUT)
            break
        pieces.append(piece)
    return "".join(pieces)


def _escape(c: str) -> str:
    if c in '"\\':
        return "\\" + c
    return c if c.isascii() and c.isprintable() else f"\\x{ord(c) & 0xFF:02x}"
