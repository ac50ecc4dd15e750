"""Reading the journal through `cysystemd`. Waits by itself: the library's own waiting cannot be interrupted."""

from __future__ import annotations

import errno
import select
from contextlib import contextmanager

from cysystemd.reader import JournalOpenMode, JournalReader, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cysystemd.reader import JournalEntry

    from spyglass_systemd.sd import Entry, Groups


class Reader:
    """See the port. Raises OSError."""

    def __init__(self, groups: Groups, directory: str = "") -> None:
        self._reader = JournalReader()
        with _its_errors():
            if directory:
                self._reader.open_directory(directory)
            else:
                self._reader.open(JournalOpenMode.LOCAL_ONLY)
            for group in groups:
                self._reader.add_filter(_rule(group))

    def to_time(self, realtime_us: int) -> None:
        """See the port."""
        with _its_errors():
            self._reader.seek_realtime_usec(realtime_us)

    def older(self) -> Entry | None:
        """See the port."""
        with _its_errors():
            return _entry(self._reader.previous())

    def newer(self) -> Entry | None:
        """See the port."""
        with _its_errors():
            return _entry(self._reader.next())

    def wait(self, seconds: float) -> None:
        """See the port."""
        poll = select.poll()
        with _its_errors():
            poll.register(self._reader.fd, self._reader.events)
            poll.poll(1000 * seconds)
            self._reader.process_events()


def _rule(group: tuple[str, ...]) -> Rule:
    """One of the matches. The last rule of a chain ends with an AND of its own, which is what is between groups."""
    name, _, value = group[0].partition("=")
    rule = Rule(name, value)
    for match in group[1:]:
        name, _, value = match.partition("=")
        rule |= Rule(name, value)  # the new end of the chain
    return rule


def _entry(found: JournalEntry | None) -> Entry | None:
    if found is None:
        return None
    fields = {name: value[0] if isinstance(value, list) else value for name, value in found.data.items()}
    return found.get_realtime_usec(), fields


@contextmanager
def _its_errors() -> Iterator[None]:
    """Its word for an error is SystemError("Permission denied", "EACCES")."""
    try:
        yield
    except SystemError as error:
        text, name = error.args
        raise OSError(getattr(errno, name), text) from None
