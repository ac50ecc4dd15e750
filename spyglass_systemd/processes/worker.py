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
    from spyglass_systemd.protocols.scoreboard import Row
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_BOOT_FAILED = 69  # EX_UNAVAILABLE; the Master has the reason by message


def run(
    channel: Channel, row: Row, listeners: tuple[Listener, ...], app: Any, settings: Settings, *, born_ns: int
) -> None:
    """Serve until the Master says Stop or is gone. Raises SystemExit with 69 where the app does not start here.

    `app` is None where the app is to be loaded in each worker (`preload = false`).
    """
    gc.enable()
    try:
        if app is None:
            app = apps.load(settings.app)
        kind = settings.kind if settings.kind != "auto" else apps.kind_of(app)
        leases.attach(row)
        gate = Gate(channel, row, listeners, born_ns=born_ns, quota=_quota(settings.max_requests))
        registry.backend(kind)(listeners, app, gate, settings)
    except AppError as error:
        channel.send(Broken(error.summary, error.trace))
        raise SystemExit(_BOOT_FAILED) from None


def _quota(max_requests: int) -> int:
    """`max_requests` less up to 10 %: workers that were forked together must not retire together."""
    if not max_requests:
        return 0
    return max_requests - int.from_bytes(os.urandom(4), sys.byteorder) % (max_requests // 10 + 1)
