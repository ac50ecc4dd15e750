"""The event log: one event, one entry in the journal or one line on stderr. Raises nothing and hardly waits."""

from __future__ import annotations

import os
import select

from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.lines import one_line, pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DEBUG, INFO, NOTICE, WARNING, ERROR = 7, 6, 5, 4, 3  # syslog(3)
LEVELS = {"debug": DEBUG, "info": INFO, "warning": WARNING, "error": ERROR}  # the option log_level

# What happens to an app, each with the id under which the journal's catalog explains it (`journalctl -x`).
MESSAGE_IDS = {
    "LISTENING": "1bd61532b8d0450a9f1097253a6f21c3",
    "WOKE": "f57999238e8d4bcd86174e849cf83a93",
    "READY": "9d4febd79a5d4a6cac5e62fe4c3557e2",
    "SLEPT": "55d4cecf936942ffa37026720fcb4171",
    "DOZED": "720f08708f584e22ad6eeea1de0c0ad2",
    "RESUMED": "eb1a0118c4aa4087ba9536023d7246da",
    "WORKER_DIED": "84112efb9dba4ee2bedda35cdbea41fd",
    "STUCK": "f1e846a76548408ea576dafe7c2ae810",
    "WORKER_RETIRED": "f2c8a6def3f04354b874f7cc7f72a005",
    "FAILED": "1aab8551c40844a689c21cf4a553c421",
    "GAVE_UP": "67635ce73b344e409814eb227a3b8835",
    "RECOVERED": "1ffb05e003c441059aa93a5951f709b9",
    "RELOADED": "de64ccd4e21b4d9c874736d1db539aa5",
    "RELOAD_FAILED": "6e6aa34ddb524518a4c309935feeaa2b",
    "DRAINED": "5b01cf5802a549f383abc6f6f4c0e7fb",
    "MISMATCHED": "c4a1f2e0b7d84f5f9c3f6f1d2b9a6e37",
}

_IDENTIFIER = "spyglass"
_LINE_LIMIT = 4000  # bytes: with prefix and newline within PIPE_BUF, so a line is whole whoever else writes
_VALUE_LIMIT = 1000
_MESSAGE_LIMIT = 16 * 1024  # characters
_PATIENCE_MS = 50

# ### Why poll(2) before each line?
# Because stderr blocks, and may not be changed: its flags are shared with the app. While journald is stopped, or a
# terminal is held by Ctrl-S, a write(2) would wait for ever, and the Master with it. A line that fits into PIPE_BUF
# does not wait where poll says that there is room. What finds no room is counted; there is nobody left to tell.


class Log:
    """Events of one app. `actor` says who speaks: `master gen=1 pid=917`; `dropped` counts what was lost."""

    __slots__ = ("_app", "_fd", "_poll", "_prefix", "_structured", "_threshold", "actor", "dropped")

    def __init__(
        self, app: str, actor: str, *, environ: Mapping[str, str], stderr: int = 2, level: str = "info"
    ) -> None:
        self._app = app
        self._fd = stderr
        self._poll = select.poll()
        self._poll.register(stderr, select.POLLOUT)
        self._prefix = self._structured = is_journal(stderr, environ)
        self._threshold = LEVELS[level]
        self.actor = actor
        self.dropped = 0

    def event(self, name: str, level: int = INFO, message: str = "", *, actor: str = "", **fields: object) -> None:
        """Something has happened: `name` (in any case; those in MESSAGE_IDS are the main ones), `level`, `fields`.

        The first line of `message` ends the line, any further ones (a traceback) follow it, indented. `actor` is
        somebody else in whose name it is said.
        """
        if level > self._threshold:
            return
        name = name.upper()
        lines = _compose(self._app, actor or self.actor, name, message, fields)
        if not (self._structured and name in MESSAGE_IDS and self._enter(name, level, lines, fields)):
            self._print(level, lines)

    def _enter(self, name: str, level: int, lines: list[str], fields: dict[str, object]) -> bool:
        entry = {f"SPYGLASS_{key.upper()}": one_line(str(value), _VALUE_LIMIT) for key, value in fields.items()}
        entry |= {
            "MESSAGE": "\n".join(lines),
            "MESSAGE_ID": MESSAGE_IDS[name],
            "PRIORITY": str(level),
            "SYSLOG_IDENTIFIER": _IDENTIFIER,
            "SPYGLASS_APP": self._app,
            "SPYGLASS_EVENT": name,
        }
        from spyglass_systemd import sd  # noqa: PLC0415  # only where there is a journal

        try:
            sd.adapter().journal_send(entry)
        except ConfigError:  # neither library is there: a line is better than nothing
            self._structured = False
            return False
        except OSError:
            self.dropped += 1
        return True

    def _print(self, level: int, lines: list[str]) -> None:
        prefix = f"<{level}>" if self._prefix else ""
        for line in lines:
            try:
                written = bool(self._poll.poll(_PATIENCE_MS)) and os.write(self._fd, f"{prefix}{line}\n".encode())
            except OSError:
                written = 0
            if not written:
                self.dropped += 1
                return


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Is `fd` the stream to the journal that JOURNAL_STREAM names (systemd.exec(5))? It may be redirected."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _compose(app: str, actor: str, name: str, message: str, fields: dict[str, object]) -> list[str]:
    head = " ".join([app, actor, name.lower(), *[pair(key, value, _VALUE_LIMIT) for key, value in fields.items()]])
    if len(message) > _MESSAGE_LIMIT:
        message = message[: _MESSAGE_LIMIT // 2] + "\n[...]\n" + message[-_MESSAGE_LIMIT // 2 :]
    first, *rest = message.rstrip().split("\n")
    return [
        one_line(f"{head}: {first}" if first else head, _LINE_LIMIT),
        *[f"    {one_line(line, _LINE_LIMIT)}" for line in rest],
    ]
