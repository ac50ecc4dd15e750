"""What the value of an option may be, as functions of text and of what TOML has for it. Knows no option by name.

Each raises ValueError with a message that says what is expected.
"""

from __future__ import annotations

from spyglass_systemd.words.claims import FIELDS
from spyglass_systemd.words.hosts import Network
from spyglass_systemd.words.spans import LONGEST, parse_span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.words.rules import Rule

_SIZES = {"": 1, "B": 1} | {
    unit: 1024**power for power, letter in enumerate("KMG", 1) for unit in (letter, f"{letter}iB")
}
_YES, _NO, _OFF = ("true", "yes", "on", "1"), ("false", "no", "off", "0"), ("off", "never")
KINDS = ("auto", "wsgi", "asgi", "raw")
_DOTS = (".", "..")
_DIGITS = "0123456789"
_NAME_LIMIT = 64
_SITE_LIMIT = 22  # with `spyglass-` before it still the name of a user, which has 31 characters at most
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def text(value: object) -> str:
    """Any text without a control character in it."""
    if not isinstance(value, str):
        raise _wrong(value, "text (put it into quotes)")
    if any(character < " " or character == "\x7f" for character in value):
        raise _wrong(value, "text without control characters")
    return value


def texts(value: object) -> tuple[str, ...]:
    """One text or a list of them."""
    return tuple(text(item) for item in value) if isinstance(value, list) else (text(value),)


def variables(value: object, table: str = '[environment] NAME = "value"') -> dict[str, str]:
    """`NAME=VALUE`, or a TOML table of texts and whole numbers."""
    if isinstance(value, str):
        name, equals, content = value.partition("=")
        if not equals:
            raise _wrong(value, f"NAME=VALUE, or a table, as in {table}")
        value = {name: content}
    if not isinstance(value, dict):
        raise _wrong(value, f"a table, as in {table}")
    found = {}
    for name, content in value.items():
        if isinstance(content, bool) or not isinstance(content, str | int):
            raise _wrong(content, f"text, and {_shown(name)} must be (put it into quotes)")
        if not name or "=" in name or "\0" in f"{name}{content}":
            raise _wrong(f"{name}={content}", "a variable of an environment")
        found[name] = str(content)
    return found


def credentials(value: object) -> dict[str, str]:
    """`NAME=/path`, or a TOML table: which file the app finds under which name (LoadCredential= in systemd.exec(5))."""
    found = variables(value, '[credentials] NAME = "/path"')
    for name, path in found.items():
        if not name.isascii() or not name.isprintable() or any(letter in name for letter in "/: ") or name in _DOTS:
            raise _wrong(name, "a name for a credential: it will be one of a file")
        _whole(path)
    return found


def variable_files(value: object) -> tuple[str, ...]:
    """Files of variables, by whole paths; one with `-` before it need not be there (EnvironmentFile=)."""
    found = texts(value)
    for path in found:
        _whole(path.removeprefix("-"))
    return found


def _whole(path: str) -> None:
    if not text(path).startswith("/"):
        raise _wrong(path, "a whole path: it begins with a slash")


def switch(value: object) -> bool:
    """On or off."""
    if value is True or value in _YES:
        return True
    if value is False or value in _NO:
        return False
    raise _wrong(value, "true or false")


class one_of:  # noqa: N801  # it stands where the functions stand
    """For an option that takes one of `words`."""

    __slots__ = ("words",)

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, value: object) -> str:
        """The word."""
        if value not in self.words:
            raise _wrong(value, f"one of {', '.join(self.words)}")
        return str(value)


def number(value: object) -> int:
    """0, 1, 2 ..."""
    if isinstance(value, str) and value and not value.strip(_DIGITS):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(value, "a whole number")
    return value


def count(value: object) -> int:
    """1, 2, 3 ..."""
    found = number(value)
    if not found:
        raise _wrong(value, "a whole number from 1 on")
    return found


def span_or_off(value: object) -> float | None:
    """Seconds, more than 0; None for off."""
    found = _span(value)
    if found == 0:
        raise _wrong(value, "a span of time above 0 (off is never)")
    return found


def span(value: object) -> float:
    """Seconds, 0 or more."""
    found = _span(value)
    if found is None:
        raise _wrong(value, "possible here: a span of time with an end is needed")
    return found


def limit(value: object) -> float:
    """Seconds, more than 0."""
    found = span(value)
    if not found:
        raise _wrong(value, "a span of time above 0")
    return found


def size(value: object) -> int:
    """Bytes: `65536`, `64KiB`, `1M`; K, M and G are powers of 1024."""
    if isinstance(value, str):
        unit = value.lstrip(_DIGITS)
        digits, scale = value.removesuffix(unit), _SIZES.get(unit.strip())
        value = int(digits) * scale if digits and scale else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(value, "a size: write bytes (65536) or units (64KiB, 1MiB)")
    return value


def size_or_off(value: object) -> int | None:
    """Bytes; None for off, no limit."""
    return None if isinstance(value, str) and value in _OFF else size(value)


def app(value: object) -> str:
    """`module:attribute` or `module:factory()`, dots allowed on both sides."""
    spec = text(value)
    module, _, attribute = spec.partition(":")
    names = [*module.split("."), *attribute.removesuffix("()").split(".")]
    if module.endswith(".py") or not all(name.isidentifier() for name in names):
        raise _wrong(value, "an app: write module:attribute (blog.wsgi:application) or module:factory()")
    return spec


def label(value: object) -> str:
    """A word for log lines and listeners."""
    found = text(value)
    if not 0 < len(found) <= _NAME_LIMIT or not found.isascii() or any(letter in found for letter in " :=/"):
        raise _wrong(value, f"a name: up to {_NAME_LIMIT} ASCII characters without space, colon, equals sign or slash")
    return found


def site(value: object) -> str:
    """What a site can be called: it is part of the names of units, files and a user."""
    found = text(value)
    if not 0 < len(found) <= _SITE_LIMIT or found[0] not in _LETTERS or found.strip(_LETTERS + _DIGITS + "-"):
        raise _wrong(value, f"a name for a site: up to {_SITE_LIMIT} of a-z, 0-9 and -, the first a letter")
    return found


def mount(value: object) -> str:
    """The path that an app is mounted at, as SCRIPT_NAME has it: "" or `/blog`."""
    found = text(value)
    if found and (not found.startswith("/") or found.endswith("/")):
        raise _wrong(value, "a path prefix: write it as in /blog, with no slash at its end")
    return found


def proxies(value: object) -> tuple[str, ...]:
    """IP addresses, networks, and `unix` for who comes by a Unix socket."""
    found = texts(value)
    for proxy in found:
        if proxy != "unix":
            try:
                Network(proxy)
            except ValueError as error:
                raise ValueError(f"{error}: write 127.0.0.1, ::1, 10.0.0.0/8, or unix for a Unix socket") from None
    return found


def fields(value: object) -> tuple[str, ...]:
    """Header fields that a proxy sets, in lower case; in one text there are spaces between them."""
    found = tuple(name for names in texts(value) for name in names.lower().split())
    for name in found:
        if name not in FIELDS:
            raise _wrong(name, f"one of {', '.join(FIELDS)}")
    return found


def leads(value: object) -> dict[str, dict[str, str]]:
    """Which listener leads to which app: tables by the listeners' names, each with `app`, `kind`, `root_path`."""
    if not isinstance(value, dict):
        raise _wrong(value, 'a table of listeners, as in [listeners.admin] app = "blog.admin:app"')
    parsers: dict[str, Callable[[object], str]] = {"app": app, "kind": one_of(*KINDS), "root_path": mount}
    found = {}
    for name, table in value.items():
        if not isinstance(table, dict) or "app" not in table:
            raise _wrong(table, f"a table with app=, and listeners.{_shown(name)} must be")
        for key in table:
            if key not in parsers:
                raise _wrong(key, f"a key of listeners.{_shown(name)}: it has {', '.join(parsers)}")
        found[label(name)] = {key: parsers[key](content) for key, content in table.items()}
    return found


def rules(value: object) -> tuple[Rule, ...]:
    """What is answered without the app: a list of tables, each with `path` and what becomes of it."""
    from spyglass_systemd.words.rules import parse  # noqa: PLC0415  # for those who list some

    return parse(value)


def _span(value: object) -> float | None:
    if isinstance(value, str):
        return parse_span(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LONGEST:
        raise _wrong(value, "a span of time: write seconds (90) or units (5min, 1h 30min, 250ms)")
    return float(value)


def _shown(name: str) -> str:
    # A key of TOML can have any character in it, and a message goes to a terminal.
    return name if name.isprintable() else repr(name)


def _wrong(value: object, expected: str) -> ValueError:
    return ValueError(f"{value!r} is not {expected}")
