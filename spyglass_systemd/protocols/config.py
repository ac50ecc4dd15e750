"""The configuration file: TOML, each value made by the table of options. Knows no option by name, settles nothing."""

from __future__ import annotations

from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.table import FILE, OPTIONS


def read(path: str) -> dict[str, object]:
    """The values that the file at `path` sets, by key, of the types that the table gives them.

    Raises ConfigError, with the line where it can be told: no such file, no TOML, an unknown key, a bad value.
    """
    import tomllib  # noqa: PLC0415  # 13 ms, which an app without a file need not pay

    try:
        with open(path, "rb") as file:
            content = file.read().decode()
        table = tomllib.loads(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
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
            raise ConfigError(f"{path}{_line(content, key)}: {key}: {error}", hint=f"{key}: {option.help}") from None
    return values


def _line(content: str, key: str) -> str:
    """`:7` where line 7 sets `key`: tomllib keeps no line numbers, so the first line that looks like it is taken."""
    for number, line in enumerate(content.splitlines(), 1):
        left, equals, _ = line.strip().partition("=")
        name = left.lstrip("[").partition("]")[0].partition(".")[0].strip(" \t\"'")
        if name == key and (equals or left.startswith("[")):
            return f":{number}"
    return ""


def _hint(key: str) -> str:
    from spyglass_systemd.words.nearest import nearest  # noqa: PLC0415  # for an error only

    near = nearest(key.replace("-", "_"), (option.key for option in OPTIONS.values() if FILE in option.places))
    return f"did you mean {near}?" if near else ""
