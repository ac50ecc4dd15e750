"""The 503 that is given for an app that cannot answer: in HTML, JSON or plain text, and nothing of the app in it."""

from __future__ import annotations

from spyglass_systemd.policy.negotiation import preferred

# ### Why does the page not load itself again?
# Because each time would count as a visit, and a browser that somebody has forgotten would keep a broken app from being
# given up. The page is also what a form is answered with, and to send that again is for a person to decide.

_TITLE = "Service Unavailable"
_SAYS = "The application is not available right now. Please try again in {wait}."
_TEXT = f"{_SAYS}\n"
_JSON = f'{{"status": 503, "title": "{_TITLE}", "detail": "{_SAYS}"}}\n'
_HTML = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{_TITLE}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 20vh auto 0; padding: 0 1.5rem }}
</style>
<h1>{_TITLE}</h1>
<p>{_SAYS}</p>
</html>
"""
# RFC 9457 gives the JSON's names; who asks for plain application/json gets the same under that name.
_BODIES = {
    "text/plain": ("text/plain; charset=utf-8", _TEXT),
    "text/html": ("text/html; charset=utf-8", _HTML),
    "application/json": ("application/json", _JSON),
    "application/problem+json": ("application/problem+json", _JSON),
}
_OFFERS = tuple(_BODIES)


def answer(method: str, accept: str, retry_after: int) -> bytes:
    """A whole response, the last one of its connection, to a request of `method` with the Accept field `accept`.

    `retry_after` is in seconds.
    """
    media_type, template = _BODIES[preferred(accept, _OFFERS)]
    wait = "a second" if retry_after == 1 else f"{retry_after} seconds"
    body = template.replace("{wait}", wait).encode()
    head = (
        f"HTTP/1.1 503 {_TITLE}\r\n"
        f"Retry-After: {retry_after}\r\n"
        "Cache-Control: no-store\r\n"
        f"Content-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + (b"" if method == "HEAD" else body)
