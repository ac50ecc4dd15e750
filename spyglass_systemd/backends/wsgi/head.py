"""One request head by the grammar of RFC 9112: bytes in, a WSGI environ out. Knows no socket, no body and no app."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.bounds import TOKEN, check, version_refused
from spyglass_systemd.backends.wsgi.length import body_length
from spyglass_systemd.backends.wsgi.parser import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.backends.wsgi.target import other_form, split_path
from spyglass_systemd.words.claims import CLAIMS
from spyglass_systemd.words.hosts import is_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spyglass_systemd.backends.wsgi.bounds import Limits

    Believe = Callable[[dict[str, Any], list[tuple[bytes, bytes]]], None]

# ### Who decides what a head says?
# httptools, that is llhttp, which is Node's, and read by more people than any parser of ours would be. It takes the
# head apart; what the parts mean for the body, the connection and the environ is decided here.

_DIGITS = frozenset("0123456789")
_MINOR = {"HTTP/1.1": 1, "HTTP/1.0": 0}
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 64

_methods = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
_keys: dict[bytes, str] = {}  # field name: key in the environ, "" for what is not for the app
_hosts: set[str] = set()


class Request:
    """What a head says beside its environ.

    The `line` that it begins with, and what that is made of; the `length` of the body (CHUNKED for one that is
    chunked), `keep`: the client would send more requests on this connection, `expects`: it waits for 100 Continue.
    """

    __slots__ = ("expects", "keep", "length", "line", "method", "minor", "target", "version")

    def __init__(self, method: str, target: str, version: str, minor: int, line: bytes = b"") -> None:
        self.line = line
        self.method = method
        self.target = target
        self.version = version
        self.minor = minor
        self.length = 0
        self.keep = minor == 1
        self.expects = False


def parse(
    head: bytes, environ: dict[str, Any], limits: Limits, prefix: str = "", believe: Believe | None = None
) -> Request:
    """Fill `environ` from a head, which is everything before the empty line. Raises Refusal.

    `prefix` is SCRIPT_NAME, and is taken off the path where the path has it. `believe` is called with the environ and
    the fields where there are proxies to be believed.
    """
    check(head, limits)
    if not head.isascii():
        head = _escaped(head)
    parts = _Parts()
    try:
        HttpRequestParser(parts).feed_data(head + b"\r\n\r\n")
    except HttpParserUpgrade:
        pass  # an offer, which we need not take: RFC 9110 section 7.8
    except HttpParserError as error:
        raise _explain(head, error) from None
    request = _request_line(head, parts.target.decode("latin-1"))
    for name, text in parts.fields:
        key = _keys.get(name)
        if key is None:
            key = _learn(name)
        if key in environ:
            _repeat(key, text.decode("latin-1").strip(" \t"), environ)
        elif key:
            environ[key] = text.decode("latin-1").strip(" \t")
    _understand(request, environ, prefix)
    if believe is not None:
        believe(environ, parts.fields)
    return request


class _Parts:
    """What httptools calls back with."""

    __slots__ = ("fields", "target")

    def __init__(self) -> None:
        self.target = b""
        self.fields: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))


def _understand(request: Request, environ: dict[str, Any], prefix: str) -> None:
    """What the fields mean for the target, the connection and the body."""
    host = environ.get("HTTP_HOST")
    if host not in _hosts:
        _check_host(host, request.minor, environ)
    target = request.target
    if target[0] != "/":
        host, target = other_form(target, request.method)
        if host:
            environ["HTTP_HOST"] = host
    environ["PATH_INFO"], environ["QUERY_STRING"] = split_path(target, prefix)
    environ["REQUEST_METHOD"] = request.method
    environ["REQUEST_URI"] = request.target
    environ["SERVER_PROTOCOL"] = request.version
    if "HTTP_CONNECTION" in environ:
        options = [option.strip(" \t") for option in environ["HTTP_CONNECTION"].lower().split(",")]
        request.keep = "close" not in options and (request.keep or "keep-alive" in options)
    if "CONTENT_LENGTH" in environ or "HTTP_TRANSFER_ENCODING" in environ:
        coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
        request.length = body_length(environ.get("CONTENT_LENGTH"), coding, request.minor)
    if "HTTP_EXPECT" in environ and request.minor:
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refusal(417, "the only expectation that can be met is 100-continue")
        request.expects = True


def _request_line(head: bytes, target: str) -> Request:
    line = head.partition(b"\r\n")[0]
    method, _, rest = line.decode("latin-1").partition(" ")
    version = rest[len(target) + 1 :]
    if rest != f"{target} {version}" or not target or "#" in target or "\t" in target or " " in target:
        raise Refusal(400, "a request line is METHOD TARGET VERSION, with one space between")
    if method not in _methods:
        _check_method(method)
    if version not in _MINOR:
        raise version_refused(version)
    return Request(method, target, version, _MINOR[version], line)


def _escaped(head: bytes) -> bytes:
    """With what is not ASCII in the request line escaped: curl sends a path as it was typed, no parser takes it so."""
    line, end, rest = head.partition(b"\r\n")
    method, space, line = line.partition(b" ")
    escaped = b"".join(b"%%%02X" % byte if byte >= 0x80 else bytes((byte,)) for byte in line)
    return method + space + escaped + end + rest


def _explain(head: bytes, error: Exception) -> Refusal:
    """Why the parser did not take it, as far as a status code can tell."""
    words = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
    if len(words) == 3 and words[0] and TOKEN.issuperset(words[0]):  # METHOD TARGET VERSION
        if words[2] not in _MINOR:
            return version_refused(words[2])
        if isinstance(error, HttpParserInvalidMethodError):
            return Refusal(501, f"no such method is known here: {words[0][:20]}")
    return Refusal(400, f"this is not HTTP: {error}")


def _check_method(method: str) -> None:
    if not method or not TOKEN.issuperset(method):
        raise Refusal(400, "no valid method in the request line")
    if method == "CONNECT":
        raise Refusal(501, "this is no proxy")


def _learn(field: bytes) -> str:
    """The key of a field in the environ; "" for one that the app must not see.

    With `_` in its name it would be taken for the field with `-`, HTTP_PROXY is a setting of many client libraries
    (httpoxy), and CLAIMS anybody can write.
    """
    name = field.decode("latin-1")
    if not name or not TOKEN.issuperset(name):
        raise Refusal(400, "no valid name of a header field")
    key = "HTTP_" + name.upper().replace("-", "_")
    if "_" in name or key == "HTTP_PROXY" or name.lower() in CLAIMS:
        key = ""
    elif key in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"):
        key = key[5:]
    if len(_keys) >= _MOST_REMEMBERED:
        _keys.clear()
    if len(name) <= _LONGEST_REMEMBERED:
        _keys[field] = key
    return key


def _repeat(key: str, value: str, environ: dict[str, Any]) -> None:
    if key in ("HTTP_HOST", "CONTENT_LENGTH", "CONTENT_TYPE"):
        raise Refusal(400, f"more than one {key.removeprefix('HTTP_').replace('_', '-').title()}")
    environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value


def _check_host(host: str | None, minor: int, environ: dict[str, Any]) -> None:
    """RFC 9112 section 3.2: a server must refuse a request without Host, and one whose Host is none.

    An empty one is allowed, and says nothing.
    """
    if host is None:
        if minor:
            raise Refusal(400, "no Host")
    elif not host:
        del environ["HTTP_HOST"]
    elif is_host(host):
        if len(_hosts) >= _MOST_REMEMBERED:
            _hosts.clear()
        if len(host) <= _LONGEST_REMEMBERED:
            _hosts.add(host)
    else:
        raise Refusal(400, "no valid Host")
