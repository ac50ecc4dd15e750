"""What Master, Template and workers tell each other, as small values. Knows no socket and no process."""

from __future__ import annotations

TEXT_LIMIT = 48 * 1024  # bytes of one text field; a message must fit into a socket's send buffer whatever happens
_CUT = b"\n[...]\n"


class Report:
    """One message: its fields are its slots, in order; each is an `int` or a `str`, as its annotation says."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, *values: int | str) -> None:
        if len(values) != len(self.__slots__):
            raise TypeError(f"{type(self).__name__} takes {self.__slots__}, not {values}")
        for name, value in zip(self.__slots__, values, strict=True):
            setattr(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and encode(self) == encode(other)

    def __hash__(self) -> int:
        return hash(encode(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in self.__slots__)})"


# ### From the Master to its Template


class Fork(Report):
    """Fork worker number `worker` of `generation` on scoreboard row `row`; its control socket comes along.

    It serves the apps of one `kind`; "" is the first kind that there is.
    """

    __slots__ = ("worker", "row", "generation", "kind")
    worker: int
    row: int
    generation: int
    kind: str


class Stop(Report):
    """Go: to a Template when it has forked whom it was asked for, to a worker that has reported quiet.

    The functions that the app has registered with `atexit` are run.
    """

    __slots__ = ()


# ### From a Template to the Master


class Loaded(Report):
    """The apps are imported, in `import_us` microseconds; which `threads` still live, one a line.

    `kinds` are those of the listeners' apps, in the order of the listeners.
    """

    __slots__ = ("import_us", "kinds", "threads")
    import_us: int
    kinds: str
    threads: str


class Broken(Report):
    """The app cannot be loaded, or a worker cannot start it: one line, and the traceback from the app's first frame."""

    __slots__ = ("summary", "trace")
    summary: str
    trace: str


class Forked(Report):
    """Worker `worker` is process `pid`; its pidfd comes along, opened before the Template may reap it."""

    __slots__ = ("worker", "pid", "fork_us")
    worker: int
    pid: int
    fork_us: int


class NotForked(Report):
    """fork(2) failed for worker `worker`: EAGAIN (TasksMax=) or ENOMEM."""

    __slots__ = ("worker", "reason")
    worker: int
    reason: str


class Reaped(Report):
    """Worker `worker` was waited for; `status` as in waitpid(2)."""

    __slots__ = ("worker", "pid", "status")
    worker: int
    pid: int
    status: int


# ### From the Master to a worker


class Quiesce(Report):
    """Stop accepting and say when all that was accepted is answered.

    `final` 0: a Resume may follow; 1: there is no way back (stop, retire); 2: nor will anybody hold the listeners after
    us, so the backlog is accepted once more first.
    """

    __slots__ = ("number", "final")
    number: int
    final: int


class Resume(Report):
    """Accept again; quiesce `number` is void."""

    __slots__ = ("number",)
    number: int


class Look(Report):
    """A sibling died: look into the backlogs yourself. Somebody may wait there for whom it alone was woken."""

    __slots__ = ()


class Visitor(Report):
    """A connection that the Master has accepted on descriptor `listener` comes along; `number` is the Master's for it.

    Nothing of it has been read. It is the worker's as soon as it says Welcomed; while it does not, it is the Master's.
    """

    __slots__ = ("number", "listener")
    number: int
    listener: int


# ### From a worker to the Master


class Welcomed(Report):
    """This worker has the connection that came as Visitor `number`."""

    __slots__ = ("number",)
    number: int


class Declined(Report):
    """This worker has no descriptor left for the connection that came as Visitor `number`, or no app."""

    __slots__ = ("number",)
    number: int


class Accepting(Report):
    """This worker has its listeners in its poll set; `boot_us` microseconds after its fork."""

    __slots__ = ("boot_us",)
    boot_us: int


class Greeted(Report):
    """The first connection this worker accepted came from `peer` on `listener`."""

    __slots__ = ("peer", "listener")
    peer: str
    listener: str


class Stirred(Report):
    """Quiesce `number` found a connection here: somebody came between the advice and the quiesce."""

    __slots__ = ("number",)
    number: int


class Quiesced(Report):
    """Everything this worker ever accepted is answered and closed; the counts are those of its row."""

    __slots__ = ("number", "accepted", "answered")
    number: int
    accepted: int
    answered: int


class Retiring(Report):
    """This worker wants a successor, because of `reason`; it goes on until the Master says otherwise."""

    __slots__ = ("reason",)
    reason: str


class Said(Report):
    """Something for the log: an event's name, a level as in syslog(3), and text."""

    __slots__ = ("event", "level", "text")
    event: str
    level: int
    text: str


_CLASSES = {cls.__name__: cls for cls in Report.__subclasses__()}


def encode(report: Report) -> bytes:
    """The message as bytes: the name and the fields, NUL between them (a NUL inside a text becomes U+FFFD)."""
    texts = (str(getattr(report, name)).replace("\0", "\ufffd") for name in report.__slots__)
    # An exception's text can hold any surrogate, not only those that stand for a byte of a file's name.
    fields = (_shortened(text.encode("utf-8", "surrogatepass")) for text in texts)
    return b"\0".join((type(report).__name__.encode(), *fields))


def decode(data: bytes) -> Report:
    """The value behind `data`. Raises ValueError for what `encode` did not make."""
    name, *texts = data.decode("utf-8", "surrogatepass").split("\0")
    cls = _CLASSES.get(name)
    if cls is None or len(texts) != len(cls.__slots__):
        raise ValueError(f"not a report: {data[:80]!r}")
    kinds = cls.__annotations__ if cls.__slots__ else {}
    return cls(
        *(_integer(text) if kinds[slot] == "int" else text for slot, text in zip(cls.__slots__, texts, strict=True))
    )


def _shortened(text: bytes) -> bytes:
    """Its beginning and its end where it is too long, cut between two characters."""
    if len(text) <= TEXT_LIMIT:
        return text
    half = (TEXT_LIMIT - len(_CUT)) // 2
    head, tail = half, len(text) - half
    while text[head] & 0xC0 == 0x80:  # in the middle of a character
        head -= 1
    while text[tail] & 0xC0 == 0x80:
        tail += 1
    return text[:head] + _CUT + text[tail:]


def _integer(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:  # it may be meant for a cell of the scoreboard
        raise ValueError(f"{value} is no integer of 64 bits")
    return value
