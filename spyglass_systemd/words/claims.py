"""Header fields that say who asks, and for what, in place of the connection. Knows not whom to believe."""

from __future__ import annotations

FOR, PROTO, HOST, PREFIX = "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"
FORWARDED, REAL_IP = "forwarded", "x-real-ip"

FIELDS = (FOR, PROTO, HOST, PREFIX, FORWARDED)  # those that a proxy may be believed
# An app or a framework may look at any of these by itself. So none of them is passed on as it came.
CLAIMS = frozenset(
    (
        *FIELDS,
        REAL_IP,
        "x-forwarded-by",
        "x-forwarded-port",
        "x-forwarded-protocol",
        "x-forwarded-scheme",
        "x-forwarded-server",
        "x-forwarded-ssl",
        "x-scheme",
        "x-url-scheme",
    )
)
