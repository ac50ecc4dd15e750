"""Children that an app forks in a worker: they are the app's, and never serve. Knows no protocol."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# ### What becomes of a child that comes back from the app?
# It is a copy of the worker in the middle of its loop, with the same connections, epoll and row of the scoreboard: it
# would answer a client a second time, accept in the worker's place, and count. So whoever calls an app looks at `child`
# when that is back, by whatever way, and ends it there. A flag that the fork sets costs a request nothing; asking for
# the pid would be a system call.

child = False  # whether this process is one


def watch() -> None:
    """From now on, whoever is forked here is a child of the app."""
    os.register_at_fork(after_in_child=_mark)


def _mark() -> None:
    global child
    child = True


def leave(error: BaseException | None = None, otherwise: int = 0) -> NoReturn:
    """End this child as a program ends: by the status of SystemExit, or 1 and a traceback; `otherwise` without error.

    Nothing is run that is registered with atexit: it is the worker's, whose copies may name files of the worker's.
    """
    status = 1
    try:
        if error is None:
            status = otherwise
            sys.stderr.write("a child that the app has forked came back from it: it ends here, the worker answers\n")
        elif not isinstance(error, SystemExit):
            sys.excepthook(type(error), error, error.__traceback__)
        elif error.code is None or isinstance(error.code, int):
            status = (error.code or 0) & 0xFF
        else:
            sys.stderr.write(f"{error.code}\n")
        sys.stdout.flush()
        sys.stderr.flush()
    finally:  # an error here has nobody to go to
        os._exit(status)
