"""Takes a PROXY header off a socket, and not a byte more. Knows nothing of what comes behind it.

For what reads its own sockets or lets asyncio do so; WSGI has its own way, without a call of the kernel more.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time

from spyglass_systemd.backends import proxy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.base import Gate
    from spyglass_systemd.words.options import Settings

_DEBUG = 7  # syslog(3): whoever knocks at the port could fill a log
_MOST = 8192  # bytes to look at; no header is longer
_LONGEST = 86400.0  # seconds of one poll(2): its milliseconds are a C int, 24 days

# ### How is not a byte more read?
# By looking first (MSG_PEEK). While the header is not whole, all that has come belongs to it, and is taken, so that the
# next look waits for more. When it is whole its size is known, and the rest is left to whom it is for.


class Unintroduced(ConnectionError):  # noqa: N818  # a visitor, not a failure
    """A connection does not begin with the header that it must begin with, or its peer may not send one."""


class Introductions:
    """How connections of one worker are met. `meet` blocks, in any thread; `greet` is its sibling for asyncio.

    Both take a connection and its peer's address, and return the address of whom the peer speaks for. Both raise
    Unintroduced, TimeoutError after `header_timeout`, OSError.
    """

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._gate = gate
        self._limit = min(settings.header_timeout, _LONGEST)
        self._trust = None
        if settings.trusted_proxies:
            from spyglass_systemd.policy.forwarded import Trust  # noqa: PLC0415  # for those who name some

            self._trust = Trust(settings.trusted_proxies, settings.trusted_fields)

    def meet(self, connection: socket.socket, address: Any) -> Any:
        self._check(address)
        until, came = time.monotonic() + self._limit, b""
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        while poll.poll(max(0.0, until - time.monotonic()) * 1000):
            came, header = _look(connection, came)
            if header is not None:
                return header.source or address
        raise TimeoutError

    async def greet(self, connection: socket.socket, address: Any) -> Any:
        came = b""
        try:
            self._check(address)
            async with asyncio.timeout(self._limit):
                while True:
                    try:
                        came, header = _look(connection, came)
                    except BlockingIOError:
                        await _readable(connection)
                        continue
                    if header is not None:
                        return header.source or address
        except Unintroduced as why:
            self.report(why)
            raise

    async def protocol(self, protocol: Any, connection: socket.socket, address: Any) -> Introduction:
        """Hands `protocol` the connection as one of whom the peer speaks for."""
        return Introduction(protocol, await self.greet(connection, address))

    def writer(
        self, transport: Any, protocol: asyncio.StreamReaderProtocol, reader: asyncio.StreamReader, address: Any
    ) -> asyncio.StreamWriter:
        """For a stream whose peer is at `address`."""
        return asyncio.StreamWriter(Introduced(transport, address), protocol, reader, asyncio.get_running_loop())  # type: ignore[arg-type]

    def report(self, trouble: BaseException | None) -> None:
        """For the log, from the loop's thread: what `meet` has raised; `greet` has done so itself."""
        if isinstance(trouble, Unintroduced):
            self._gate.say("proxy", _DEBUG, f"a connection was closed: {trouble}")

    def _check(self, address: Any) -> None:
        if self._trust is not None and not self._trust.holds(address[0] if isinstance(address, tuple) else ""):
            raise Unintroduced("its peer is none of the trusted_proxies")


def _look(connection: socket.socket, came: bytes) -> tuple[bytes, proxy.Header | None]:
    """What has come of the header, and the header when that is all of it."""
    there = connection.recv(_MOST, socket.MSG_PEEK)
    if not there:
        raise ConnectionAbortedError
    try:
        header = proxy.parse(came + there)
    except ValueError as error:
        raise Unintroduced(str(error)) from None
    size = len(came) + len(there) if header is None else header.size
    while len(came) < size:
        came += connection.recv(size - len(came))
    return came, header


async def _readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()

    def ring() -> None:
        if not there.done():
            there.set_result(None)

    loop.add_reader(connection.fileno(), ring)
    try:
        await there
    finally:
        loop.remove_reader(connection.fileno())


class Introduction(asyncio.Protocol):
    """Hands a connection to `protocol` as one of `address`."""

    def __init__(self, protocol: Any, address: Any) -> None:
        self._protocol = protocol
        self._address = address

    def connection_made(self, transport: Any) -> None:
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(Introduced(transport, self._address))


class Introduced:
    """A transport, or the socket of one, whose peer is at `address`. All else is its own."""

    def __init__(self, whose: Any, address: Any) -> None:
        self._whose = whose
        self._address = address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whose, name)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "peername":
            return self._address
        found = self._whose.get_extra_info(name, default)
        return Introduced(found, self._address) if name == "socket" and found is not None else found

    def getpeername(self) -> Any:
        return self._address
