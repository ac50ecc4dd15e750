"""Bytes that wait: in memory up to a bound, in a nameless file beyond it. Knows not where they come from or go."""

from __future__ import annotations

import io
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from spyglass_systemd.backends.budget import Budget


class Memory(io.BytesIO):
    """A file in memory, whose bytes are `held` of a budget until it is closed."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self.held = 0

    def close(self) -> None:
        """Also when nobody refers to it any more: io.IOBase sees to that."""
        self.budget.give(self.held)
        self.held = 0
        super().close()


class Spool:
    """Bytes written once and then read from the beginning, as an app reads its input.

    `bound` bytes stay in memory, or less where the `budget` is used up.
    """

    __slots__ = ("_bound", "_fd", "_memory", "size")

    def __init__(self, bound: int, budget: Budget) -> None:
        self._bound = bound
        self._memory = Memory(budget)
        self._fd = -1
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append. Raises OSError where the file cannot grow (ENOSPC, EDQUOT)."""
        self.size += len(data)
        if self._fd < 0:
            memory = self._memory
            if self.size <= self._bound and memory.budget.take(len(data)):
                memory.held += len(data)
                memory.write(data)
                return
            self._fd = nameless_file()
            write_all(self._fd, memory.getvalue())  # no view of it: an error here would keep that, and it from closing
            memory.close()
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
        self._memory.close()
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
