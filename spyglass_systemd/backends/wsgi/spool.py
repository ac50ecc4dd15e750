"""Bytes that wait: in memory up to a bound, in a nameless file beyond it. Knows not where they come from or go."""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


class Spool:
    """Bytes written once and then read from the beginning, as an app reads its input."""

    __slots__ = ("_bound", "_fd", "_memory", "size")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._memory = io.BytesIO()
        self._fd = -1
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append. Raises OSError where the file cannot grow (ENOSPC, EDQUOT)."""
        self.size += len(data)
        if self._fd < 0:
            self._memory.write(data)
            if self.size <= self._bound:
                return
            self._fd = nameless_file()
            data = self._memory.getvalue()
            self._memory = io.BytesIO()
        write_all(self._fd, data)

    def reader(self) -> BinaryIO:
        """All of it as a file to read from, which is the reader's from now on."""
        if self._fd < 0:
            self._memory.seek(0)
            return self._memory
        fd, self._fd = self._fd, -1
        os.lseek(fd, 0, os.SEEK_SET)
        return open(fd, "rb")  # closed when the request is over

    def close(self) -> None:
        """Forget it all."""
        self._memory = io.BytesIO()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def nameless_file() -> int:
    """A descriptor of a new file without a name, gone when it is closed.

    In $TMPDIR, else in /var/tmp, which is for what may be large: /tmp is memory on many systems. So is the last resort,
    where no directory takes it.
    """
    for directory in (os.environ.get("TMPDIR"), "/var/tmp", "/tmp"):  # noqa: S108  # there is no name to guess
        if directory:
            try:
                return os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            except OSError:
                continue
    return os.memfd_create("spool")


def write_all(fd: int, data: bytes | memoryview) -> None:
    """write(2) until all is written. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
