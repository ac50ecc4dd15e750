"""Whether memory is short, as the service manager or the kernel tells it. Decides nothing about it.

systemd 254 and newer says what to watch (systemd.io/MEMORY_PRESSURE: two variables, for a PSI file or a FIFO). An older
one says nothing: then the cgroup's own file is read. Without either nobody is ever pressed.
"""

from __future__ import annotations

import os
import select
import stat
from binascii import Error, a2b_base64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LASTS = 30.0  # seconds after word of it, or after a look that found it
_SOONEST = 0.5  # seconds between two words of the kernel, at least: a window of it is two seconds
_LOOK = 5.0  # seconds between two looks at a file of which nobody gives word
_SHORT = 10.0  # percent of the last ten seconds in which something waited for memory; systemd's own default
_CGROUPS = "/sys/fs/cgroup"


class Pressure:
    """`fd` is to be polled for `events`, and `heed` called then; -1 where there is nothing to poll.

    Then `path` is the file that is read instead, "" for none.
    """

    __slots__ = ("_look_at", "_until", "events", "fd", "path")

    def __init__(self, fd: int, events: int, path: str) -> None:
        self.fd = fd
        self.events = events
        self.path = path
        self._until = self._look_at = 0.0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Pressure:
        """What is to be watched; where that cannot be, the cgroup's file."""
        told = environ.get("MEMORY_PRESSURE_WATCH", "")
        if told == "/dev/null":  # switched off
            return cls(-1, 0, "")
        if told:
            try:
                return cls(*_watch(told, a2b_base64(environ.get("MEMORY_PRESSURE_WRITE", ""))), "")
            except (OSError, Error):  # no such file, a trigger that this kernel does not allow us, no base64
                pass
        return cls(-1, 0, _own_file())

    def heed(self, now: float) -> None:
        """There was an event."""
        if self.events == select.POLLPRI and now < self._until - _LASTS + _SOONEST:  # POLLERR, which never ends
            os.close(self.fd)
            self.fd = -1
            return
        self._until = now + _LASTS
        if self.events == select.POLLIN:
            os.read(self.fd, 4096)

    def is_high(self, now: float) -> bool:
        """Whether memory is short at `now`, in monotonic seconds. Reads the file, if that is how it is known."""
        if self.path and now >= self._look_at:
            self._look_at = now + _LOOK
            if _stalled(self.path) >= _SHORT:
                self._until = now + _LASTS
        return now < self._until

    @property
    def look_at(self) -> float:
        """When `is_high` would read again; 0.0 where it reads nothing."""
        return self._look_at


def _watch(path: str, trigger: bytes) -> tuple[int, int]:
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if trigger:
            os.write(fd, trigger)
        return fd, select.POLLIN if stat.S_ISFIFO(os.fstat(fd).st_mode) else select.POLLPRI
    except OSError:
        os.close(fd)
        raise


def _own_file() -> str:
    """Of the cgroup that we are in, in the unified hierarchy; "" where there is none."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as groups:
            own = next((line[3:].rstrip("\n") for line in groups if line.startswith("0::")), "")
    except OSError:
        return ""
    path = f"{_CGROUPS}{own.rstrip('/')}/memory.pressure"
    return path if own and os.path.exists(path) else ""


def _stalled(path: str) -> float:
    """`some avg10=1.53 avg60=...`: that percentage; 0.0 where it cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return float(file.readline().split()[1].removeprefix("avg10="))
    except (OSError, ValueError, IndexError):
        return 0.0
