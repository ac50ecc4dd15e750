"""What the file of a site asks for, read and checked by itself. Knows neither what is installed nor what is there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import config
from spyglass_systemd.words.addresses import Address, parse_address
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.options import Settings, settle
from spyglass_systemd.words.table import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from spyglass_systemd.tools.places import Site

DEBIAN = "/usr/bin/python3"


@dataclass(frozen=True)
class Wanted:
    """A site as its file has it.

    `user` is "" for one of its own that exists while it runs, `python` is "" for Debian's; `listen` is empty for the
    site's own Unix socket.
    """

    site: Site
    settings: Settings
    user: str
    python: str
    socket_group: str
    listen: tuple[Address, ...]
    credentials: Mapping[str, str] = field(default_factory=dict)
    environment_files: tuple[str, ...] = ()

    @property
    def interpreter(self) -> str:
        """The program that runs the app."""
        return self.python or DEBIAN

    @property
    def paths(self) -> list[str]:
        """What the app is made of: its directories, and its Python where it is no matter of Debian's."""
        chdir = self.settings.chdir
        found = [chdir, *(os.path.join(chdir, path) for path in self.settings.pythonpath), self.python]
        return [os.path.normpath(path) for path in found if os.path.isabs(path)]


def read(site: Site) -> Wanted:
    """What the site's file asks for. Raises ConfigError: it cannot be read, is no TOML, or does not make sense."""
    path = str(site.config)
    values = config.read(path)
    if not values.get("app") and not values.get("listeners"):
        raise ConfigError(f"{path} names no app", hint='a line of it should look like app = "blog.wsgi:application"')
    settings = settle({"config": path, "name": site.name}, values)
    try:
        listen = tuple(parse_address(address) for address in settings.listen) if "listen" in values else ()
    except ValueError as error:
        raise ConfigError(f"{path}: listen: {error}") from None
    user, python, group = (str(values.get(key, OPTIONS[key].default)) for key in ("user", "python", "socket_group"))
    credentials: Any = values.get("credentials", {})
    files: Any = values.get("environment_file", ())
    return Wanted(site, settings, user, python, group, listen, credentials, files)
