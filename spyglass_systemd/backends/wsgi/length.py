"""Where the body of a request ends, by what its head says: RFC 9112 section 6.3. Knows no bytes of a body."""

from __future__ import annotations

from spyglass_systemd.backends.wsgi.refusal import Refusal

CHUNKED = -1  # the length of a body whose end only its last chunk tells

_DIGITS = frozenset("0123456789")
_MOST_DIGITS = 18  # of a Content-Length


def body_length(length: str | None, coding: str | None, minor: int) -> int:
    """Bytes, or CHUNKED, by the values of Content-Length and Transfer-Encoding, where there are any; HTTP/1.`minor`.

    Where the RFC leaves a choice, the strict one. Raises Refusal.
    """
    if coding is None:
        if not length or not _DIGITS.issuperset(length):
            raise Refusal(400, "a Content-Length that is no number")
        if len(length) > _MOST_DIGITS:
            raise Refusal(413, "a body of that size is not read here")
        return int(length)
    if length is not None:
        raise Refusal(400, "Content-Length beside Transfer-Encoding")
    if not minor:
        raise Refusal(400, "Transfer-Encoding in HTTP/1.0")
    codings = [name.strip(" \t").lower() for name in coding.split(",")]
    if codings == ["chunked"]:
        return CHUNKED
    if codings[-1] != "chunked" or "chunked" in codings[:-1] or not all(codings):
        raise Refusal(400, "chunked must be the last transfer coding, and once")
    raise Refusal(501, "the only transfer coding known here is chunked")
