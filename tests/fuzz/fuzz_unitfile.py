"""Unit files: any text is lines or an error; what we write is read as what it was, and no value becomes two lines."""

from __future__ import annotations

from spyglass_systemd.protocols import unitfile

MAX = 300  # bytes of one input


def check(data):
    """Raises whatever should not be."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        lines = unitfile.parse(text)
    except ValueError:
        lines = ()
    for section, key, value in lines:
        assert section is not None
        assert "\n" not in key + value
    for value in (text, text.strip()):
        try:
            written = unitfile.write(
                [("Service", "A", unitfile.word(value)), ("Service", "B", unitfile.command("/x", value))]
            )
        except ValueError:
            assert any(character < " " or character == "\x7f" for character in value), value
            continue
        first, second = unitfile.parse(written)
        assert first == ("Service", "A", unitfile.word(value)), first
        assert second[:2] == ("Service", "B"), second
        assert unquoted(first[2]) == value


def unquoted(text):
    """A word as systemd reads it back: systemd.syntax(7), "Quoting", and `%%`."""
    text = text.replace("%%", "%")
    if not text.startswith('"'):
        return text
    found, characters = "", iter(text[1:-1])
    for character in characters:
        found += next(characters) if character == "\\" else character
    return found


def seeds():
    """Files, and values that are hard to write."""
    words = (
        "[Service]\nExecStart=/x \\\n  y\n# a\n;b\nUser = a\n",
        "[A]\n[B]\nc",
        "a=b",
        "\\",
        "a b",
        '"',
        "$HOME",
        "%i",
        "\u2028",
        "\u0085a=b",
        "x;y",
        "\x1b",
        "a\\",
        " a ",
    )
    return [word.encode() for word in words]
