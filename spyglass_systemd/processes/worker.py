"""A worker: accepts and serves, speaks one protocol, counts itself in the scoreboard.

It knows its Master by one channel, and its siblings not at all.
"""

from __future__ import annotations

import gc
import os
import sys

from spyglass_systemd.backends import registry
from spyglass_systemd.backends.base import Gate
from spyglass_systemd.protocols import apps, leases
from spyglass_systemd.words.errors import AppError
from spyglass_systemd.words.reports import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.protocols.control import Channel
    from spyglass_systemd.protocols.row import Row
    from spyglass_systemd.words.listener import Lead
    from spyglass_systemd.words.options import Settings

UNKNOWN = "unknown"
_BOOT_FAILED = 69  # EX_UNAVAILABLE; the Master has the reason by message


def run(
    channel: Channel,
    row: Row,
    leads: tuple[Lead, ...],
    kind: str,
    settings: Settings,
    *,
    born_ns: int,
    place: memoryview,
) -> None:
    """Serve the apps of `kind` until the Master says Stop or is gone.

    `kind` is UNKNOWN where the apps are to be loaded in each worker (`preload = false`); `place` is where to note
    requests. Raises SystemExit with 69 where an app does not start here.
    """
    gc.enable()
    _draw_anew()
    try:
        if kind == UNKNOWN:
            kind = _load_here(leads)
        mine = tuple(lead for lead in leads if lead.kind == kind)
        for lead in leads:
            if lead not in mine:
                os.close(lead.listener.fd)  # a worker that does not serve it must not keep its address
        leases.attach(row)
        listeners = tuple(lead.listener for lead in mine)
        quota, screens = _quota(settings.max_requests), bool(settings.screen)
        gate = Gate(channel, row, listeners, born_ns=born_ns, quota=quota, screens=screens, place=place)
        registry.backend(kind)(mine, gate, settings)
    except AppError as error:
        channel.send(Broken(error.summary, error.trace))
        raise SystemExit(_BOOT_FAILED) from None


def _draw_anew() -> None:
    """Two workers must not draw the same numbers. Python sees to `random` after a fork, OpenSSL to itself."""
    numpy_random: Any = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _load_here(leads: tuple[Lead, ...]) -> str:
    kinds = apps.fill(leads)
    if len(kinds) > 1:
        raise AppError(
            f"apps of several kinds ({', '.join(kinds)}) cannot be told apart with preload = false",
            hint="a worker serves one kind: set preload = true, or run the apps as two services",
        )
    return kinds[0]


def _quota(max_requests: int) -> int:
    """`max_requests` less up to 10 %: workers that were forked together must not retire together."""
    if not max_requests:
        return 0
    return max_requests - int.from_bytes(os.urandom(4), sys.byteorder) % (max_requests // 10 + 1)
