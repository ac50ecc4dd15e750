"""Quoted strings in the value of a header field (RFC 9110 section 5.6.4): what stands in them separates nothing."""

from __future__ import annotations


def split(text: str, separator: str) -> list[str]:
    """At separators that are not inside a quoted string."""
    parts, start, quoted, escaped = [], 0, False, False
    for at, character in enumerate(text):
        if character == separator and not quoted:
            parts.append(text[start:at])
            start = at + 1
        elif escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
    return [*parts, text[start:]]
