"""The one table of options, behind flags, the keys of the TOML file, the reference and the man pages. Reads nothing."""

from __future__ import annotations

from spyglass_systemd.words.claims import FOR, PROTO
from spyglass_systemd.words.hosts import server_names
from spyglass_systemd.words.values import (
    KINDS,
    app,
    count,
    credentials,
    fields,
    label,
    leads,
    limit,
    mount,
    number,
    one_of,
    proxies,
    rules,
    size,
    size_or_off,
    span,
    span_or_off,
    switch,
    text,
    texts,
    variable_files,
    variables,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SERVE, LOOKOUT, FILE, ENABLE = "serve", "lookout", "file", "enable"
_ALL = (SERVE, LOOKOUT, FILE)


class Option:
    """One option. `key` is its TOML key, with `-` for `_` its flag.

    `parse` makes its value of text or of what TOML has, and raises ValueError. `places` are the commands that have it
    as a flag, and FILE where the file may set it; what has ENABLE there is for `spyglass enable` and no setting of
    ours. `group` is its heading. An option without `help` is not for people.
    """

    __slots__ = ("default", "group", "help", "key", "metavar", "parse", "places")

    def __init__(  # noqa: PLR0917  # a row of the table
        self,
        group: str,
        key: str,
        parse: Callable[[object], object],
        default: object,
        metavar: str,
        help: str,  # noqa: A002  # what it is
        places: tuple[str, ...] = _ALL,
    ) -> None:
        self.group = group
        self.key = key
        self.parse = parse
        self.default = default
        self.metavar = metavar
        self.help = help
        self.places = places

    @property
    def flag(self) -> str:
        """As it stands on the command line, without a value."""
        # Of every verb about sites `--user` says whose sites are meant.
        return "--user-name" if self.key == "user" else "--" + self.key.replace("_", "-")

    def __repr__(self) -> str:
        return f"<Option {self.key}={self.default!r}>"


GROUPS = ("The app", "Listeners", "Sleep", "Workers", "Time limits", "HTTP", "Log", "Units")
_APP, _LISTEN, _SLEEP, _WORKERS, _TIMES, _HTTP, _LOG, _UNIT = GROUPS

OPTIONS = {
    option.key: option
    for option in (
        Option(_APP, "app", app, "", "APP", "The app, `module:attribute` or `module:factory()`.", (FILE,)),
        Option(_APP, "config", text, "", "FILE", "Read options from this TOML file.", (SERVE, LOOKOUT)),
        Option(_APP, "name", label, "", "NAME", "What logs call the app; else the first part of its module's name."),
        Option(_APP, "kind", one_of(*KINDS), "auto", "KIND", "What the app speaks."),
        Option(_APP, "chdir", text, ".", "DIR", "Enter this directory before the app is imported."),
        Option(_APP, "pythonpath", texts, (), "DIR", "Import from this directory, too, relative to `chdir`."),
        Option(_APP, "environment", variables, {}, "K=V", "Set this variable for the app."),
        Option(_APP, "preload", switch, True, "", "Import the app once, before the workers are forked."),
        Option(_APP, "reload", switch, False, "", "Load the app anew when a file of it changes: for developers."),
        Option(_SLEEP, "idle", span_or_off, 300.0, "SPAN", "Go to sleep after this long without activity."),
        Option(_SLEEP, "doze", span_or_off, None, "SPAN", "Let the workers go after this long, keep the imported app."),
        Option(_SLEEP, "watch", span_or_off, 30.0, "SPAN", "Started without a connection, wait this long for one."),
        Option(_SLEEP, "min_awake", span, 3.0, "SPAN", "Never sleep sooner than this after a wake."),
        Option(_SLEEP, "ignore_subprocesses", switch, False, "", "Sleep even while processes of the app's own run."),
        Option(_SLEEP, "pressure", switch, False, "", "Doze and sleep ten times sooner while memory is short."),
        Option(_SLEEP, "screen", rules, (), "TABLE", "Answer these requests without waking the app.", (FILE,)),
        Option(_SLEEP, "patience", span_or_off, None, "SPAN", "Show a browser a waking page after this long."),
        Option(_WORKERS, "workers", count, 2, "N", "Fork this many workers."),
        Option(_WORKERS, "threads", count, 1, "N", "Run the app in this many threads a worker; 1 has no extra thread."),
        Option(_WORKERS, "max_requests", number, 0, "N", "Replace a worker after N requests (±10 %); 0 never."),
        Option(_WORKERS, "max_connections", count, 1000, "N", "Hold N connections a worker; more wait in the backlog."),
        Option(_TIMES, "keepalive", span, 5.0, "SPAN", "Close a connection that has no request for this long."),
        Option(_TIMES, "header_timeout", limit, 10.0, "SPAN", "Give a client this long to send a request's head."),
        Option(_TIMES, "write_timeout", limit, 30.0, "SPAN", "Give up a client who takes nothing of an answer."),
        Option(_TIMES, "request_timeout", span_or_off, 60.0, "SPAN", "Kill a worker whose app is silent this long."),
        Option(_TIMES, "max_stream_idle", span_or_off, None, "SPAN", "Close a stream that carries nothing this long."),
        Option(_TIMES, "import_timeout", limit, 120.0, "SPAN", "Give the app this long to be imported."),
        Option(_TIMES, "drain", span, 25.0, "SPAN", "Give requests this long to be answered when we are stopped."),
        Option(_HTTP, "root_path", mount, "", "PATH", "The app is mounted at this path: SCRIPT_NAME."),
        Option(_HTTP, "body_limit", size_or_off, None, "SIZE", "Refuse a request body beyond this: 413."),
        Option(
            _HTTP, "message_limit", size, 1024 * 1024, "SIZE", "Close a WebSocket whose message is beyond this: 1009."
        ),
        Option(_HTTP, "spool", size, 1024 * 1024, "SIZE", "Keep bodies up to this in memory, more on disk."),
        Option(_HTTP, "min_rate", size, 500, "SIZE", "Refuse a body (408), end an answer, slower than this a second."),
        Option(_HTTP, "max_pipelined", count, 100, "N", "Close a connection after N requests that were sent ahead."),
        Option(_HTTP, "line_limit", size, 8192, "SIZE", "Refuse a request line (414) or a field (431) beyond this."),
        Option(_HTTP, "header_limit", size, 65536, "SIZE", "Refuse a request's head beyond this: 431."),
        Option(_HTTP, "header_count", count, 100, "N", "Refuse a request with more header fields than this: 431."),
        Option(_HTTP, "trusted_proxies", proxies, (), "ADDR", "Believe this proxy: an address, a network, or `unix`."),
        Option(
            _HTTP,
            "trusted_fields",
            fields,
            (FOR, PROTO),
            "FIELD",
            "What those proxies set: `x-forwarded-for`, `-proto`, `-host`, `-prefix`, or `forwarded`.",
        ),
        Option(_HTTP, "proxy_protocol", switch, False, "", "Every connection begins with a PROXY header, v1 or v2."),
        Option(_LOG, "access_log", switch, False, "", "Log each request in the Combined Log Format."),
        Option(_LOG, "log_level", one_of("debug", "info", "warning", "error"), "info", "LEVEL", "Log from here on."),
        Option(
            _LISTEN,
            "listen",
            texts,
            ("127.0.0.1:8000",),
            "ADDR",
            "Listen on this address: a port, `host:port`, `[v6]:port`, `unix:/path`; `name=` before it names it.",
            (LOOKOUT, FILE),
        ),
        Option(_LISTEN, "listeners", leads, {}, "TABLE", "Apps of their own for listeners, by name.", (FILE,)),
        Option(
            _UNIT, "user", text, "", "USER", "Run as this user; else as one of its own while it runs.", (ENABLE, FILE)
        ),
        Option(_UNIT, "python", text, "", "FILE", "Run with this Python, of a virtual environment.", (ENABLE, FILE)),
        Option(
            _UNIT,
            "socket_group",
            text,
            "www-data",
            "GROUP",
            "Let this group connect to Unix sockets; for Caddy it is `caddy`.",
            (ENABLE, FILE),
        ),
        Option(
            _UNIT,
            "credentials",
            credentials,
            {},
            "NAME=FILE",
            "Let the app read this file, which is root's, as $CREDENTIALS_DIRECTORY/NAME.",
            (ENABLE, FILE),
        ),
        Option(
            _UNIT,
            "environment_file",
            variable_files,
            (),
            "FILE",
            "Set the variables in this file, which may be root's; with `-` before it, if it is there.",
            (ENABLE, FILE),
        ),
        Option(_UNIT, "nginx", server_names, (), "NAME", "Host names for the nginx configuration.", (ENABLE, FILE)),
        Option(_UNIT, "lookout_pid", number, 0, "PID", "", (SERVE,)),  # so that a Master sees its Lookout die
    )
}
