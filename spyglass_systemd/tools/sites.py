"""Enabling and disabling a site: its drop-ins, and the units they are for. All of it happens, or nothing does."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from spyglass_systemd.tools import checks, surroundings
from spyglass_systemd.tools.changes import Change
from spyglass_systemd.tools.dropins import FILE, dropins
from spyglass_systemd.tools.listening import listening
from spyglass_systemd.tools.switch import manager_of, sockets
from spyglass_systemd.tools.wanted import read
from spyglass_systemd.words.errors import ManagerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from spyglass_systemd.tools.places import Places, Site
    from spyglass_systemd.tools.wanted import Wanted


@contextlib.contextmanager
def alone(places: Places) -> Iterator[None]:
    """While nobody else switches sites here: one who fails puts back what he has found, and that is to be the last."""
    try:
        fd = os.open(places.config, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no directory, no site
        yield
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


class Enabling:
    """What enabling a site means, worked out and checked; nothing is done yet.

    Raises ConfigError where the file makes no sense, and whatever a check finds.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wanted = read(site)
        self.listening = listening(self.wanted)
        self.change = due(self.wanted)
        self.remarks = checks.check(self.wanted)
        self._manager = manager_of(site)
        self._units = [unit.unit for unit in self.listening]
        self._before = sockets(site)
        self._active = [unit for unit in self._before if self._manager.is_active(unit)]
        self._enabled = [unit for unit in self._before if self._manager.is_enabled(unit)]

    @property
    def addresses(self) -> list[str]:
        """What it listens on, as a client would write it."""
        return [address.text for unit in self.listening for address in unit.addresses] or [f"unix:{self.site.path}"]

    @property
    def is_done(self) -> bool:
        """Whether everything is as it should be already."""
        return not self.change and set(self._units) == set(self._active) == set(self._enabled)

    @property
    def relisten(self) -> bool:
        """Whether the set of listeners changes, or one of them does not listen."""
        changed = {path.parent.name.removesuffix(".d") for path in self.change.texts} - {self.site.service}
        return bool(changed) or set(self._units) != set(self._active)

    def run(self) -> None:
        """Do it. Raises ManagerError or WriteError; then everything is as it was before."""
        try:
            self._run()
        except BaseException:
            self._undo()
            raise

    # ### What a change of listeners takes
    # A .socket unit cannot be started while its service runs, and a service does not let go of a listener that it has.
    # So the service ends first: it answers what it has accepted, as long as `drain` allows, and meanwhile whoever
    # connects waits in the backlog. Then the listeners close, all of them, or somebody who connects to one would start
    # the service before the next one is there. That is the moment in which a client may be refused. The next connection
    # after it starts the service, with all of them.

    def _run(self) -> None:
        if self.relisten:
            self._close(self._active)
        if gone := [unit for unit in self._enabled if unit not in self._units]:
            self._manager.do("disable", "--quiet", "--", *gone)
        self.change.apply()
        self._manager.do("daemon-reload")
        self._manager.do("enable", "--quiet", "--", *self._units)
        if self.relisten:
            self._manager.do("start", "--", *self._units)

    def _close(self, units: list[str]) -> None:
        self._manager.do("stop", "--", self.site.service)
        if units:
            self._manager.do("stop", "--", *units)

    def _undo(self) -> None:
        """As it was, as far as systemd lets us: the first error is what a person should see."""
        with contextlib.suppress(ManagerError):
            self._close(self._units if self.relisten else [])
            if fresh := [unit for unit in self._units if unit not in self._enabled]:
                self._manager.do("disable", "--quiet", "--", *fresh)
        self.change.undo()
        with contextlib.suppress(ManagerError):
            self._manager.do("daemon-reload")
            self._manager.do("reset-failed", "--", *self._units)
            if self._enabled:
                self._manager.do("enable", "--quiet", "--", *self._enabled)
            if self._active:
                self._manager.do("start", "--", *self._active)


def disable(site: Site) -> bool:
    """Listen no more, end the app, and take back what `enable` wrote; whether there was anything.

    Raises ManagerError or WriteError.
    """
    manager, units = manager_of(site), sockets(site)
    files = Change(dict.fromkeys(ours(site)))
    if not files and not any(manager.is_enabled(unit) or manager.is_active(unit) for unit in units):
        return False
    manager.do("stop", "--", *units)
    manager.do("stop", "--", site.service)
    manager.do("disable", "--quiet", "--", *units)
    files.apply()
    manager.do("daemon-reload")
    with contextlib.suppress(ManagerError):  # not loaded any more
        manager.do("reset-failed", "--", *units, site.service)
    return True


def due(wanted: Wanted) -> Change:
    """What becomes of the drop-ins when a site is enabled; nothing where they are as its file has them.

    Raises ConfigError for what systemd could not listen on.
    """
    return Change(dict.fromkeys(ours(wanted.site)) | dropins(wanted, surroundings.program(wanted)))


def ours(site: Site) -> list[Path]:
    """The drop-ins that `enable` wrote for a site."""
    found = [site.dropins(unit) / FILE for unit in (*sockets(site), site.service)]
    return [path for path in found if path.exists()]
