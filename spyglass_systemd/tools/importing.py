"""Whether a site's app can be imported where it will be: its Python, and then the import itself.

Checks of `spyglass enable` (see checks), which `spyglass check` asks alone. Nothing of the app is run by us, only in
its sandbox; what comes from there is hostile text.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from spyglass_systemd import __version__ as ours
from spyglass_systemd.tools import bytecode, sandbox, surroundings, venvs
from spyglass_systemd.tools.accounts import exist, may_read
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.tools.secrets import present
from spyglass_systemd.words.errors import AppError, ConfigError
from spyglass_systemd.words.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.places import Site
    from spyglass_systemd.tools.wanted import Wanted

_WIDE = 1000  # bytes of a line that comes from the app
_OLD = 64  # what a runtime says that does not know `trial`


def examine(wanted: Wanted) -> Iterator[str]:
    """What `spyglass check` says of a site. Raises ConfigError or AppError with what to do."""
    for check in (exist, interpreter, may_read, present):
        yield from check(wanted)
    yield from _trial(wanted)
    version = look(wanted.interpreter).version
    for directory in surroundings.sources(wanted):
        missing = [] if bytecode.read_only(directory) else bytecode.stale(directory, version)
        if missing:
            yield (
                f"  {len(missing)} modules in {directory} have no current byte code: each wake compiles what it "
                f"imports of them, and `spyglass enable {wanted.site.typed}` does it once"
            )


def interpreter(wanted: Wanted) -> Iterator[str]:
    """The Python is one, fits us, and has what is needed."""
    venvs.judge(look(wanted.interpreter), wanted.settings.kind, ours, wanted.site.typed)
    yield from ()


def imports(wanted: Wanted) -> Iterator[str]:
    """The app loads: as its user, in its sandbox, with its Python."""
    _, *more = _trial(wanted)
    if more:
        yield " ".join(line.strip() for line in more)


def _trial(wanted: Wanted) -> list[str]:
    """What the trial says of an app that loads. Raises AppError or ConfigError for one that does not."""
    site = wanted.site
    program = [wanted.interpreter, *surroundings.program(wanted)]
    box = surroundings.sandbox_of(wanted)
    with _leaving_nothing(site):
        done = box.run([*program, "trial", f"--config={site.config}", f"--name={site.name}"], capture=True)
    if done.returncode == 0 and done.stdout:
        return _clean(done.stdout)
    what, hint = sandbox.cause(done.returncode, box)
    if what:
        raise ConfigError(f"the sandbox of {site.name} cannot be entered: {what} (status {done.returncode})", hint=hint)
    said = _clean(done.stderr)
    ends = [number for number, line in enumerate(said) if line.startswith("spyglass: ")]
    if not ends or done.returncode == _OLD:
        raise ConfigError(
            f"{wanted.interpreter} could not try the import (status {done.returncode}): {said[-1] if said else ''}",
            hint=venvs.install_hint(look(wanted.interpreter), site.typed),
        )
    message, _, hint = "\n".join(said[ends[-1] :]).removeprefix("spyglass: ").partition("\n  ")
    error = AppError(message, hint=hint, trace="\n".join(said[: ends[-1]]))
    error.exit_code = done.returncode
    raise error


@contextlib.contextmanager
def _leaving_nothing(site: Site) -> Iterator[None]:
    """The directories that systemd makes for a sandbox go again where there were none, and nothing was put there."""
    made = [path for path in (site.state, site.cache, site.logs) if not path.is_symlink() and not path.exists()]
    try:
        yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                os.rmdir(path.resolve())
                path.unlink(missing_ok=True)  # of a dynamic user it was a link


def _clean(text: str) -> list[str]:
    return [one_line(line, _WIDE) for line in text.splitlines()]
