"""Wakes a site's app as a visitor does, who then asks for nothing; says what that took. Starts no unit by itself."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spyglass_systemd.protocols import notice
from spyglass_systemd.tools import board as boards
from spyglass_systemd.tools import status, wanted
from spyglass_systemd.tools.foreign import ForeignError
from spyglass_systemd.words.errors import AppError, ManagerError
from spyglass_systemd.words.states import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from spyglass_systemd.tools.board import Board
    from spyglass_systemd.tools.places import Site
    from spyglass_systemd.tools.status import Status

_LOOK = 0.02  # seconds between two looks at the scoreboard
_ASK = 1.0  # seconds between two questions to systemd, which alone knows of an app that never comes so far
_CONNECT = 10.0  # seconds for the kernel to take the connection: longer where the backlog is full
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104  # an address to connect to instead

# ### Why a connection, and not `systemctl start`?
# Because the app is woken by a connection and by nothing else. A service that is started by hand has a Master who looks
# at the listeners. And because a connection tries all that lies between a visitor and the app: the name of the socket,
# its backlog, systemd's eye on it.
#
# ### And does a connection that says nothing wake it?
# Not where the kernel is to wait for the first byte (DeferAcceptSec=), nor where requests are screened. There an empty
# line is said: before a request it means nothing (RFC 9112 section 2.2), and it is no probe. A raw app would read it.
_NOTHING = b"\r\n"


@dataclass(frozen=True, slots=True)
class Woken:
    """An app that is awake. `seconds` is what it took from our connect, None where it was awake before."""

    seconds: float | None
    phases_us: dict[str, int] = field(default_factory=dict)


def wake(site: Site, tell: Callable[[str], None]) -> Woken:
    """Returns when a worker accepts. `tell` is called with what is waited for.

    Raises ManagerError where nobody listens, AppError where the app does not start, ConfigError for a broken file.
    """
    (seen,) = status.look([site])
    if seen.condition.state == State.AWAKE.value:
        return Woken(None)
    settings = wanted.read(site).settings
    began = time.monotonic()
    with _connect(site, seen) as connection:
        if settings.screen or settings.kind in {"wsgi", "asgi"}:
            connection.sendall(_NOTHING)
        asked_at = began
        while True:
            board = _board(site)
            if board is not None and board.state is State.AWAKE:
                return Woken(time.monotonic() - began, board.phases_us)
            if board is not None and board.state is State.FAILED and board.failures:  # then it has said why
                raise _failure(site)
            now = time.monotonic()
            if now > asked_at + _ASK:
                asked_at = now
                _check(site)
            tell(board.state.value if board is not None else "starting")
            time.sleep(_LOOK)


def address(text: str) -> tuple[int, str | tuple[str, int]]:
    """The family and address to connect to, of what systemd shows of a listener: `/run/a`, `@a`, `[::]:80`."""
    if text.startswith("/"):
        return socket.AF_UNIX, text
    if text.startswith("@"):
        return socket.AF_UNIX, "\0" + text[1:]
    host, _, port = text.rpartition(":")
    host = _EVERYWHERE.get(host, host)
    return socket.AF_INET6 if ":" in host else socket.AF_INET, (host.strip("[]"), int(port))


def _connect(site: Site, seen: Status) -> socket.socket:
    active = [listener for listener in seen.condition.listeners if listener.active]
    if not active:
        raise ManagerError(f"nobody listens for {site.name}", hint=_start(site, seen))
    family, target = address(active[0].address)
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(_CONNECT)
        connection.connect(target)
    except OSError as error:
        connection.close()
        cure = next((cure for _, cure in seen.trouble if cure), _start(site, seen))
        reason = error.strerror or "it does not answer"
        raise ManagerError(f"{active[0].address} cannot be connected to: {reason}", hint=cure) from None
    return connection


def _check(site: Site) -> None:
    """Raises ManagerError where systemd has given up, or starts the service anew because it ends before it serves."""
    (seen,) = status.look([site])
    if seen.condition.trouble and seen.condition.code:
        what, cure = seen.condition.trouble[0]
        raise ManagerError(f"{site.name}: {what}", hint=cure)


def _board(site: Site) -> Board | None:
    try:
        return boards.look(str(site.runtime))
    except ForeignError as error:
        raise ManagerError(f"whether it wakes cannot be seen: {error.message}") from None


def _failure(site: Site) -> AppError:
    first, *trace = status.note(site, notice.LAST_ERROR) or ("nobody has said why",)
    hint = "it answers 503, and tries again when a file of the app has changed"
    return AppError(f"{site.name} does not start: {first}", hint=hint, trace="\n".join(trace))


def _start(site: Site, seen: Status) -> str:
    return f"`spyglass {'start' if seen.enabled else 'enable'} {site.typed}` listens"
