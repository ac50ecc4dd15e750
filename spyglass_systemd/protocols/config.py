"""The configuration file: TOML, each value made by the table of options. Knows no option by name, settles nothing."""

from __future__ import annotations

import marshal
import os

from spyglass_systemd.protocols import kept, offspring, signals
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.table import FILE, OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_KEPT = "config"  # the file's content and what it said, from the last wake
_NOWHERE: dict[str, str] = {}
_ASTRAY = "a key after a [table] belongs to that table: move it above the first table"
_SCREEN = "screen"  # a word of this file that is to be known before it is parsed


def read(path: str, environ: Mapping[str, str] = _NOWHERE) -> dict[str, object]:
    """The values that the file at `path` sets, by key, of the types that the table gives them.

    `environ`: of a service that has a cache directory, where a wake finds what the one before has parsed.

    Raises ConfigError, with the line where it can be told: no such file, no TOML, an unknown key, a bad value.
    """
    try:
        with open(path, "rb") as file:
            content = file.read().decode()
        table = _recalled(content, environ)
        if table is None:
            table = (_parsed_elsewhere(content) if _SCREEN in content else {}) or _parsed(content)
            _keep(content, table, environ)
    except OSError as error:
        hint = f"the user of the app reads it: `chmod 644 {path}`, or give it to a group of his"
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint=hint if isinstance(error, PermissionError) else ""
        ) from None
    except ValueError as error:  # TOMLDecodeError, which names the line, or UnicodeDecodeError
        raise ConfigError(f"{path} is not TOML: {error}", hint='a line looks like idle = "5min"') from None
    except RecursionError:  # tomllib calls itself for each [ in a [
        raise ConfigError(
            f"{path} is not read: it is nested too deeply", hint="an array in an array is enough"
        ) from None
    values = {}
    for key, value in table.items():
        option = OPTIONS.get(key)
        if option is None or FILE not in option.places:
            raise ConfigError(f"{path}{_line(content, key)}: there is no key {key!r}", hint=_hint(key))
        try:
            values[key] = option.parse(value)
        except ValueError as error:
            hint = _ASTRAY if _is_astray(value, str(error)) else f"{key}: {option.help}"
            raise ConfigError(f"{path}{_line(content, key)}: {key}: {error}", hint=hint) from None
    return values


# ### Why is a parsed file kept?
# Because each site has one, hardly anybody changes it, and each first visitor would wait for the parser: of all that we
# do at a wake, it takes longest. What is kept is the whole content beside what it said, so that no clock and no inode
# has to tell whether it is the same file. The values are made of it anew, by the table of this version.


def _recalled(content: str, environ: Mapping[str, str]) -> dict[str, object] | None:
    """What this very content said; None where that was not kept."""
    try:
        known, table = marshal.loads(kept.recall(environ, _KEPT))  # noqa: S302  # from a file of our own user
    except (EOFError, TypeError, ValueError):  # nothing, half of it, of another Python
        return None
    return table if known == content and isinstance(table, dict) else None


def _keep(content: str, table: dict[str, object], environ: Mapping[str, str]) -> None:
    try:
        kept.keep(environ, _KEPT, marshal.dumps((content, table)))
    except ValueError:  # a date, which no option has
        return


def _parsed(content: str) -> dict[str, object]:
    import tomllib  # noqa: PLC0415  # 13 ms, which an app without a file need not pay

    return tomllib.loads(content)


# ### Why is it parsed in another process?
# Because a parser of TOML and what it imports are two megabytes, and a Master that has read his file would keep them as
# long as he lives. One with a screen may live for long while its app sleeps and probes are answered, so for him a child
# parses, and takes the parser along. That is three milliseconds more, which the first visitor of any other app need not
# wait. What the child cannot say (a file that is no TOML, a date, which no option has) is found out here.


def _parsed_elsewhere(content: str) -> dict[str, object]:
    """What the file says; nothing where there is no process to be had, or no answer from it."""
    ours, theirs = os.pipe()
    held = signals.hold()  # the child answers none, and is gone before they would matter
    try:
        pid = os.fork() or _tell(theirs, content)
    except OSError:
        pid = 0
    finally:
        signals.release(held)
        os.close(theirs)
    with open(ours, "rb") as answer:
        told = answer.read()
    if pid:
        offspring.reap(pid)
    return marshal.loads(told) if told else {}  # noqa: S302  # from a child of ours


def _tell(fd: int, content: str) -> NoReturn:
    try:
        data = marshal.dumps(_parsed(content))
        with open(fd, "wb") as answer:
            answer.write(data)
    finally:
        os._exit(0)


def _line(content: str, key: str) -> str:
    """`:7` where line 7 sets `key`: tomllib keeps no line numbers, so the first line that looks like it is taken."""
    for number, line in enumerate(content.splitlines(), 1):
        left, equals, _ = line.strip().partition("=")
        name = left.lstrip("[").partition("]")[0].partition(".")[0].strip(" \t\"'")
        if name == key and (equals or left.startswith("[")):
            return f":{number}"
    return ""


def _is_astray(value: object, error: str) -> bool:
    """Whether what is wrong with a table, or one of a list, is a key in it that should stand before all tables."""
    tables = value if isinstance(value, list) else [value]
    for table in [each for each in tables if isinstance(each, dict)]:
        inner = [each for each in table.values() if isinstance(each, dict)]
        blamed = [name for name, content in table.items() if repr(name) in error or repr(content) in error]
        blamed += [name for each in inner for name in each if error.startswith(repr(name))]
        if any(name in OPTIONS and FILE in OPTIONS[name].places for name in blamed):
            return True
    return False


def _hint(key: str) -> str:
    from spyglass_systemd.words.nearest import nearest  # noqa: PLC0415  # for an error only

    near = nearest(key.replace("-", "_"), (option.key for option in OPTIONS.values() if FILE in option.places))
    return f"did you mean {near}?" if near else ""
