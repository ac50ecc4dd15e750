"""Where uvicorn, in our ASGI worker, answers the rows of http_rules otherwise than the WSGI worker: found, and as text.

Run it to write what it finds into the list in docs/reference/http.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asgi_talk import Counter, echo
from http_rules import RULES
from talk import answers, pieces

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"
SERVERS = ("httptools", "h11")
BEGIN, END = "<!-- differences -->\n", "<!-- end -->\n"
_LONGEST = 44


def outcome(server, sent, size=0):
    """The answers and the end, as the table has them."""
    data, end = Counter(echo, server).talk(pieces(sent, size))
    try:
        return tuple(answer.short for answer in answers(data)), end
    except AssertionError:  # a head that promises a body and has none
        return (data.partition(b"\r\n")[0].decode("latin-1"),), "no response"


def told(found, end):
    """In a cell: `200 GET /x`, or a status; then what becomes of the connection."""
    parts = [f"`{code}`" if isinstance(code, int) else f"`{_short(code)}`" for code in found]
    return " ".join([*parts, end])


def _short(text):
    text = text.encode("unicode_escape").decode().replace("|", " + ")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def listed():
    """The lines of the list."""
    lines = ["| rule | RFC, section | wsgi | asgi, httptools | asgi, h11 |", "|---|---|---|---|---|"]
    for rule in RULES:
        ours = told(rule.answers, rule.end)
        theirs = [told(*outcome(server, rule.sent)) for server in SERVERS]
        if any(cell != ours for cell in theirs):
            cells = [cell if cell != ours else "the same" for cell in theirs]
            lines.append(f"| {rule.name} | {rule.section} | {ours} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def main():
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{listed()}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
