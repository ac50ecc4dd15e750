"""A text beside the scoreboard, for tools to show: what broke, in the app's own words. Raises nothing."""

from __future__ import annotations

import os

RELOAD_ERROR = "reload-error"  # of the last reload, where that failed
_LIMIT = 16 * 1024  # characters


def put(board: str, name: str, text: str) -> None:
    """Write `text` into the file `name` beside the scoreboard at the path `board`; without a board, nothing is written.

    A reader has the old text or the whole new one, and whoever may look at the scoreboard may read it.
    """
    if not board:
        return
    directory = os.path.dirname(board)
    new = f"{directory}/.{name}.new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)
            os.write(fd, text[:_LIMIT].encode(errors="replace"))
        finally:
            os.close(fd)
        os.rename(new, f"{directory}/{name}")
    except OSError:  # a full tmpfs; it is in the log as well
        drop(board, name)  # an old text would be taken for the new one


def drop(board: str, name: str) -> None:
    """It is over: there is no such text any more."""
    if board:
        try:
            os.unlink(f"{os.path.dirname(board)}/{name}")
        except OSError:
            return  # there was none
