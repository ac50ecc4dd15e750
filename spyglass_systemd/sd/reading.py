"""Walks through the journal: the last so many entries, those since a moment, those to come. Knows no library."""

from __future__ import annotations

from spyglass_systemd.sd import adapter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from spyglass_systemd.sd import Entry, Groups, Journal

_LOOK = 1.0  # seconds between two looks at a journal that says nothing: inotify(7) is silent on some file systems

# ### Why backwards first?
# Because only whoever walks knows which entries count: a filter that sees a whole entry decides more than a match can.
# So the walk to the n-th last goes entry by entry from the end, and then the same way forward again. The end is a time
# that never comes: the step back from where sd_journal_seek_tail(3) leads misses the newest entry in some libsystemds.
_END = 2**62  # microseconds


def read(
    groups: Groups,
    *,
    since_us: int = 0,
    last: int | None = None,
    follow: bool = False,
    keep: Callable[[dict[str, str]], bool] = lambda _: True,
    directory: str = "",
) -> Iterator[Entry]:
    """Entries that match all `groups` and that `keep` wants, oldest first, as microseconds and fields.

    No older ones than `since_us`, and of those the `last` so many. With `follow`, those to come as well: for ever.
    Raises OSError.
    """
    journal = adapter().journal_open(groups, directory)
    if follow:
        journal.wait(0)  # from here on it knows when something is written
    return _walk(journal, _first(journal, since_us, last, keep), keep, follow=follow)


def _walk(
    journal: Journal, entry: Entry | None, keep: Callable[[dict[str, str]], bool], *, follow: bool
) -> Iterator[Entry]:
    while True:
        if entry is not None:
            if keep(entry[1]):
                yield entry
        elif follow:
            journal.wait(_LOOK)
        else:
            return
        entry = journal.newer()


def _first(journal: Journal, since_us: int, last: int | None, keep: Callable[[dict[str, str]], bool]) -> Entry | None:
    if last is not None:
        journal.to_time(_END)
        left = last
        while (entry := journal.older()) is not None:
            if not left or entry[0] < since_us:
                return journal.newer()
            left -= keep(entry[1])
            if not left:
                return entry
    journal.to_time(since_us)
    return journal.newer()
