"""Values and tables as TOML text, for a file that a person goes on writing. Reads none: the standard library does."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def assignment(key: str, value: object) -> str:
    """`key = value`, of a text, a truth, a whole number, or a list of them."""
    return f"{_key(key)} = {_value(value)}"


def table(name: str, values: Mapping[str, object]) -> str:
    """A table: whatever follows belongs to it, so it goes to the end of a file."""
    return "\n".join([f"[{name}]", *(assignment(key, value) for key, value in values.items())])


def _value(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    # What JSON writes for these is TOML as well, but for one control character that JSON lets stand.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(key: str) -> str:
    return key if key and _BARE.issuperset(key) else _value(key)
