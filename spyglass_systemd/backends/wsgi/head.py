"""One request head by the grammar of RFC 9112: bytes in, a WSGI environ out. Knows no socket, no body and no app."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.refusal import Refusal
from spyglass_systemd.backends.wsgi.target import is_host, other_form, split_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# ### Why our own parser, in Python?
# Because it is the faster one here, and the stricter one. A C parser calls back for each field with bytes, and the
# environ wants strings under other names, so the C part saves less than the calls cost; and what it lets through
# depends on which of them is installed, so that every rule below would have to be checked again anyway. Here a rule
# stands once. The tests hold it against llhttp: what we take, llhttp takes too, and reads the same.
#
# ### What makes it strict?
# One look at the whole head, at the speed of C: when everything but the CRLF pairs is a character that a head may hold,
# there is no bare CR or LF, no NUL, no control character left to worry about. Each field name is checked once and
# remembered. Whatever two parsers could read differently is refused: that is how requests are smuggled.

CHUNKED = -1  # Request.length of a body whose end only its last chunk tells

_TEXT = bytes(c for c in range(256) if c == 9 or (c >= 32 and c != 127))  # HTAB, SP, VCHAR, obs-text
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_DIGITS = frozenset("0123456789")
_MOST_DIGITS = 18  # of a Content-Length
_MOST_REMEMBERED = 512
_LONGEST_REMEMBERED = 64

_methods = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
_keys: dict[str, str] = {}  # field name: key in the environ, "" for what is not for the app
_hosts: set[str] = set()


class Limits:
    """How much of a head we read: bytes a line, bytes in all, fields."""

    __slots__ = ("count", "line", "total")

    def __init__(self, line: int, total: int, count: int) -> None:
        self.line = line
        self.total = total
        self.count = count


class Request:
    """What a head says beside its environ.

    The `minor` version, the `length` of the body (CHUNKED for one that is chunked), `keep`: the client would send more
    requests on this connection, `expects`: it waits for 100 Continue.
    """

    __slots__ = ("expects", "keep", "length", "method", "minor", "target", "version")

    def __init__(self, method: str, target: str, version: str, minor: int) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.minor = minor
        self.length = 0
        self.keep = minor == 1
        self.expects = False


def parse(head: bytes, environ: dict[str, Any], limits: Limits, prefix: str = "") -> Request:
    """Fill `environ` from a head, which is everything before the empty line. Raises Refusal.

    `prefix` is SCRIPT_NAME, and is taken off the path where the path has it.
    """
    lines = head.decode("latin-1").split("\r\n")
    if len(head.translate(None, _TEXT)) != 2 * len(lines) - 2:
        raise Refusal(400, "a control character, or a line that does not end in CRLF")
    if len(head) > limits.line:
        _measure(lines, len(head), limits)
    request = _request_line(lines[0])
    if len(lines) > limits.count + 1:
        raise Refusal(431, f"more than {limits.count} header fields")
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(":")
        key = _keys.get(name)
        if key is None:
            key = _learn(name)
        if not colon:
            raise Refusal(400, "a header line without a colon")
        if key in environ:
            _repeat(key, value.strip(" \t"), environ)
        elif key:
            environ[key] = value.strip(" \t")
    _understand(request, environ, prefix)
    return request


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
        request.length = _body_length(environ, request.minor)
    if "HTTP_EXPECT" in environ and request.minor:
        if environ["HTTP_EXPECT"].lower() != "100-continue":
            raise Refusal(417, "the only expectation that can be met is 100-continue")
        request.expects = True


def check_partial(data: bytes, limits: Limits) -> None:
    """Look at the beginning of a head whose end has not come. Raises Refusal as soon as it can never be a good one."""
    if chr(data[0]) not in _TOKEN:
        raise Refusal(400, "this is not HTTP")  # a TLS handshake, most often
    if data.count(b"\n") != data.count(b"\r\n"):
        raise Refusal(400, "a line that does not end in CRLF")
    first = data.find(b"\r\n")
    if first > limits.line or (first < 0 and len(data) > limits.line + 1):
        raise Refusal(414, f"a request line of over {limits.line} bytes")
    if len(data) > limits.total or len(data) - data.rfind(b"\r\n") > limits.line + 3:
        raise Refusal(431, f"a header line of over {limits.line} bytes, or over {limits.total} bytes in all")


def _measure(lines: list[str], length: int, limits: Limits) -> None:
    if len(lines[0]) > limits.line:
        raise Refusal(414, f"a request line of over {limits.line} bytes")
    if length > limits.total or max(map(len, lines)) > limits.line:
        raise Refusal(431, f"a header line of over {limits.line} bytes, or over {limits.total} bytes in all")


def _request_line(line: str) -> Request:
    parts = line.split(" ")
    if len(parts) != 3:  # method, target, version
        raise Refusal(400, "a request line is METHOD TARGET VERSION, with one space between")
    method, target, version = parts
    if method not in _methods:
        _check_method(method)
    if not target or "#" in target or "\t" in target:
        raise Refusal(400, "no valid target in the request line")
    if version == "HTTP/1.1":
        return Request(method, target, version, 1)
    if version == "HTTP/1.0":
        return Request(method, target, version, 0)
    digits = version[5:6] + version[7:]
    if version[:5] != "HTTP/" or version[6:7] != "." or len(digits) != 2 or not _DIGITS.issuperset(digits):
        raise Refusal(400, "the request line does not end in an HTTP version")
    if version[5] != "1":
        raise Refusal(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    return Request(method, target, version, 1)


def _check_method(method: str) -> None:
    if not method or not _TOKEN.issuperset(method):
        raise Refusal(400, "no valid method in the request line")
    if method == "CONNECT":
        raise Refusal(501, "this is no proxy")


def _learn(name: str) -> str:
    """The key of a field in the environ; "" for one that the app must not see.

    With `_` in its name it would be taken for the field with `-`, and HTTP_PROXY is a setting of many client libraries
    (httpoxy).
    """
    if not name or not _TOKEN.issuperset(name):
        raise Refusal(400, "no valid name of a header field")
    key = "HTTP_" + name.upper().replace("-", "_")
    if "_" in name or key == "HTTP_PROXY":
        key = ""
    elif key in ("HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE"):
        key = key[5:]
    if len(_keys) >= _MOST_REMEMBERED:
        _keys.clear()
    if len(name) <= _LONGEST_REMEMBERED:
        _keys[name] = key
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


def _body_length(environ: dict[str, Any], minor: int) -> int:
    """RFC 9112 section 6.3; where it leaves a choice, the strict one."""
    coding = environ.pop("HTTP_TRANSFER_ENCODING", None)
    if coding is None:
        length = environ["CONTENT_LENGTH"]
        if not length or not _DIGITS.issuperset(length):
            raise Refusal(400, "a Content-Length that is no number")
        if len(length) > _MOST_DIGITS:
            raise Refusal(413, "a body of that size is not read here")
        return int(length)
    if "CONTENT_LENGTH" in environ:
        raise Refusal(400, "Content-Length beside Transfer-Encoding")
    if not minor:
        raise Refusal(400, "Transfer-Encoding in HTTP/1.0")
    codings = [name.strip(" \t").lower() for name in coding.split(",")]
    if codings == ["chunked"]:
        return CHUNKED
    if "chunked" in codings[:-1] or not all(codings):
        raise Refusal(400, "chunked must be the last transfer coding, and once")
    raise Refusal(501, "the only transfer coding known here is chunked")
