"""What a process was at when it got stuck: the request of each worker, the stacks of all threads. Ends nobody.

Private to the processes of one generation: a request line may hold what is nobody else's business, so it is not in the
scoreboard, which anybody may read.
"""

from __future__ import annotations

import os
from mmap import MAP_SHARED, PROT_READ, PROT_WRITE, mmap

from spyglass_systemd.protocols import offspring, signals

# ### Why faulthandler?
# Because who is stuck reads no message and runs no handler of Python's: he may be in a loop of C code, in a lock that
# nobody will open, in a query that does not end. faulthandler's handler is C, takes no lock and needs no memory; it
# writes the stack of each thread as it is. It is registered in the Template, before the app is imported, for an import
# can hang as well; a worker inherits it.
#
# ### Where does it write to?
# Into a file without a name. Its position is shared by all who have inherited it, so the Master sets it before he asks;
# and he asks one process at a time.
#
# ### Why is the request noted before each call of the app?
# Because nobody can be asked for it later. It is a copy of some bytes into memory that is there: 0.3 us.

NOTE = 256  # bytes of a request line that are kept
_STACKS = 16 * 1024  # bytes of what faulthandler writes that are read
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NOT_THE_APPS = (f'  File "{_OURS}', '  File "<frozen importlib', '  File "<frozen runpy')


class Witness:
    """The file's descriptor, -1 for none, and the memory for the notes of `places` workers."""

    __slots__ = ("_memory", "fd")

    def __init__(self, fd: int, places: int) -> None:
        self.fd = fd
        self._memory = mmap(-1, places * NOTE, MAP_SHARED, PROT_READ | PROT_WRITE)

    @classmethod
    def create(cls, places: int) -> Witness:
        """Before a fork; both sides have it afterwards. Where there is no descriptor to be had, nobody can be asked."""
        try:
            return cls(os.memfd_create("spyglass-witness"), places)
        except OSError:
            return cls(-1, places)

    def swear(self) -> None:
        """In the Template: from here on it, and whoever it forks, can be asked for its stacks."""
        if self.fd < 0:
            return
        import faulthandler  # noqa: PLC0415  # a builtin: 30 us, and as much again for `register`

        faulthandler.register(signals.STACKS, file=self.fd, all_threads=True)

    def place(self, number: int) -> memoryview:
        """Where the worker on row `number` notes its request; `noted` reads it."""
        return memoryview(self._memory)[number * NOTE : (number + 1) * NOTE]

    def noted(self, number: int) -> str:
        """The request line that the worker on row `number` was at last, "" for none."""
        return bytes(self.place(number)).partition(b"\n")[0].strip(b"\0").decode("utf-8", "replace")

    def forget(self, number: int) -> None:
        """The place is another worker's now."""
        self.place(number)[0:1] = b"\n"

    def ask(self, pidfd: int) -> None:
        """Have a process write its stacks. It takes a moment, and may never happen: who is stopped writes nothing."""
        if self.fd >= 0:
            os.ftruncate(self.fd, 0)
            os.lseek(self.fd, 0, os.SEEK_SET)
            offspring.send_signal(pidfd, signals.STACKS)

    def stacks(self) -> str:
        """What was written since `ask`, from the app's frames on; "" for nothing."""
        if self.fd < 0:
            return ""
        text = os.pread(self.fd, _STACKS, 0).decode("utf-8", "replace")
        return "\n".join(line for line in text.splitlines() if not line.startswith(_NOT_THE_APPS))

    def close(self) -> None:
        """For the Master, when the generation is gone."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __repr__(self) -> str:
        return f"<Witness fd={self.fd}>"


def note(place: memoryview, line: bytes) -> None:
    """This is the request that the app is at from here on."""
    text = line[: NOTE - 1] + b"\n"
    place[: len(text)] = text
