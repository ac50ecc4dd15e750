"""Any text as one printable line: nothing in it ends the line, moves a cursor or outgrows its place. Writes nothing."""

from __future__ import annotations

CUT = "..."


def one_line(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, with every unprintable character as Python escapes it.

    Newlines, ESC and lone surrogates are unprintable, so the result is one line and can always be encoded.
    """
    text = text[: limit + 1]
    if not text.isprintable():
        text = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    data = text.encode()
    if len(data) <= limit:
        return text
    return data[: limit - len(CUT)].decode(errors="ignore") + CUT


def pair(name: str, value: object, limit: int) -> str:
    """`name=value` as logs write it: a value with a space, a quote or anything unprintable in it stands in quotes."""
    text = str(value)
    if text and text.isprintable() and not any(character in ' "=' for character in text):
        return f"{name}={one_line(text, limit)}"
    escaped = text[: limit + 1].replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{one_line(escaped, limit)}"'
