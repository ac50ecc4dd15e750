"""From flags and the values of a file to the settings of one app: flag over file over default. Reads no file."""

from __future__ import annotations

from spyglass_systemd.words.claims import FOR, FORWARDED, HOST, PROTO
from spyglass_systemd.words.errors import ConfigError, UsageError
from spyglass_systemd.words.spans import format_span
from spyglass_systemd.words.table import ENABLE, LOOKOUT, OPTIONS
from spyglass_systemd.words.values import app, switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from spyglass_systemd.words.rules import Rule
    from spyglass_systemd.words.table import Option


class Settings:
    """Every option of one app, checked. `Settings(app="blog:app", idle=2.0)` takes the table's defaults for the rest.

    Spans are seconds, sizes bytes; None is off.
    """

    app: str
    config: str
    name: str
    kind: str
    chdir: str
    pythonpath: tuple[str, ...]
    environment: dict[str, str]
    preload: bool
    reload: bool
    idle: float | None
    doze: float | None
    watch: float | None
    min_awake: float
    ignore_subprocesses: bool
    pressure: bool
    screen: tuple[Rule, ...]
    patience: float | None
    workers: int
    threads: int
    max_requests: int
    max_connections: int
    keepalive: float
    header_timeout: float
    write_timeout: float
    request_timeout: float | None
    max_stream_idle: float | None
    import_timeout: float
    drain: float
    root_path: str
    body_limit: int | None
    message_limit: int
    spool: int
    min_rate: int
    max_pipelined: int
    line_limit: int
    header_limit: int
    header_count: int
    trusted_proxies: tuple[str, ...]
    trusted_fields: tuple[str, ...]
    proxy_protocol: bool
    access_log: bool
    log_level: str
    listen: tuple[str, ...]
    listeners: dict[str, dict[str, str]]
    lookout_pid: int
    __slots__ = tuple(__annotations__)

    def __init__(self, **values: object) -> None:
        for key in self.__slots__:
            default = OPTIONS[key].default
            setattr(self, key, values.pop(key, dict(default) if isinstance(default, dict) else default))
        if values:
            raise TypeError(f"no such setting: {', '.join(values)}")

    def __repr__(self) -> str:
        told = (f"{key}={getattr(self, key)!r}" for key in self.__slots__ if getattr(self, key) != OPTIONS[key].default)
        return f"<Settings {' '.join(told)}>"


def scan(argv: list[str], command: str) -> Iterator[tuple[Option | None, object, list[str]]]:
    """Each option of `command` in `argv`, its value, the words it is made of; (None, word, [word]) for an argument.

    Raises UsageError for a flag that `command` does not have, and for a value that is missing or bad.
    """
    words = iter(argv)
    for word in words:
        if word == "--":
            break
        if not word.startswith("-"):
            yield None, word, [word]
            continue
        flag, equals, value = word.partition("=")
        option, on = _find(flag, command, negated=not equals)
        taken = [word]
        if option.parse is switch and not equals:
            value = str(on).lower()
        elif not equals:
            value = next(words, "--")
            taken.append(value)
            if value.startswith("--"):
                raise UsageError(f"{flag} needs a value", hint=f"{flag} {option.metavar}: {option.help}")
        try:
            yield option, option.parse(value), taken
        except ValueError as error:
            raise UsageError(f"{flag}: {error}", hint=f"{flag} {option.metavar}: {option.help}") from None
    for word in words:
        yield None, word, [word]


def parse_flags(argv: list[str], command: str) -> tuple[dict[str, object], list[str]]:
    """The values that `argv` sets for `command`, by key, and its arguments: the APP, which is among the values as well.

    Raises UsageError.
    """
    flags: dict[str, object] = {}
    arguments: list[str] = []
    for option, value, words in scan(argv, command):
        if option:
            flags[option.key] = _joined(flags.get(option.key), value)
        else:
            arguments += words
    if len(arguments) > 1:
        raise UsageError(f"one APP is served, not {len(arguments)}: {' '.join(arguments)}")
    for argument in arguments:
        try:
            flags["app"] = app(argument)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return flags, arguments


def settle(flags: dict[str, object], file: dict[str, object]) -> Settings:
    """The settings that `flags` (from `parse_flags`) and `file` (from the configuration file) make, checked together.

    Raises UsageError where a flag is to blame, else ConfigError.
    """
    values = {key: value for key, value in file.items() if ENABLE not in OPTIONS[key].places}
    values |= flags
    values["environment"] = _joined(file.get("environment", {}), flags.get("environment", {}))
    settings = Settings(**values)
    if not settings.app and not settings.listeners:
        raise UsageError(
            "there is no app to serve", hint="name it, as in blog.wsgi:application, or set app= in the file"
        )
    first = settings.app or next(lead["app"] for lead in settings.listeners.values())
    settings.name = settings.name or first.partition(":")[0].partition(".")[0]
    shortest = min((span for span in (settings.idle, settings.doze) if span), default=None)
    if shortest and "keepalive" not in values:
        settings.keepalive = min(settings.keepalive, shortest / 2)
    for keys, message, hint in _clashes(settings):
        if any(key in flags for key in keys):
            raise UsageError(message, hint=hint)
        raise ConfigError(f"{settings.config}: {message}", hint=hint)
    return settings


def _clashes(settings: Settings) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What does not go together: the keys, what is wrong, what to do."""
    for less, more, hint in (
        ("doze", "idle", "an app dozes first and sleeps later: shorten doze, or set it to off"),
        (
            "keepalive",
            "idle",
            "an app sleeps when nothing is open, and a connection stays open that long: shorten keepalive",
        ),
        (
            "keepalive",
            "doze",
            "an app dozes when nothing is open, and a connection stays open that long: shorten keepalive",
        ),
    ):
        low, high = getattr(settings, less), getattr(settings, more)
        if low is not None and high is not None and low >= high:
            yield (less, more), f"{less} = {format_span(low)} is not shorter than {more} = {format_span(high)}", hint
    unsaid = [name for name, lead in settings.listeners.items() if lead.get("kind", "auto") == "auto"]
    if settings.kind == "auto" and settings.app:
        unsaid.append("")
    for key in ("screen", "patience"):
        if unsaid and getattr(settings, key):
            where = f"[listeners.{unsaid[0]}] " if unsaid[0] else ""
            hint = f'set {where}kind = "wsgi" or "asgi"; what is "raw" is left alone'
            yield (key, "kind"), f"{key} answers for HTTP, and kind does not say that the app speaks it", hint
    if FORWARDED in settings.trusted_fields and not {FOR, PROTO, HOST}.isdisjoint(settings.trusted_fields):
        hint = "a proxy sets one of the two and passes a client's own on: name those that yours sets"
        yield ("trusted_fields",), f"trusted_fields has {FORWARDED}, and {FOR}, -proto or -host beside it", hint


def _joined(old: object, new: object) -> object:
    """Options that take several values add up; of the others the last one counts."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        return old + new
    if isinstance(old, dict) and isinstance(new, dict):
        return old | new
    return new


def _find(flag: str, command: str, *, negated: bool) -> tuple[Option, bool]:
    """The option behind `flag`, and False where it is a switch's `--no-` form, which counts if `negated`."""
    option = OPTIONS.get(flag[2:].replace("-", "_"))
    if option and flag == option.flag and command in option.places:
        return option, True
    switched = OPTIONS.get(flag[5:].replace("-", "_"))
    if negated and switched and flag == switched.flag.replace("--", "--no-", 1) and switched.parse is switch:
        return switched, False
    if option and flag == option.flag and option.help:
        where = "an option of spyglass lookout" if LOOKOUT in option.places else "a key of the configuration file"
        raise UsageError(f"{flag} is not an option of spyglass {command}", hint=f"it is {where}")
    from spyglass_systemd.words.nearest import nearest  # noqa: PLC0415  # for an error only

    near = nearest(flag, (option.flag for option in OPTIONS.values() if option.help and command in option.places))
    raise UsageError(
        f"there is no option {flag}", hint=f"did you mean {near}?" if near else f"see spyglass {command} --help"
    )
