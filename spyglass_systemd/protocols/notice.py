"""A text beside the scoreboard, for tools to show: what broke, in the app's own words. Raises nothing."""

from __future__ import annotations

import os

LAST_ERROR = "last-error"  # why the app does not serve, while it does not
RELOAD_ERROR = "reload-error"  # of the last reload, where that failed
RESTART_NEEDED = "restart-needed"  # what has changed that no reload brings
_LIMIT = 64 * 1024  # bytes

# ### Why may not everybody read them, as the scoreboard?
# Because a traceback shows lines of the source, and whatever the app has put into its exception: a password, at times.
# So they are for root and for the app's own user and group, as the journal is for few. What is on the first line stands
# in STATUS=, where everybody sees it.
_MODE = 0o640


def put(board: str, name: str, text: str) -> None:
    """Write `text` into the file `name` beside the scoreboard at the path `board`; without a board, nothing is written.

    A reader has the old text or the whole new one.
    """
    if not board:
        return
    directory = os.path.dirname(board)
    new = f"{directory}/.{name}.new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        try:
            os.fchmod(fd, _MODE)  # whatever the umask
            os.write(fd, text.encode(errors="replace")[:_LIMIT])
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
