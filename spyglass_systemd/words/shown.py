"""The value of an option as a person writes it, one value of several at a time. Knows no option by name."""

from __future__ import annotations

from spyglass_systemd.words.spans import format_span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.words.table import Option


def shown(option: Option, value: object) -> str:
    """As it stands on the command line, for `option.parse` to read back: `5min`, `64KiB`, `off`, `true`."""
    if value is None:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return format_span(value)
    if isinstance(value, int) and option.metavar == "SIZE":
        return _size(value)
    return str(value)


def _size(size: int) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size and size % scale == 0:
            return f"{size // scale}{unit}"
    return str(size)
