"""The bytes of one connection, message by message, by the rules of the WSGI worker. Knows no parser and no app.

uvicorn reads what comes out. It has one of three parsers under it, and each lets through what the others do not.
"""

from __future__ import annotations

import re

from spyglass_systemd.backends.asgi.origin import SPELLINGS
from spyglass_systemd.backends.wsgi.bounds import TOKEN, check, check_partial, version_refused
from spyglass_systemd.backends.wsgi.chunked import Decoder
from spyglass_systemd.backends.wsgi.length import body_length
from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.backends.wsgi.target import other_form
from spyglass_systemd.words.hosts import is_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.backends.budget import Share
    from spyglass_systemd.backends.wsgi.bounds import Limits

# ### What does it cost?
# Next to nothing. A client says the same fields again and again. So what stands behind the target is remembered when it
# was found good, and a request that comes whole, with a plain target and no body, is let through after one look.

_TOKEN = "".join(sorted(TOKEN)).encode()
_MINOR = {b"HTTP/1.1": 1, b"HTTP/1.0": 0}
_CR = ord("\r")
_END = b"\r\n\r\n"
_HEAD = b"HEAD "
_MOST_REMEMBERED = 128
_LONGEST_REMEMBERED = 1024
_LONGEST_NAME = 64
_SMALL = 16 * 1024  # bytes of a body
_TELLING = frozenset((b"host", b"content-length", b"transfer-encoding", b"expect", b"upgrade"))

# With a target in origin form, and a method that everybody knows; and what stands behind that.
request_line = re.compile(rb"(?s:(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH) /[!\"$-~]* HTTP/1\.(.*))").match
_names: dict[bytes, bytes] = {}  # of fields, in small letters
_hosts: set[bytes] = set()


class Sieve:
    """`read` what came. `idle`: the next byte begins a message; `half`: there is a part of a head.

    `mute`: the message that was begun last asks for a head only (HEAD), so that its refusal has no body either.

    `known` is for all connections with the same limits: what stands behind `request_line` in requests without a body,
    and whether somebody claims there who asks.
    """

    __slots__ = ("_body_limit", "_decoder", "_head", "_known", "_left", "_limits", "_share", "mute")

    def __init__(self, limits: Limits, body_limit: int | None, share: Share, known: dict[bytes, bool]) -> None:
        self._limits = limits
        self._known = known
        self._share = share
        self._body_limit = body_limit
        self._head = b""
        self._left = 0  # bytes of a body that has a length
        self._decoder: Decoder | None = None
        self.mute = False

    @property
    def idle(self) -> bool:
        return not (self._left or self._head or self._decoder)

    @property
    def half(self) -> bool:
        return bool(self._head)

    @property
    def large(self) -> bool:
        """Whether there is more to come of a body than one small piece, or nobody knows how much."""
        return self._decoder is not None or self._left > _SMALL

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What there is for uvicorn to read of this message, and what comes behind it. Raises Refusal.

        Of a chunked body, the chunks are made anew.
        """
        if self._left:
            piece = data[: self._left]
            self._left -= len(piece)
            return piece, data[len(piece) :]
        if self._decoder is not None:
            return self._rechunk(self._decoder, data)
        return self._begin(self._head + data if self._head else data)

    def _begin(self, data: bytes) -> tuple[bytes, bytes]:
        """A message, from its first byte on."""
        self._head = b""
        end = data.find(_END)
        if end < 1 or data[0] == _CR:
            begin = 0
            while data.startswith(b"\r\n", begin):  # RFC 9112 section 2.2
                begin += 2
            data = data[begin:]
            end = data.find(_END)
            self.mute = data.startswith(_HEAD)
            if end < 0:
                if data not in (b"", b"\r"):
                    check_partial(data, self._limits)
                self._hold(len(data))
                self._head = data  # not sooner: who is refused is not remembered while he is seen off
                return b"", b""
        self.mute = data.startswith(_HEAD)
        if self._share:
            self._share.keep(0)
        head, length = self._frame(data[:end])
        if length < 0:
            self._decoder = Decoder(self._body_limit, self._limits.total)
        elif length:
            if self._body_limit is not None and length > self._body_limit:
                raise Refusal(413, f"a body of over {self._body_limit} bytes")
            self._left = length
        return head + _END, data[end + 4 :]

    def _hold(self, size: int) -> None:
        if not self._share.keep(size):
            raise Refusal(503, "too much is waiting here")

    def _rechunk(self, decoder: Decoder, data: bytes) -> tuple[bytes, bytes]:
        pieces: list[bytes] = []
        rest = decoder.feed(data, pieces.append)
        body = b"".join(pieces)
        made = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        self._hold(decoder.partial)
        if decoder.ended:
            self._decoder = None
            made += b"0\r\n\r\n"
        return made, rest

    def _frame(self, head: bytes) -> tuple[bytes, int]:
        """A head as uvicorn may read it, and the length of the body as in `body_length`."""
        check(head, self._limits)
        line = head.partition(b"\r\n")[0]
        words = line.split(b" ")
        if len(words) != 3 or not words[0] or words[0].translate(None, _TOKEN):
            raise Refusal(400, "a request line is METHOD TARGET VERSION, with one space between")
        method, target, version = words
        if version not in _MINOR:
            raise version_refused(version.decode("latin-1"))
        fields, length = _fields(head[len(line) :], _MINOR[version])
        line, host = _request_line(method, target, version)
        if host:
            fields = b"\r\nHost: " + host + _without(fields, b"host")
        made = line + fields
        if made == head and not length:
            self._remember(version[-1:] + fields)
        return made, length

    def _remember(self, behind: bytes) -> None:
        if len(behind) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            names = {line.partition(b":")[0].lower() for line in behind.split(b"\r\n")}
            if b"upgrade" not in names:  # after which the connection may be another protocol's
                self._known[behind + _END] = not SPELLINGS.isdisjoint(names)


class Deaf(Sieve):
    """In place of one that has refused: nothing behind that means anything, and what was kept is let go."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    @property
    def idle(self) -> bool:
        return False

    @property
    def half(self) -> bool:
        return False

    @property
    def large(self) -> bool:
        return False

    def read(self, data: bytes) -> tuple[bytes, bytes]:  # noqa: ARG002  # as its sibling
        """Nothing, of whatever comes."""
        return b"", b""


def _request_line(method: bytes, target: bytes, version: bytes) -> tuple[bytes, bytes]:
    """With the target in origin form, and the host that it named, if it did."""
    if method == b"CONNECT":
        raise Refusal(501, "this is no proxy")
    if not target or b"#" in target or b"\t" in target:
        raise Refusal(400, "no valid target in the request line")
    if not target.isascii():
        target = b"".join(b"%%%02X" % byte if byte >= 0x80 else bytes((byte,)) for byte in target)
    host = ""
    if target[:1] != b"/":
        host, text = other_form(target.decode("ascii"), method.decode("ascii"))
        target = text.encode("ascii") or b"*"
    return b"%b %b %b" % (method, target, version), host.encode("ascii")


def _fields(fields: bytes, minor: int) -> tuple[bytes, int]:
    """The fields, without what uvicorn would misunderstand, and the length of the body. Raises Refusal."""
    told: dict[bytes, list[bytes]] = {}
    for line in fields.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        lower = _names.get(name) if colon else None
        if lower is None:
            lower = _learn(name, colon)
        if lower in _TELLING:
            told.setdefault(lower, []).append(value.strip(b" \t"))
    _check_host(told.get(b"host", []), minor)
    length = _length(told.get(b"content-length", []), told.get(b"transfer-encoding", []), minor)
    if b"expect" in told:
        if not minor:
            fields = _without(fields, b"expect")
        elif [value.lower() for value in told[b"expect"]] != [b"100-continue"]:
            raise Refusal(417, "the only expectation that can be met is 100-continue")
        elif not length:
            fields = _without(fields, b"expect")
    if b"upgrade" in told and [value.lower() for value in told[b"upgrade"]] != [b"websocket"]:
        fields = _without(fields, b"upgrade")  # an offer that is not taken; a parser may think that it must be
    return fields, length


def _check_host(hosts: list[bytes], minor: int) -> None:
    if len(hosts) > 1 or (minor and not hosts):
        raise Refusal(400, "more than one Host" if hosts else "no Host")
    if hosts and hosts[0] and hosts[0] not in _hosts:
        if not is_host(hosts[0].decode("latin-1")):
            raise Refusal(400, "no valid Host")
        if len(_hosts) >= _MOST_REMEMBERED:
            _hosts.clear()
        if len(hosts[0]) <= _LONGEST_NAME:
            _hosts.add(hosts[0])


def _learn(name: bytes, colon: bytes) -> bytes:
    if not colon or not name or name.translate(None, _TOKEN):
        raise Refusal(400, "no valid name of a header field")
    if len(_names) >= _MOST_REMEMBERED:
        _names.clear()
    if len(name) <= _LONGEST_NAME:
        _names[name] = name.lower()
    return name.lower()


def _length(lengths: list[bytes], codings: list[bytes], minor: int) -> int:
    if not lengths and not codings:
        return 0
    if len(lengths) > 1:
        raise Refusal(400, "more than one Content-Length")
    coding = b",".join(codings).decode("latin-1") if codings else None
    return body_length(lengths[0].decode("latin-1") if lengths else None, coding, minor)


def _without(fields: bytes, name: bytes) -> bytes:
    lines = fields.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() != name)
