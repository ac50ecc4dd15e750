"""What a .service runs: from a command line and inherited listeners to a Master. Knows no click; imports late."""

from __future__ import annotations

import os
import select
import time

from spyglass_systemd.processes import template
from spyglass_systemd.protocols import activation, apps, scoreboard, signals
from spyglass_systemd.protocols.scoreboard import Scoreboard
from spyglass_systemd.words import options, versions
from spyglass_systemd.words.errors import ActivationError, ConfigError, SpyglassError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.processes.lobby import Lobby
    from spyglass_systemd.processes.roster import Generation
    from spyglass_systemd.protocols.journal import Log
    from spyglass_systemd.protocols.notify import Notifier
    from spyglass_systemd.words.listener import Listener
    from spyglass_systemd.words.options import Settings

_WARNING = 4  # syslog(3)
_LONG_IMPORT, _LONG_ANSWER, _LOOK_AGAIN = 0.5, 0.02, 0.0005  # seconds

# ### Why is the Template forked before there is a Master?
# Because somebody waits. When a connection is in a backlog, the one thing that takes time is the import of the app, and
# nothing of the Master's state table, clock and log is needed for it. So the Template is forked as soon as listeners
# and settings are known, and the request for its first worker is sent along.
#
# ### And why does the Master then do nothing?
# Because it would be in the way. Its own imports are some ten milliseconds. Beside those of the app they cost nothing
# only where a second core is idle, and a small host has one, or two that are halves of one: there they made the first
# visitor of a trivial app wait four milliseconds longer, of thirty. So the Master goes on when he has his answer; or
# when something must be said to the service manager, because the import is a long one or has failed.
#
# ### Why is a broken configuration no reason to exit?
# Because we hold listeners, and a service that fails at each start costs its port. A Master with a configuration that
# it cannot read says so in the log and answers 503 until it can. Without listeners nobody waits, and the exit code
# tells: 64 for the command line, 78 for the file.


def run(argv: list[str]) -> int:
    """`spyglass serve`: the exit code. Raises UsageError, ConfigError or ActivationError while nobody waits for us."""
    python_us, began = time.process_time_ns() // 1000, time.monotonic()
    trouble: SpyglassError | None = None
    try:
        settings = _settle(argv)
    except (UsageError, ConfigError) as error:
        if "LISTEN_FDS" not in os.environ:
            raise
        trouble = error
        settings = options.Settings(name=_flag(argv, "name") or "spyglass", config=_flag(argv, "config"))
    listeners = activation.take(os.environ, os.getpid())
    units = os.environ.pop(versions.UNITS, "")
    try:
        if trouble is None:
            apps.leads(settings, listeners)
    except ActivationError as error:
        trouble = error
    board = _board(settings)
    board.header[scoreboard.H_PYTHON_US] = python_us
    board.header[scoreboard.H_BEGAN] = int(began * 1e9)
    woken_by = activation.waited_for(listeners)
    signal_fd = signals.watch(signals.MASTERS)  # first of all: who is told to stop now has workers that must drain
    lobby = _lobby(listeners, settings) if trouble is None else None
    if lobby is not None:
        woken_by = lobby.meet(woken_by)
    first = _first(listeners, board, settings, lobby) if woken_by and trouble is None else None
    if first is not None:
        _stand_back(first, signal_fd, in_haste=lobby is not None and bool(lobby.waiting))

    from spyglass_systemd.processes.master import Master  # noqa: PLC0415  # see above
    from spyglass_systemd.protocols.journal import Log  # noqa: PLC0415
    from spyglass_systemd.protocols.notify import Notifier  # noqa: PLC0415

    log = Log(settings.name, f"master pid={os.getpid()}", environ=os.environ, level=settings.log_level)
    notifier = Notifier.from_environ(os.environ, os.getpid())
    _compare(units, log, notifier)
    status = Master(
        settings,
        listeners,
        board,
        log,
        notifier,
        signal_fd=signal_fd,
        reread=lambda: _settle(argv),
        began=began,
        first=first,
        woken_by=woken_by,
        lobby=lobby,
        trouble=trouble,
    ).run()
    signals.hold()  # Python's end puts the defaults back, and a signal that came too late would be taken for a death
    return status


def _compare(units: str, log: Log, notifier: Notifier) -> None:
    """Say it where units and runtime are not made for each other, once a wake and in every status."""
    from spyglass_systemd import __version__  # noqa: PLC0415  # of the root, which is loaded

    odd = versions.difference(units, __version__)
    if odd:
        log.event("mismatched", _WARNING, odd, units=units, runtime=__version__)
        notifier.remark = f" ({odd})"


def _stand_back(first: Generation, signal_fd: int, *, in_haste: bool) -> None:
    """Until the first answer is out, the app has shown that it takes its time, a signal has come, or all are dead.

    `in_haste`: only until a worker accepts, for somebody has still to be handed to one.
    """
    worker = first.workers[1]
    line = worker.channel.fileno()
    poll = select.poll()
    poll.register(first.pidfd, select.POLLIN)
    poll.register(signal_fd, select.POLLIN)
    poll.register(line, select.POLLIN)
    if (line, select.POLLIN) not in poll.poll(1000 * _LONG_IMPORT):
        return
    until = time.monotonic() + (
        0 if in_haste else _LONG_ANSWER
    )  # it accepts; the answer is no message, but the row counts it
    while not worker.row.done and time.monotonic() < until:
        time.sleep(_LOOK_AGAIN)


def _settle(argv: list[str]) -> Settings:
    flags, _ = options.parse_flags(argv, "serve")
    file: dict[str, object] = {}
    if "config" in flags:
        from spyglass_systemd.protocols import config  # noqa: PLC0415  # for those who have a file

        file = config.read(str(flags["config"]), os.environ)
    return options.settle(flags, file)


def _flag(argv: list[str], key: str) -> str:
    """What a flag says, known though something else is wrong: the name in the log, the file to be mended. Or ""."""
    try:
        for option, value, _ in options.scan(argv, "serve"):
            if option is not None and option.key == key:
                return str(value)
    except UsageError:
        pass
    return ""


def _board(settings: Settings) -> Scoreboard:
    """In $RUNTIME_DIRECTORY; where that is missing or full, in memory: an app does not stop because nobody can look."""
    directory = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    rows = max(64, 8 * settings.workers)
    try:
        return Scoreboard.create(directory, rows, os.getpid())
    except OSError:
        return Scoreboard.create("", rows, os.getpid())


def _lobby(listeners: tuple[Listener, ...], settings: Settings) -> Lobby | None:
    """Who screens those that come, where that is asked for."""
    if not settings.screen:
        return None
    from spyglass_systemd.processes.lobby import Lobby  # noqa: PLC0415  # for those who screen

    return Lobby(apps.leads(settings, listeners), settings)


def _first(
    listeners: tuple[Listener, ...], board: Scoreboard, settings: Settings, lobby: Lobby | None
) -> Generation | None:
    """A Template, and the request for its first worker; None where there is no process to be had."""
    try:
        generation = template.start(1, listeners, board, settings, lobby.descriptors if lobby is not None else ())
    except OSError:  # the Master will see the connection, try again, and say why it cannot
        return None
    template.hire(generation, 1, board.rows[0])
    if lobby is not None:
        lobby.hand(generation)
    return generation
