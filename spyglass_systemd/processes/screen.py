"""The screen: what these settings make of the first bytes of a connection. Knows no connection."""

from __future__ import annotations

import time

from spyglass_systemd.backends import proxy
from spyglass_systemd.backends.wsgi.response import date_line
from spyglass_systemd.policy import screening

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.policy.forwarded import Trust
    from spyglass_systemd.words.options import Settings

_PROXY = 4112  # bytes of a PROXY header, at most


class Screen:
    """`most` bytes are worth looking at; `rules` says whether there are any; the rest as the options have it."""

    def __init__(self, settings: Settings) -> None:
        self._rules = settings.screen
        self._introduced = settings.proxy_protocol
        self._trust: Trust | None = None
        if settings.proxy_protocol and settings.trusted_proxies:
            from spyglass_systemd.policy.forwarded import Trust  # noqa: PLC0415  # for those who name some

            self._trust = Trust(settings.trusted_proxies, settings.trusted_fields)
        self.rules = bool(settings.screen)
        self.most = screening.MOST + (_PROXY if settings.proxy_protocol else 0)
        self.patience = settings.patience
        self.header_timeout = settings.header_timeout

    def admits(self, address: object) -> bool:
        """Whether somebody at `address` may come in at all: no worker serves a peer that may send no PROXY header."""
        return self._trust is None or self._trust.holds(address[0] if isinstance(address, tuple) else "")

    def judge(self, data: bytes, *, page: bool) -> str | bytes:
        """As screening.judge, behind the PROXY header where one has to come."""
        if self._introduced and data:
            try:
                header = proxy.parse(data)
            except ValueError:
                return screening.CLOSE  # nor one who does not send it
            if header is None:
                return screening.WAIT
            data = data[header.size :]
        return screening.judge(data, self._rules, page=page, date=date_line(int(time.time())))
