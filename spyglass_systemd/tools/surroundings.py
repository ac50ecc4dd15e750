"""What a program finds around it in the place of a site's app: sandbox, variables, directory. Runs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd.tools import sandbox
from spyglass_systemd.tools.interpreter import look

if TYPE_CHECKING:
    from spyglass_systemd.protocols.unitfile import Line
    from spyglass_systemd.tools.sandbox import Sandbox
    from spyglass_systemd.tools.wanted import Wanted

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sandbox_of(wanted: Wanted) -> Sandbox:
    """That of the service as its file wants it, whether the site has been enabled since or not."""
    lines: list[Line] = []
    if wanted.user:
        lines = [("Service", "DynamicUser", "no"), ("Service", "User", wanted.user)]
    return sandbox.of_service(wanted.site, plus=lines)


def environment(wanted: Wanted) -> dict[str, str]:
    """The variables of the app, and its Python first on the PATH, as in an activated virtual environment."""
    python = look(wanted.interpreter)
    found = {"PATH": f"{os.path.dirname(wanted.interpreter)}:{_PATH}"} if wanted.python else {}
    if python.venv:
        found["VIRTUAL_ENV"] = python.venv
    return found | wanted.settings.environment


def directory(wanted: Wanted) -> str:
    """Where the app works; "" for the working directory of its unit."""
    chdir = wanted.settings.chdir
    return "" if chdir == "." else os.path.normpath(os.path.join(wanted.site.state, chdir))
