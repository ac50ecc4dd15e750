"""What a program finds around it in the place of a site's app: sandbox, variables, directory. Runs nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from spyglass_systemd.tools import bytecode, runtime, sandbox
from spyglass_systemd.tools.dropins import FILE, service
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.tools.listening import listening

if TYPE_CHECKING:
    from spyglass_systemd.tools.sandbox import Sandbox
    from spyglass_systemd.tools.wanted import Wanted

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sandbox_of(wanted: Wanted) -> Sandbox:
    """That of the service as its file wants it, whether the site has been enabled since or not."""
    site = wanted.site
    draft = service(wanted, program(wanted), listening(wanted))
    return sandbox.of_service(site, str(site.dropins(site.service) / FILE), draft)


def program(wanted: Wanted) -> tuple[str, ...]:
    """The words between the interpreter and a verb of ours.

    Byte code is kept in a cache where nobody can write beside the source, and only there: the cache is empty at first,
    and then even the standard library is compiled anew. The trial import of `enable` fills it.
    """
    python = look(wanted.interpreter)
    bare = any(bytecode.read_only(path) and bytecode.stale(path, python.version) for path in sources(wanted))
    prefix = ("-X", f"pycache_prefix={wanted.site.cache}/bytecode") if bare else ()
    return (*prefix, *runtime.program(wanted.interpreter))


def environment(wanted: Wanted) -> dict[str, str]:
    """The variables of the app, and its Python first on the PATH, as in an activated virtual environment."""
    python = look(wanted.interpreter)
    found = {"PATH": f"{os.path.dirname(wanted.interpreter)}:{_PATH}"} if wanted.python else {}
    if python.venv:
        found["VIRTUAL_ENV"] = python.venv
    return found | wanted.settings.environment


def sources(wanted: Wanted) -> list[str]:
    """The directories that the app's own code is imported from, those that are there."""
    here = directory(wanted)
    found = [here, *(os.path.normpath(os.path.join(here, path)) for path in wanted.settings.pythonpath)] if here else []
    return [path for path in dict.fromkeys(found) if os.path.isdir(path)]


def directory(wanted: Wanted) -> str:
    """Where the app works; "" for the working directory of its unit."""
    chdir = wanted.settings.chdir
    return "" if chdir == "." else os.path.normpath(os.path.join(wanted.site.state, chdir))
