"""Ends a child of the app's, as `forked` has it, that comes back to our asyncio loop. Knows no protocol."""

from __future__ import annotations

import os
import sys

from spyglass_systemd.backends import forked

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Any, NoReturn

    from spyglass_systemd.backends.base import Gate

# ### What is a child that goes astray?
# One whose code ends by `sys.exit()`, by a return or by an `await`, in place of `os._exit()`. Then it is in our loop,
# with copies of all our sockets and with the same epoll, and would be a second server that nobody knows of: it answers
# whoever is being answered, takes bytes of others, and writes to the scoreboard. What it does before that is its own
# affair. A request costs this nothing: all is done in the child, when it begins.


def guard(loop: asyncio.AbstractEventLoop, gate: Gate, deafen: Callable[[Callable[..., NoReturn]], None]) -> None:
    """From now on no child of this process gets further than to the next turn of `loop`.

    In a child, `deafen` is called with what ends it, to be put in the place of whatever leads to a client.
    """

    def begun() -> None:
        if loop.is_closed():
            return
        for handle in getattr(loop, "_ready", ()):  # asyncio's: what this turn has still to do, its parent does
            handle.cancel()
        loop.call_soon(leave)
        gate.row = Nowhere()  # type: ignore[assignment]  # which uvloop's turn may have still to write to
        deafen(leave)

    forked.watch()
    os.register_at_fork(after_in_child=begun)


def check() -> None:
    """End this process if it is a child of the app's; call where its code has ended."""
    if forked.child:
        leave()


def leave(*_: Any) -> NoReturn:
    """By the error that is being handled, if there is one; else in the middle of something, which is no success."""
    forked.leave(sys.exc_info()[1], otherwise=1)


class Nowhere:
    """In place of a transport: whatever is asked of it ends the process."""

    def __getattr__(self, _name: str) -> Any:
        leave()
