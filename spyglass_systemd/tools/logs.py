"""What the journal has of a site: its events, what the app prints, what systemd says of its units. Prints nothing."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spyglass_systemd.protocols.journal import INFO, MESSAGE_IDS
from spyglass_systemd.sd.reading import read as read_journal
from spyglass_systemd.tools.switch import sockets
from spyglass_systemd.words.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.sd import Groups
    from spyglass_systemd.tools.places import Site

EVENT, OURS, APP, MANAGER = "event", "spyglass", "app", "systemd"
EVERYTHING = (EVENT, OURS, APP, MANAGER)
_EVENTS = {number: name.lower() for name, number in MESSAGE_IDS.items()}
_LIMIT = 4000  # bytes a line

# ### Whose words are these?
# Fields with an underscore are the journal's own: which unit an entry comes from cannot be forged. What an app says
# can be: it runs as the user that its Master runs as, and may send an entry with our MESSAGE_ID. That fools nobody but
# who reads its own log. Of the entries about a unit (UNIT=) only those of systemd are taken, or every app could write
# into the log of every other.


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: when, in seconds since 1970; whose; of what weight, syslog(3); its lines, all printable.

    `event` is the name of the event in lower case, "" where it is none.
    """

    when: float
    source: str
    event: str
    priority: int
    lines: tuple[str, ...]


def read(
    site: Site,
    *,
    sources: tuple[str, ...] = EVERYTHING,
    since: float | None = None,
    last: int | None = None,
    follow: bool = False,
) -> Iterator[Entry]:
    """Entries about a site, oldest first: those of the last `since` seconds, of those the `last` so many.

    With `follow`, those to come as well, for ever. Raises OSError.
    """
    entries = read_journal(
        groups(site, os.getuid(), sources),
        since_us=int((time.time() - since) * 1e6) if since is not None else 0,
        last=last,
        follow=follow,
        keep=lambda fields: source_of(site, fields) in sources,
    )
    return (entry(site, when, fields) for when, fields in entries)


def groups(site: Site, uid: int, sources: tuple[str, ...]) -> Groups:
    """What the journal is asked for: of each group an entry has one."""
    field, about = ("_SYSTEMD_USER_UNIT", "USER_UNIT") if site.places.user else ("_SYSTEMD_UNIT", "UNIT")
    own = f"{field}={site.service}"
    found: list[tuple[str, ...]] = [
        (own, *[f"{about}={unit}" for unit in (site.service, *sockets(site))]),
        (own, f"_UID={uid}" if site.places.user else "_PID=1"),
    ]
    if site.places.user:
        found.append((f"_UID={uid}",))
    if sources == (EVENT,):
        found.append(tuple(f"MESSAGE_ID={number}" for number in _EVENTS))
    return tuple(found)


def source_of(site: Site, fields: dict[str, str]) -> str:
    """Whose words an entry is: the name of one of the sources."""
    if fields.get("_SYSTEMD_USER_UNIT" if site.places.user else "_SYSTEMD_UNIT") != site.service:
        return MANAGER
    if fields.get("MESSAGE_ID") in _EVENTS:
        return EVENT
    # A line of ours that is no event begins as they all do: the app, then who speaks.
    ours = re.match(rf"{re.escape(site.name)} (?:master|(?:worker|gen)=\d+) ", fields.get("MESSAGE", ""))
    return OURS if ours and fields.get("SYSLOG_IDENTIFIER") == "spyglass" else APP


def entry(site: Site, when_us: int, fields: dict[str, str]) -> Entry:
    """An entry of the journal as it is shown."""
    source = source_of(site, fields)
    text = fields.get("MESSAGE", "")
    if source in {EVENT, OURS}:
        text = text.removeprefix(f"{site.name} ")  # it is about this site
    priority = fields.get("PRIORITY", "")
    return Entry(
        when=when_us / 1e6,
        source=source,
        event=_EVENTS.get(fields.get("MESSAGE_ID", ""), "") if source == EVENT else "",
        priority=int(priority) if priority in set("01234567") else INFO,
        lines=tuple(one_line(line, _LIMIT) for line in text.rstrip("\n").split("\n")),
    )
