"""What is told of an error that an app has raised, whatever that is: telling it raises nothing. Writes it nowhere."""

from __future__ import annotations

import errno

from spyglass_systemd.protocols.apps import trace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

# ### What can go wrong in telling?
# An error is an object of the app's: its text is made by the app's code, and a SyntaxError whose offset is no number
# ends the standard library's traceback itself. And who tells it may be short of memory or descriptors, and so without
# the modules to tell it by. Then there is its type, why there is no more, and where it was raised.


def told(error: BaseException) -> str:
    """Its type, its text and its traceback."""
    return tried(error, lambda error: f"{type(error).__name__}: {error}\n{trace_of(error)}")


def trace(error: BaseException) -> str:
    """Its traceback, as of `trace_of`."""
    return tried(error, trace_of)


def tried(error: BaseException, tell: Callable[[BaseException], str]) -> str:
    """As `tell` has it, or what can be said without."""
    text, why = _attempt(error, tell)
    return text if why is None else _bare(error, why)


def tellable(record: logging.LogRecord) -> bool:
    """A filter of `logging` that lets all through: with an error that nobody can format, its type and place instead.

    Where a logger raises, its caller does not come to answer anybody.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        why = _attempt(error, _formatted)[1]
        if why is not None:
            record.exc_info, record.exc_text = None, _bare(error, why)
    return True


def _attempt(error: BaseException, tell: Callable[[BaseException], str]) -> tuple[str, BaseException | None]:
    try:
        return tell(error), None
    except BaseException as why:  # noqa: BLE001  # the error's own code may raise whatever it likes, SystemExit too
        return "", why


def _formatted(error: BaseException) -> str:
    import traceback  # noqa: PLC0415  # asyncio has it

    return "".join(traceback.format_exception(error))


def _bare(error: BaseException, why: BaseException) -> str:
    """By nothing that can fail."""
    lines = [f"{_named(error)} (no traceback can be written: {_named(why)})\n"]
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}\n')
        at = at.tb_next
    return "".join(lines)


def _named(error: BaseException) -> str:
    """Without its own text, which may raise; with the number of an error of the system's."""
    name, number = type(error).__name__, error.errno if isinstance(error, OSError) else None
    return f"{name} {errno.errorcode.get(number, number)}" if type(number) is int else name
