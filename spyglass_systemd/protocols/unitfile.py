"""Unit files and drop-ins as text, systemd.syntax(7). Knows no unit and no directive by name; opens nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Line = tuple[str, str, str]  # section, key, value; an empty value takes back what a list had before

_SPACE = " \t\r"  # what systemd takes off a line, which only "\n" ends; str.splitlines knows ten more ends
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@+,%~")


def write(lines: Iterable[Line], comment: str = "") -> str:
    """The text of a file with these lines, in their order, below a comment.

    Raises ValueError for a value that has a control character in it, or would go on in the next line: no unit file can
    say that.
    """
    parts = [*_commented(comment)]
    current = ""
    for section, key, value in lines:
        _check(value)
        if value.endswith("\\"):
            raise ValueError(f"{value!r} ends in a backslash, which takes the next line for more of this one")
        if section != current:
            parts += [*([""] if parts else []), f"[{section}]"]
            current = section
        parts.append(f"{key}={value}")
    return "\n".join(parts) + "\n"


def parse(text: str) -> tuple[Line, ...]:
    """The lines of a unit file; comments are left out, continued lines are one.

    Raises ValueError for what is no line.
    """
    found: list[Line] = []
    section, begun = "", ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(_SPACE)
        if line.startswith(("#", ";")):  # between the parts of a continued line as well
            continue
        line = begun + line
        if line.endswith("\\"):
            begun = line[:-1] + " "
            continue
        begun = ""
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line:
            key, equals, value = line.partition("=")
            if not equals or not section:
                raise ValueError(f"line {number}: {raw!r} is neither a section nor an assignment")
            found.append((section, key.rstrip(_SPACE), value.lstrip(_SPACE)))
    return tuple(found)


def literal(text: str) -> str:
    """`text` as a value that means itself: `%` is no specifier. Raises ValueError for a control character."""
    _check(text)
    return text.replace("%", "%%")


def word(text: str) -> str:
    """`text` as one word among several (Environment=, BindReadOnlyPaths=): quoted where it has to be."""
    escaped = literal(text)
    if text and _PLAIN.issuperset(text):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def argument(text: str) -> str:
    """`text` as one word of a line whose command puts no variables in (a `:` before it), whatever is in it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + "".join(each if each.isprintable() else _bytes(each) for each in escaped) + '"'


def _bytes(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def command(*words: str) -> str:
    """A line for ExecStart= that runs these words as they are: no variable is put in, no `;` begins another."""
    return " ".join(word(each).replace("$", "$$") for each in words)


def _commented(comment: str) -> list[str]:
    return [f"# {line}".rstrip() for line in comment.splitlines()]


def _check(value: str) -> None:
    if any(character < " " or character == "\x7f" for character in value):
        raise ValueError(f"{value!r} has a control character, which no unit file can hold")
