"""Whether a site's app can be imported where it will be: its Python, the way to its files, and then the import itself.

Three checks of `spyglass enable` (see checks), which `spyglass check` asks alone. Nothing of the app is run by us, only
in its sandbox; what comes from there is hostile text.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from spyglass_systemd import __version__ as ours
from spyglass_systemd.tools import bytecode, reach, sandbox, surroundings, venvs
from spyglass_systemd.tools.interpreter import look
from spyglass_systemd.tools.reach import ENTER, EXECUTE, READ, Who
from spyglass_systemd.words.errors import AppError, ConfigError
from spyglass_systemd.words.lines import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.tools.sandbox import Sandbox
    from spyglass_systemd.tools.wanted import Wanted

_DROPINS = "/usr/share/spyglass-systemd/dropins"
_WIDE = 1000  # bytes of a line that comes from the app
_OLD = 64  # what a runtime says that does not know `trial`
_YES = ("yes", "true", "on", "1")


def examine(wanted: Wanted) -> Iterator[str]:
    """All three, one after the other; what a person should know. Raises ConfigError or AppError with what to do."""
    for check in (interpreter, permissions, imports):
        yield from check(wanted)


def interpreter(wanted: Wanted) -> Iterator[str]:
    """The Python is one, fits us, and has what is needed."""
    venvs.judge(look(wanted.interpreter), wanted.settings.kind, ours, wanted.site.name)
    yield from ()


def permissions(wanted: Wanted) -> Iterator[str]:
    """The app's user gets to its Python and to its code."""
    box = surroundings.sandbox_of(wanted)
    who = who_of(box)
    for path, bits in _needed(wanted):
        if reach.hidden(path, sandbox.last(box.lines, "ProtectHome")):
            raise ConfigError(
                f"{path} is in somebody's home, and those are hidden from the app (ProtectHome=)",
                hint=f"move it, to /srv/{box.site.name} say; or show them: "
                f"cp {_DROPINS}/home.conf {box.site.dropins(box.site.service)}/",
            )
        barrier = reach.barrier(who, path, bits)
        if barrier is not None:
            raise ConfigError(
                f"the app runs as {who.name}, who does not get to {path}: "
                f"{barrier.path} is {_user(barrier.uid)}'s with mode {barrier.mode & 0o7777:04o}",
                hint=f"chmod o+{'x' if barrier.path != path else 'rx'} {barrier.path}; or name the user whose it is: "
                f'user = "{_user(barrier.uid)}"',
            )
    yield from ()


def imports(wanted: Wanted) -> Iterator[str]:
    """The app loads: as its user, in its sandbox, with its Python."""
    site = wanted.site
    words = [wanted.interpreter, "-P", "-m", "spyglass_systemd", "trial", f"--config={site.config}"]
    done = surroundings.sandbox_of(wanted).run([*words, f"--name={site.name}"], capture=True)
    if done.returncode == 0:
        yield from _clean(done.stdout)
        yield from _byte_code(wanted)
        return
    what, hint = sandbox.cause(done.returncode)
    if what:
        raise ConfigError(f"the sandbox of {site.name} cannot be entered: {what} (status {done.returncode})", hint=hint)
    said = _clean(done.stderr)
    ends = [number for number, line in enumerate(said) if line.startswith("spyglass: ")]
    if not ends or done.returncode == _OLD:
        raise ConfigError(
            f"{wanted.interpreter} could not try the import (status {done.returncode}): {said[-1] if said else ''}",
            hint=venvs.install_hint(look(wanted.interpreter), site.name),
        )
    message, _, hint = "\n".join(said[ends[-1] :]).removeprefix("spyglass: ").partition("\n  ")
    error = AppError(message, hint=hint, trace="\n".join(said[: ends[-1]]))
    error.exit_code = done.returncode
    raise error


def _byte_code(wanted: Wanted) -> Iterator[str]:
    directory, python = surroundings.directory(wanted), look(wanted.interpreter)
    missing = bytecode.stale(directory, python.version) if directory and python.version else []
    if missing:
        yield (
            f"  {len(missing)} modules in {directory} have no current byte code, and are compiled at each wake that "
            f"needs them: `spyglass enable {wanted.site.name}` does it once"
        )


def _needed(wanted: Wanted) -> Iterator[tuple[str, int]]:
    yield str(wanted.site.config), READ
    yield wanted.interpreter, EXECUTE
    venv = look(wanted.interpreter).venv
    if venv:
        yield venv, READ | ENTER
    directory = surroundings.directory(wanted)
    if directory:
        yield directory, READ | ENTER
        for path in wanted.settings.pythonpath:
            yield os.path.normpath(os.path.join(directory, path)), READ | ENTER


def who_of(box: Sandbox) -> Who:
    """The user in a sandbox."""
    if box.site.places.user:
        return Who(_user(os.getuid()), os.getuid(), frozenset(os.getgroups()))
    name = sandbox.last(box.lines, "User").replace("%i", box.site.name)
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        if sandbox.last(box.lines, "DynamicUser").lower() not in _YES:
            raise ConfigError(
                f"there is no user {name!r}", hint=f"adduser --system --group {name}; or leave user= out of the file"
            ) from None
        return Who(name)
    return Who(name, found.pw_uid, frozenset(os.getgrouplist(name, found.pw_gid)))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _clean(text: str) -> list[str]:
    return [one_line(line, _WIDE) for line in text.splitlines()]
