"""`spyglass lookout`: check everything a person typed, then become the Lookout. Binds nothing."""

from __future__ import annotations

import ctypes
import os
import sys

from spyglass_systemd.protocols import config
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ConfigError, UsageError
from spyglass_systemd.words.options import parse_flags, scan, settle
from spyglass_systemd.words.table import LOOKOUT, SERVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.words.options import Settings

_PACKAGE = os.path.dirname(os.path.dirname(__file__))
_PR_SET_CHILD_SUBREAPER = 36  # <sys/prctl.h>

# ### Why exec?
# Because a Lookout stays for days and should be small. What checks the command line has loaded the table, the parser of
# the file and ctypes by then; memory once used is hardly ever given back. The new program starts lean, with two things
# taken along: the process id, which the Master watches, and the mark of a subreaper, which prctl(2) keeps across it.
#
# Both programs are named by their file: `python -m` loads runpy, contextlib, collections and functools first, four
# milliseconds at each wake. -P keeps the directory of that file, and the one we work in, out of the import path, where
# an app's own `select.py` would be the Lookout's. A Template puts the app's there, for the app, when it is time.


def run(argv: list[str]) -> int:
    """Replace this process by the Lookout that `argv` describes. Raises UsageError or ConfigError."""
    command = lookout_command(argv, os.getpid())
    _become_subreaper()
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted


def lookout_command(argv: list[str], pid: int) -> list[str]:
    """What the Lookout is run with, as process `pid`; after `--` stands what it runs the Master with."""
    flags, arguments = parse_flags(argv, LOOKOUT)
    file = config.read(str(flags["config"])) if "config" in flags else {}
    settings = settle(flags, file)
    _check_directory(settings, flags)
    addresses = _addresses(settings, flags)
    kept = [word for option, _, words in scan(argv, LOOKOUT) if option and SERVE in option.places for word in words]
    serve = [*_program("__main__.py"), "serve", "--lookout-pid", str(pid), *kept, *arguments]
    said = ["--name", settings.name, "--log-level", settings.log_level]
    return [*_program("processes/lookout.py"), *said, *addresses, "--", *serve]


def _program(path: str) -> list[str]:
    return [sys.executable, "-P", f"{_PACKAGE}/{path}"]


def _addresses(settings: Settings, flags: dict[str, object]) -> list[str]:
    try:
        return [str(parse_address(text)) for text in settings.listen]
    except ValueError as error:
        if "listen" in flags:
            raise UsageError(f"--listen: {error}") from None
        raise ConfigError(f"{settings.config}: listen: {error}") from None


def _check_directory(settings: Settings, flags: dict[str, object]) -> None:
    if not os.path.isdir(settings.chdir):
        message = f"chdir = {settings.chdir}: there is no such directory"
        raise UsageError(message) if "chdir" in flags else ConfigError(f"{settings.config}: {message}")


def _become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        reason = os.strerror(ctypes.get_errno())
        sys.stderr.write(f"spyglass: what the app leaves behind will not be reaped here: {reason}\n")
