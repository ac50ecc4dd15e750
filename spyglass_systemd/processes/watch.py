"""Watches the files of an app, in the Master's loop: a look now and then. Knows no state of the app."""

from __future__ import annotations

import time

from spyglass_systemd.protocols import tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.alarm import Alarm
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.words.options import Settings

_PAUSE = 0.5  # seconds between two surveys
_SHARE = 100  # and so many times what one takes: a large tree costs one percent of a core
_BREATH = 0.001  # seconds between two portions of one survey, for everybody else
_COARSE_NS = 20_000_000  # by how much a file system's clock may be behind
_NOTICE = 5  # syslog(3)

# ### Why not inotify(7)?
# Because it watches folders, not names. A deploy that lets a link lead elsewhere, a folder that is not there yet, a
# tree of ten thousand folders, a file system over the network: each needs something of its own, beside ctypes, which no
# Master has. A look at the names as they are written is the same for all of these, and what it costs has a bound. It is
# done only while an app is broken, and for developers, who wait half a second (docs/adr/0005).


class Watch:
    """The files of the app that `settings` describe; it was loaded at `loaded_ns` of the wall clock."""

    def __init__(self, settings: Settings, loaded_ns: int, log: Log) -> None:
        self._log = log
        self._places = tree.places(settings)
        self._survey = tree.survey(*self._places)
        self._loaded_ns = loaded_ns - _COARSE_NS
        self._mark: int | None = None
        self._spent = 0.0
        self._at = 0.0

    def covers(self, settings: Settings) -> bool:
        """Whether these settings have the app's files where they are looked for."""
        return self._places == tree.places(settings)

    def changed(self, alarm: Alarm) -> bool:
        """Whether a survey has ended in this turn and some file is not what it was."""
        if not alarm.due(self._at):
            return False
        began = time.monotonic()
        try:
            next(self._survey)
        except StopIteration as end:
            sight = end.value
        else:
            self._spent += time.monotonic() - began
            self._at = alarm.now + _BREATH
            alarm.due(self._at)
            return False
        self._at = alarm.now + max(_PAUSE, _SHARE * (self._spent + time.monotonic() - began))
        alarm.due(self._at)
        self._survey, self._spent = tree.survey(*self._places), 0.0
        # The first survey has none before it, but the time when the app was loaded: who was quicker is not overlooked.
        before, self._mark = self._mark, sight.mark
        changed: bool = sight.newest_ns > self._loaded_ns if before is None else sight.mark != before
        if changed:
            self._log.event("changed", _NOTICE, newest=sight.newest)
        return changed
