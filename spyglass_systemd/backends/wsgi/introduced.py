"""A connection that begins with a PROXY header. Knows of HTTP only that it comes behind that."""

from __future__ import annotations

from spyglass_systemd.backends import proxy
from spyglass_systemd.backends.wsgi.connection import Connection
from spyglass_systemd.backends.wsgi.wire import IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEBUG = 7  # syslog(3): whoever knocks at the port could fill a log

# ### Why is a connection without the header not simply served?
# Because then anybody could leave it out, and pass for the proxy; proxy-protocol.txt, section 2, forbids to guess.
# While the header is not whole nothing has come, as far as HTTP is concerned: `header_timeout` runs from the accept on.


class Introduced(Connection):
    """Waits for the header; from then on it is like any other, of another client."""

    __slots__ = ("_header", "_told")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._header = b""
        self._told = False

    def _take(self, data: bytes) -> None:
        if self._told:
            super()._take(data)
            return
        self._header += data
        try:
            header = self._parse()
        except ValueError as why:
            self._loop.service.gate.say("proxy", _DEBUG, f"a connection was closed: {why}")
            self._goodbye()
            return
        if header is None:
            self._watch(IN)
            return
        self._told, rest, self._header = True, self._header[header.size :], b""
        if header.source is not None:
            self.framing.introduce(*header.source)
        if rest:
            super()._take(rest)
        else:
            self._watch(IN)

    def _parse(self) -> proxy.Header | None:
        trust = self._loop.service.trust
        if trust is not None and not trust.holds(self.framing.peer):
            raise ValueError("its peer is none of the trusted_proxies")
        return proxy.parse(self._header)
