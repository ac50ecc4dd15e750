"""One import of an app, exactly as its Template does it, in a process that is thrown away. Serves nobody."""

from __future__ import annotations

import os
import select
import sys
import time

from spyglass_systemd import __version__ as ours
from spyglass_systemd.processes import template
from spyglass_systemd.protocols import config, offspring, signals
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words import options
from spyglass_systemd.words.errors import AppError
from spyglass_systemd.words.listener import AF_UNIX, Listener
from spyglass_systemd.words.reports import Broken, Loaded, Stop
from spyglass_systemd.words.spans import format_span
from spyglass_systemd.words.table import SERVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.words.options import Settings

# ### Why a Template, and not simply an import here?
# Because it is to be the very thing: the same order of path and environment, the same finder, the same forked process
# without a standard library that the command line has loaded before. And because an app may do anything while it is
# imported. It may hang, exit, or take the process with it; then somebody must be left to say so.

_REMEDIES = {
    "ModuleNotFoundError": "is it installed in this very environment? Code of yours that lies elsewhere: pythonpath=",
    "Permission denied": "the app's user may write in $STATE_DIRECTORY and its like, and has to be let read the rest",
    "Read-only file system": "the app may write in $STATE_DIRECTORY and its like; else by the drop-in writable.conf",
    "Operation not permitted": "if the sandbox forbids it, a drop-in of spyglass@.service(8) allows it",
    "Address family not supported": "the sandbox knows Unix sockets and IP; the drop-in netlink.conf allows netlink",
    "ImproperlyConfigured": "a service has none of your shell's variables: set them in [environment]",
    "KeyError": "if that is a variable: a service has none of your shell's, set it in [environment]",
}


def run(argv: list[str]) -> int:
    """`python -m spyglass_systemd trial`, with the flags of `serve`. Raises UsageError, ConfigError, AppError."""
    flags, _ = options.parse_flags(argv, SERVE)
    settings = options.settle(flags, config.read(str(flags["config"])) if "config" in flags else {})
    sys.stdout.write(f"{told(settings, hold(settings))}\n")
    return 0


def hold(settings: Settings) -> Loaded:
    """What the Template of this app reports. Raises AppError with its reason where the app does not load."""
    settings.preload = True  # else the Template leaves the import to its workers
    names = [*settings.listeners, *([""] if settings.app else [])]
    listeners = tuple(Listener(-1, name, AF_UNIX, "") for name in names)
    generation = template.start(1, listeners, Scoreboard.create("", 1, os.getpid()), settings, ())
    try:
        return _verdict(generation, settings.import_timeout)
    finally:
        generation.channel.send(Stop())
        generation.channel.close()
        offspring.send_signal(generation.pidfd, signals.KILL)
        offspring.reap(generation.pid)
        os.close(generation.pidfd)


def _verdict(generation: Generation, limit: float) -> Loaded:
    poll = select.poll()
    poll.register(generation.channel.fileno(), select.POLLIN)
    until = time.monotonic() + limit
    while not generation.channel.closed:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(1000 * left):
            raise AppError(
                f"the import is not over after {format_span(limit)}",
                hint="what it waits for may be out of reach; if it is only slow, raise import_timeout",
            )
        for report, _ in generation.channel.receive():
            if isinstance(report, Loaded):
                return report
            if isinstance(report, Broken):
                raise AppError(report.summary, hint=remedy(report.summary), trace=report.trace)
    status = offspring.describe(offspring.reap(generation.pid))
    raise AppError(
        f"the process that imported the app has ended ({status})", hint="did the app end it, or crash in a C extension?"
    )


def remedy(summary: str) -> str:
    """What to try against an error that people meet where an app is run by somebody else; "" for any other."""
    return next((hint for sign, hint in _REMEDIES.items() if sign in summary and not summary.endswith(")")), "")


def told(settings: Settings, loaded: Loaded) -> str:
    """The good news, for a person, with what deserves a look."""
    python = f"Python {'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"
    took = f"{loaded.import_us / 1e6:.2f} s"
    lines = [f"{settings.name}: {loaded.kinds} app, imported in {took} by {python}, spyglass-systemd {ours}"]
    threads = loaded.threads.splitlines()
    if threads:
        lines += [
            f"  threads that the import has started: {', '.join(threads)}",
            "  Workers are forked after it, and a fork has no thread but its own: what these do, no worker will do.",
            "  Start them on the first request or in the lifespan; or set preload = false, and each worker imports.",
        ]
    return "\n".join(lines)
