"""Where the things of a site are, and what its units are called, the system's and a user's own. Opens nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spyglass_systemd.words.errors import PrivilegeError, UsageError
from spyglass_systemd.words.nearest import nearest
from spyglass_systemd.words.values import site as site_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_STATE_HOME_SINCE = 254  # before, systemd(1) of a user kept state with the configuration


@dataclass(frozen=True)
class Places:
    """The directories of one service manager's sites: the system's, or those of the `user` who runs us."""

    user: bool
    config: Path  # NAME.toml
    units: Path  # drop-ins go below it
    packaged: tuple[Path, ...]  # where spyglass@.socket comes from, the first that has it
    runtime: Path
    state: Path
    cache: Path
    logs: Path

    def site(self, name: str) -> Site:
        """The site called `name`, whether it is there or not. Raises UsageError for what no site can be called."""
        try:
            return Site(site_name(name), self)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def sites(self) -> list[Site]:
        """Those that have a configuration file, by name."""
        found = []
        for path in sorted(self.config.glob("*.toml")):
            try:
                found.append(Site(site_name(path.stem), self))
            except ValueError:  # somebody else's file
                continue
        return found

    def known(self, name: str) -> Site:
        """The site called `name`. Raises UsageError where it has no configuration file."""
        site = self.site(name)
        if not site.config.exists():
            near = nearest(name, [other.name for other in self.sites()])
            make = f"spyglass new {name} APP{' --user' if self.user else ''}"
            hint = f"did you mean {near}? Else `{make}` makes it" if near else f"`{make}` makes it"
            raise UsageError(f"there is no site {name}: no file {site.config}", hint=hint)
        return site

    def check_rights(self) -> None:
        """Raises PrivilegeError where whoever runs us may not change these sites."""
        if not self.user and os.geteuid():
            raise PrivilegeError(
                "the sites of the system are root's", hint="put sudo before it; --user is for sites of your own"
            )


@dataclass(frozen=True)
class Site:
    """One app and all that belongs to it, by name."""

    name: str
    places: Places

    @property
    def typed(self) -> str:
        """What names it behind a verb, in what a person is told to type."""
        return f"{self.name}{' --user' if self.places.user else ''}"

    @property
    def config(self) -> Path:
        """Its options."""
        return self.places.config / f"{self.name}.toml"

    @property
    def socket(self) -> str:
        """The unit that listens; `listener_unit` for its further ones."""
        return f"spyglass@{self.name}.socket"

    @property
    def service(self) -> str:
        """The unit that runs the app."""
        return f"spyglass@{self.name}.service"

    # A unit of its own for each further listener, as one unit has one FileDescriptorName=. They are instances of the
    # template as well, so that whatever is said of `spyglass@*.socket` is said of them. No site's name has a dot, so
    # that none of them is another site's.
    def listener_unit(self, listener: str) -> str:
        """The unit of a further listener."""
        return f"spyglass@{self.name}.{listener}.socket"

    def dropins(self, unit: str) -> Path:
        """The directory with what this unit says other than its template."""
        return self.places.units / f"{unit}.d"

    @property
    def path(self) -> Path:
        """The Unix socket that it listens on unless its file says otherwise."""
        return self.places.runtime / f"{self.name}.sock"

    @property
    def runtime(self) -> Path:
        """The scoreboard and last-error, while it is awake."""
        return self.places.runtime / self.name

    # Of the system's sites these are links into /var/lib/private and its like where the user is a dynamic one.

    @property
    def state(self) -> Path:
        """What the app keeps, and the ledger."""
        return self.places.state / self.name

    @property
    def cache(self) -> Path:
        """What the app can make anew."""
        return self.places.cache / self.name

    @property
    def logs(self) -> Path:
        """Files that the app logs to, if it does; ours is the journal."""
        return self.places.logs / self.name


def of_system() -> Places:
    """Those of the system's own manager."""
    return Places(
        user=False,
        config=Path("/etc/spyglass"),
        units=Path("/etc/systemd/system"),
        packaged=(Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")),
        runtime=Path("/run/spyglass"),
        state=Path("/var/lib/spyglass"),
        cache=Path("/var/cache/spyglass"),
        logs=Path("/var/log/spyglass"),
    )


def of_user(environ: Mapping[str, str], uid: int, systemd: int) -> Places:
    """Those of a user's manager, by systemd.unit(5): %E, %t, %S, %C, %L. `systemd` is its version."""
    home = Path(environ.get("HOME") or "/")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    state = config if systemd < _STATE_HOME_SINCE else Path(environ.get("XDG_STATE_HOME") or home / ".local/state")
    units = config / "systemd/user"
    return Places(
        user=True,
        config=config / "spyglass",
        units=units,
        packaged=(units, Path("/etc/systemd/user"), Path("/usr/lib/systemd/user")),
        runtime=Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}") / "spyglass",
        state=state / "spyglass",
        cache=Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "spyglass",
        logs=state / "log" / "spyglass",
    )
