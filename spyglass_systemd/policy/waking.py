"""The page for a browser that wakes a slow app, and who is a browser. Knows no app; it says nothing of one."""

from __future__ import annotations

from spyglass_systemd.policy.negotiation import preferred

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spyglass_systemd.protocols.knock import Head

_OFFERS = ("text/plain", "application/json", "text/html")  # who likes all alike is no browser
_AGAIN = 2  # seconds
_BODY = b"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="%d">
<title>Waking up</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 20vh auto 0; padding: 0 1.5rem }
</style>
<h1>Waking up</h1>
<p>Nobody was here for a while. The page comes by itself in a moment.</p>
</html>
""" % (_AGAIN,)


def is_browser(head: Head) -> bool:
    """Whether a person looks at the answer, and can be told to look again: GET, and HTML before all else.

    Whoever offers an upgrade (to a WebSocket) is none.
    """
    html = preferred(head.field("accept"), _OFFERS) == "text/html"
    return head.method == "GET" and html and not any(name == "upgrade" for name, _ in head.fields)


def page(date: bytes) -> bytes:
    """The whole response; `date` is a Date header line."""
    fields = (
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nCache-Control: no-store\r\n"
        b"Content-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n"
    ) % (_AGAIN, len(_BODY))
    return b"%b%bConnection: close\r\n\r\n%b" % (fields, date, _BODY)
