"""Reading the journal through `systemd-python`: its extension module, for its wrapper makes other values of fields."""

from __future__ import annotations

import select

from systemd._reader import LOCAL_ONLY, _Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.sd import Entry, Groups


class Reader:
    """See the port. Raises OSError."""

    def __init__(self, groups: Groups, directory: str = "") -> None:
        self._reader = _Reader(0, directory) if directory else _Reader(LOCAL_ONLY)
        for group in groups:
            for match in group:
                self._reader.add_match(match)
                self._reader.add_disjunction()
            self._reader.add_conjunction()

    def to_time(self, realtime_us: int) -> None:
        """See the port."""
        self._reader.seek_realtime(realtime_us)

    def older(self) -> Entry | None:
        """See the port."""
        return self._entry() if self._reader._previous() else None  # noqa: SLF001  # see above

    def newer(self) -> Entry | None:
        """See the port."""
        return self._entry() if self._reader._next() else None  # noqa: SLF001  # see above

    def _entry(self) -> Entry:
        fields = {}
        for name, value in self._reader._get_all().items():  # noqa: SLF001  # see above
            first = value[0] if isinstance(value, list) else value
            fields[name] = first.decode(errors="replace")
        return self._reader._get_realtime(), fields  # noqa: SLF001  # see above

    def wait(self, seconds: float) -> None:
        """See the port."""
        poll = select.poll()
        poll.register(self._reader.fileno(), self._reader.get_events())
        poll.poll(1000 * seconds)
        self._reader.process()
