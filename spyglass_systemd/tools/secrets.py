"""The files that a site's secrets come from: that they are there, and nobody else's business. Reads none of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd.words.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.wanted import Wanted

# ### Which of the two?
# systemd reads both as root, so that the app's user need not be able to. A credential is a file that only the app
# sees, below $CREDENTIALS_DIRECTORY, and it is gone when the app sleeps. A variable is inherited by every process that
# the app starts, and may end up in an error report; but it is what most apps expect.


def lines(wanted: Wanted) -> list[tuple[str, str]]:
    """What a service unit says for them; see unitfile.literal for what `%` means there."""
    credentials = [("LoadCredential", f"{name}:{path}") for name, path in wanted.credentials.items()]
    return [*credentials, *(("EnvironmentFile", path) for path in wanted.environment_files)]


def present(wanted: Wanted) -> Iterator[str]:
    """A check: the files are there; those that everybody may read are named."""
    wished = [*wanted.credentials.values(), *wanted.environment_files]
    for path in (each.removeprefix("-") for each in wished):
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            if path in wished:
                raise ConfigError(
                    f"{wanted.site.config}: {path}: {error.strerror}", hint="make it, or take it out of the file"
                ) from None
        else:
            if mode & 0o004:
                yield f"everybody on this machine may read {path}: `chmod o= {path}`, systemd reads it as root"
