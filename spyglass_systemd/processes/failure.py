"""A broken app, seen by its Master. Forks nothing and knows no state.

What broke, who was told, when to try again, and the fuse that answers meanwhile.
"""

from __future__ import annotations

import os
import time

from spyglass_systemd.policy import respawn
from spyglass_systemd.processes.alarm import FOREVER
from spyglass_systemd.protocols import notice, spoken
from spyglass_systemd.words.values import KINDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.processes.fuse import Fuse
    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.words.errors import SpyglassError
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_ERROR, _WARNING = 3, 4  # syslog(3)


class Failure:
    """`attempts` that failed in a row; `summary` of the last one, "" while the app works.

    `text` is the same with the traceback; it lies beside the scoreboard, whose path is `board_path`, as long as it is
    true. `trouble` is what kept us from forking a Template at all, until it is noted.
    """

    def __init__(self, board_path: str, log: Log, trouble: SpyglassError | None = None) -> None:
        self._board_path = board_path
        self._log = log
        self.trouble = trouble
        self.text = ""
        self._spoken: dict[str, str] = {}
        self.fuse: Fuse | None = None
        self.attempts = 0
        self.summary = ""
        self.since = 0.0
        self.retry_at = FOREVER

    def learn(self, listeners: tuple[Listener, ...], generation: Generation | None) -> None:
        """What the apps of a generation that serves speak; to be known when they cannot be loaded."""
        spoken_now = generation.spoken if generation is not None else ()
        pairs = zip(listeners, spoken_now, strict=False)
        known = {spoken.key(listener.label): kind for listener, kind in pairs if kind in KINDS}
        if known and known != self._spoken:
            self._spoken = known
            spoken.keep(os.environ, known)

    def _is_raw(self, listener: Listener, settings: Settings) -> bool:
        """As it is configured; else as it was when it worked, in this process or in an earlier one."""
        own = settings.listeners.get(listener.name)
        kind = own.get("kind", "auto") if own else settings.kind
        if kind == "auto":
            kind = (self._spoken or spoken.recall(os.environ)).get(spoken.key(listener.label), "")
        return kind == "raw"

    def open(self, listeners: tuple[Listener, ...], settings: Settings) -> None:
        """Begin to answer for the app."""
        from spyglass_systemd.processes.fuse import Fuse  # noqa: PLC0415  # loaded on failure only

        self.since = time.monotonic()
        if self.fuse is None:  # else it still talks to those who came when the app was broken before
            raw = frozenset(listener.fd for listener in listeners if self._is_raw(listener, settings))
            self.fuse = Fuse(listeners, settings.header_timeout, raw, introduced=settings.proxy_protocol)

    def see_off(self, guests: list[_socket.socket], listeners: tuple[Listener, ...], settings: Settings) -> None:
        """Answer for those whom the Master itself has accepted, and whom no worker will take."""
        if guests and self.fuse is None:
            self.open(listeners, settings)
        for sock in guests:
            if self.fuse is not None:
                self.fuse.adopt(sock)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What a Template must close."""
        return self.fuse.descriptors if self.fuse is not None else ()

    def close(self) -> None:
        """Drop whoever is still there."""
        if self.fuse is not None:
            self.fuse.close()

    def note(self, generation: Generation | None, *, at_once: bool) -> None:
        """It failed (again): the trouble, or that of `generation`. `at_once`: without a pause before the next attempt.

        The traceback is logged once, the failure each time.
        """
        trouble, self.trouble = self.trouble, None
        summary, trace = "the app does not start", ""
        if trouble is not None:
            summary = trouble.summary
        elif generation is not None and generation.trouble[0]:
            summary, trace = generation.trouble
        self.attempts += 1
        self.summary = summary
        pause = 0.0 if at_once else respawn.delay(self.attempts, jitter=os.urandom(1)[0] / 1280)
        self.retry_at = time.monotonic() + pause
        if self.fuse is not None:
            self.fuse.retry_at = self.retry_at
        text = f"{summary}\n{trace.rstrip()}" if trace else summary
        known, self.text = self.text == text, text
        told = summary if known else text
        self._log.event("failed", _WARNING if known else _ERROR, told, attempt=self.attempts, retry=f"{pause:.1f}s")
        if not known:
            notice.put(self._board_path, notice.LAST_ERROR, f"{text}\n")

    def mended(self) -> None:
        """The app works. Those whom the fuse still talks to are seen off."""
        self.attempts, self.summary, self.text, self.retry_at = 0, "", "", FOREVER
        notice.drop(self._board_path, notice.LAST_ERROR)
        # What a later failure needs is loaded now, while nobody waits for it: a package that is upgraded under a
        # running Master must not give it half of the new version.
        from spyglass_systemd.processes import fuse  # noqa: F401, PLC0415

    @property
    def refused(self) -> int:
        return self.fuse.refused if self.fuse is not None else 0

    @property
    def talking(self) -> bool:
        return self.fuse is not None and self.fuse.open > 0

    def quiet_since(self) -> float:
        """When the last connection was answered, in monotonic seconds."""
        return max(self.since, self.fuse.last_activity if self.fuse is not None else 0.0)

    def check(self, alarm: Alarm) -> None:
        """Close what has been talked to for too long; forget a fuse that has nobody left to talk to."""
        if self.fuse is not None:
            self.fuse.expire(alarm.now)
            deadline = self.fuse.deadline()
            if deadline is not None:
                alarm.due(deadline)
            if not self.summary and not self.fuse.open:
                self.fuse = None
