"""What becomes of a connection before there is an app: a pure function of what has come. Reads no socket, no clock."""

from __future__ import annotations

from spyglass_systemd.protocols import head
from spyglass_systemd.words.rules import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.words.rules import Rule

# ### What is a probe?
# What the operator has listed, and nothing that merely looks like it. A connection is answered here when its bytes are
# one whole request in the strictest reading, of a listed path and method, without a body and with nothing behind it.
# Whatever is not surely that is `REAL`: the app is woken and decides, and what was so strange about it is then for the
# worker's parser to say. The worst case is a needless wake, never a wrong answer.
#
# ### And what can never be a request?
# What begins with a byte that no method has: a TLS handshake, most often. It is closed, and wakes nobody.

WAIT, REAL, CLOSE = "wait", "real", "close"
MOST = 8192  # bytes of a head; a probe has some hundred, a browser some thousand

_EMPTY_LINE = frozenset(b"\r\n")  # before a request: RFC 9112 section 2.2
_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    429: "Too Many Requests",
    503: "Service Unavailable",
}


def judge(data: bytes, rules: tuple[Rule, ...], *, page: bool = False, date: bytes = b"") -> str | bytes:
    """What to do about a connection of which `data` has come.

    WAIT: for more of it. REAL: it is for the app. CLOSE: it is for nobody. Bytes: send these, and end it.
    `page`: a browser gets the waking page. `date` is a Date header line.
    """
    if not data:
        return WAIT
    if data[0] not in head.TOKEN:
        return REAL if data[0] in _EMPTY_LINE else CLOSE
    try:
        return _judge(data, rules, page=page, date=date)
    except ValueError:
        return REAL


def _judge(data: bytes, rules: tuple[Rule, ...], *, page: bool, date: bytes) -> str | bytes:
    unfinished = WAIT if len(data) < MOST else REAL
    asked = head.request_line(data)
    if asked is None:
        return unfinished
    rule = find(rules, *asked)
    if rule is None and not (page and asked[0] == "GET"):
        return REAL  # whatever the rest of it says
    whole = head.read(data)
    if whole is None:
        return unfinished
    if rule is not None and rule.close:
        return CLOSE
    if not head.bare(whole) or data.partition(head.END)[2]:
        return REAL
    if rule is not None:
        return answer(rule, date, body=whole.method != "HEAD")
    from spyglass_systemd.policy import waking  # noqa: PLC0415  # for an app that takes its time

    return waking.page(date) if waking.is_browser(whole) else REAL


def answer(rule: Rule, date: bytes, *, body: bool) -> bytes:
    """A rule's answer, the last one of its connection; no `body` for HEAD.

    Were it not the last, then whoever asks every few seconds on the same connection would keep the app awake by that.
    """
    text = rule.text.encode()
    lines = f"HTTP/1.1 {rule.status} {_REASONS.get(rule.status, '')}\r\nCache-Control: no-store\r\n"
    if rule.status != 204:
        lines += f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(text)}\r\n"
    return b"%b%bConnection: close\r\n\r\n%b" % (lines.encode(), date, text if body else b"")
