"""X-Forwarded-* and Forwarded: whatever a client writes, what our proxy adds behind it is what counts."""

from __future__ import annotations

from spyglass_systemd.policy.forwarded import Trust, resolve
from spyglass_systemd.words.claims import CLAIMS, FIELDS, FOR, FORWARDED, HOST, PREFIX, PROTO
from spyglass_systemd.words.hosts import ip, is_host

MAX = 600  # bytes of one input
OURS = ("10.0.0.0/8", "127.0.0.1", "::1", "unix")
CLIENT = "203.0.113.7"
OLD = Trust(OURS, (FOR, PROTO, HOST, PREFIX))
STANDARD = Trust(OURS, (FORWARDED, PREFIX))


def check(data):
    """Raises whatever should not be. `data` is lines of `name: value`, as a client sends them."""
    fields = [
        (name.lower(), value.strip(" \t"))
        for name, _, value in (line.partition(":") for line in data.decode("latin-1").split("\n"))
    ]
    for trust in (OLD, STANDARD):
        for peer in ("10.1.2.3", ""):
            looked_at(resolve(peer, fields, trust))
        assert resolve("198.51.100.1", fields, trust) is None

    behind = joined(fields, FOR, CLIENT)
    assert resolve("10.1.2.3", behind, OLD).client == CLIENT
    assert resolve("10.1.2.3", joined(fields, PROTO, "https"), OLD).scheme == "https"
    assert resolve("10.1.2.3", joined(fields, HOST, "a.example"), OLD).host == "a.example"

    own = (FORWARDED, f"for={CLIENT};proto=https;host=a.example")
    told = resolve("10.1.2.3", [*fields, own], STANDARD)
    assert (told.client, told.scheme, told.host) == (CLIENT, "https", "a.example")
    told = resolve("10.1.2.3", joined(fields, *own), STANDARD)  # a quote that the client has opened may make it void
    assert told.client in (CLIENT, ""), told
    assert told.client or (told.scheme, told.host) == ("", ""), told


def joined(fields, name, value):
    """As a proxy appends: to the last line of that name, or as a line of its own."""
    lines = [at for at, (other, _) in enumerate(fields) if other == name]
    if not lines:
        return [*fields, (name, value)]
    found = list(fields)
    found[lines[-1]] = (name, f"{fields[lines[-1]][1]}, {value}")
    return found


def looked_at(origin):
    """Nothing in it is anything but what it is said to be."""
    assert origin.client in (None, "") or ip(origin.client) == origin.client, origin
    assert origin.scheme in ("", "http", "https"), origin
    assert origin.host == "" or is_host(origin.host), origin
    assert origin.prefix == "" or (origin.prefix.startswith("/") and "//" not in origin.prefix), origin
    for name, value in origin.fields:
        assert name in CLAIMS, name
        assert value.isprintable(), value
    repr(origin)


def seeds():
    """One line of each, and what is known to be tried."""
    lines = [f"{name}: 1.2.3.4" for name in FIELDS]
    lines += [
        'forwarded: for=1.2.3.4;proto=https;host=a, for="[2001:db8::1]:80";by=_x',
        "x-forwarded-for: unknown, 10.0.0.1, ::1",
        'forwarded: for=127.0.0.1;x="',
        'forwarded: for="_a\\"b", for=unix:',
        "x-forwarded-prefix: /a/b/",
        "x-forwarded-host: a:80\nx-forwarded-proto: wss",
    ]
    return [line.encode() for line in lines]
