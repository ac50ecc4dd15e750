"""Requests out of a stream of bytes, one after another, each whole: head and body. Knows no socket and no clock."""

from __future__ import annotations

import io

from spyglass_systemd.backends.budget import Share
from spyglass_systemd.backends.wsgi.body import Body
from spyglass_systemd.backends.wsgi.bounds import check_partial
from spyglass_systemd.backends.wsgi.head import parse
from spyglass_systemd.backends.wsgi.refusal import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spyglass_systemd.backends.budget import Budget
    from spyglass_systemd.backends.wsgi.bounds import Limits
    from spyglass_systemd.backends.wsgi.head import Believe, Request

NOTHING, HEAD, BODY = range(3)
_CR = 13


class Rules:
    """What is read of a request.

    `limits` of its head, `body_limit` bytes of body (None: any), of which `spool` stay in memory, if the `budget` of
    all connections has them; `prefix` is SCRIPT_NAME; `believe` sees to what proxies say, None where there are none.
    """

    __slots__ = ("believe", "body_limit", "budget", "limits", "prefix", "spool")

    def __init__(
        self,
        limits: Limits,
        body_limit: int | None,
        spool: int,
        prefix: str,
        *,
        budget: Budget,
        believe: Believe | None = None,
    ) -> None:
        self.budget = budget
        self.believe = believe
        self.limits = limits
        self.body_limit = body_limit
        self.spool = spool
        self.prefix = prefix


class Framing:
    """`feed` it until it returns a request, whole, with its `environ`; then feed it b"" for the one behind it.

    `request` is the one that is coming in or has come, None while its head is not whole or no good. `rest` is what came
    and is not read yet. `asks`: the client waits for 100 Continue.
    """

    __slots__ = ("_began", "_body", "_rules", "_share", "_template", "asks", "environ", "request", "rest")

    def __init__(self, rules: Rules, template: dict[str, Any]) -> None:
        self._rules = rules
        self._template = template  # what all environs have in common
        self._began = b""  # what a head that is no good begins with
        self._body: Body | None = None
        self._share = Share(rules.budget)
        self.environ: dict[str, Any] = {}
        self.request: Request | None = None
        self.rest = b""
        self.asks = False

    def introduce(self, address: str, port: int) -> None:
        """The requests of this stream are those of a client behind the peer."""
        self._template = self._template | {"REMOTE_ADDR": address, "REMOTE_PORT": str(port)}

    @property
    def peer(self) -> str:
        """The address that the connection comes from, "" on a Unix socket."""
        return str(self._template["REMOTE_ADDR"])

    @property
    def mute(self) -> bool:
        """It is a HEAD that is coming in, or was refused: no answer to it has a body, a refusal neither."""
        return (self.request.line if self.request else self._began or self.rest).startswith(b"HEAD ")

    @property
    def stage(self) -> int:
        """How much of a request is here: NOTHING, a part of its HEAD, a part of its BODY."""
        if self._body is not None:
            return BODY
        return HEAD if self.rest not in (b"", b"\r") else NOTHING

    @property
    def received(self) -> int:
        """Bytes of the body that is coming in."""
        return self._body.size if self._body is not None else 0

    def feed(self, data: bytes) -> Request | None:
        """Take what came; returns a request when one is whole.

        Raises Refusal, and OSError where a body cannot be kept: after that nothing in this stream means anything.
        """
        if self._body is not None:
            return self._feed_body(self._body, data)
        self.request = None
        if self.rest:
            data = self.rest + data
        end = data.find(b"\r\n\r\n")
        if end < 1 or data[0] == _CR:
            begin = 0  # RFC 9112 section 2.2: some clients send an empty line too many, some send nothing else
            while data.startswith(b"\r\n", begin):
                begin += 2
            data = data[begin:]
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.rest = data
                self.environ = self._template  # not that of the request before: a refusal is nobody's of whom it spoke
                if self.stage == HEAD:
                    check_partial(data, self._rules.limits)
                    self._hold(len(data))
                return None
        self.rest = data[end + 4 :]
        self.environ = environ = self._template.copy()
        rules = self._rules
        try:
            self.request = request = parse(data[:end], environ, rules.limits, rules.prefix, rules.believe)
        except Refusal:
            self._began = data[:5]
            raise
        if request.length:
            return self._begin_body(request)
        environ["wsgi.input"] = io.BytesIO()
        if self.rest or self._share:
            self._keep_rest(request)
        return request

    def _begin_body(self, request: Request) -> Request | None:
        rules, data = self._rules, self.rest
        if rules.body_limit is not None and request.length > rules.body_limit:
            raise Refusal(413, f"a body of over {rules.body_limit} bytes")
        self._body = Body(request.length, rules.spool, rules.body_limit, rules.limits.total, rules.budget)
        self.rest = b""
        self.asks = request.expects and not data
        return self._feed_body(self._body, data)

    def _feed_body(self, body: Body, data: bytes) -> Request | None:
        rest = body.feed(data)
        if rest is None:
            self._hold(body.partial)
            return None
        self._body, self.rest, self.asks = None, rest, False
        self.environ["wsgi.input"] = body.reader()
        # A chunked body is whole now too, and many apps read what CONTENT_LENGTH says and no more (RFC 9112, 7.1.3).
        self.environ["CONTENT_LENGTH"] = str(body.size)
        if self.request is not None and (rest or self._share):
            self._keep_rest(self.request)
        return self.request

    def _keep_rest(self, request: Request) -> None:
        """What was sent ahead waits; or is forgotten, and must be sent again (RFC 9112 section 9.3.2)."""
        if not self._share.keep(len(self.rest)):
            self.rest, request.keep = b"", False
            self._share.keep(0)

    def _hold(self, size: int) -> None:
        """So much of what came cannot be used yet. Raises Refusal where that is too much."""
        if not self._share.keep(size):
            raise Refusal(503, "too much is waiting here")

    def close(self) -> None:
        """Forget what came."""
        self._share.keep(0)
        if self._body is not None:
            self._body.close()
            self._body = None
        self.rest = b""
