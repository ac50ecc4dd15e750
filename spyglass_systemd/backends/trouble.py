"""What is told of an error that an app has raised, whatever that is: telling it raises nothing. Writes it nowhere."""

from __future__ import annotations

from spyglass_systemd.protocols.apps import trace_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging

# ### What can go wrong in telling?
# An error is an object of the app's: its text is made by the app's code, and a SyntaxError whose offset is no number
# ends the standard library's traceback itself. And who tells it may be short of memory or descriptors. Then there is
# its type, and where it was raised.


def told(error: BaseException) -> str:
    """Its type, its text and its traceback."""
    try:
        return f"{type(error).__name__}: {error}\n{trace_of(error)}"
    except BaseException:  # noqa: BLE001  # the app's code, or none to be had: see above
        return bare(error)


def trace(error: BaseException) -> str:
    """Its traceback, as of `trace_of`."""
    try:
        return trace_of(error)
    except Exception:  # noqa: BLE001  # as above
        return bare(error)


def bare(error: BaseException) -> str:
    """Its type, and where it was raised, by nothing that can fail."""
    lines = [f"{type(error).__name__}, of which no more can be told\n"]
    at = error.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {at.tb_lineno}, in {code.co_name}\n')
        at = at.tb_next
    return "".join(lines)


def tellable(record: logging.LogRecord) -> bool:
    """A filter of `logging` that lets all through: with an error that nobody can format, its type and place instead.

    Where a logger raises, its caller does not come to answer anybody.
    """
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        import traceback  # noqa: PLC0415  # asyncio has it

        try:
            traceback.format_exception(error)
        except Exception:  # noqa: BLE001  # as above
            record.exc_info, record.exc_text = None, bare(error)
    return True
