"""Write options.md and limits.md of docs/reference from the table of options; with --check, say which are stale."""

from __future__ import annotations

import sys

from generated import settle

from spyglass_systemd.cli.flags import default_of, of_option
from spyglass_systemd.words.table import FILE, GROUPS, LOOKOUT, OPTIONS, SERVE, Option

INTRODUCTION = """\
<!-- Written by scripts/reference.py from spyglass_systemd/words/table.py: change it there. -->

# Options

Every option is a flag of `spyglass serve` and `spyglass lookout` and a key of the TOML file that `--config` names, but
where the table says otherwise. A flag counts over the file, the file over the default; of `environment` each variable
does so by itself. `APP` on the command line counts over the key `app`.

- A **SPAN** is seconds, `90` or `0.5`, or units as in systemd.time(7): `5min`, `1h 30min`, `250ms`. `off` is never.
- A **SIZE** is bytes, `65536`, or units of 1024: `64KiB` (or `64K`), `1MiB`, `1GiB`. `off` is no limit.
- An **ADDR** is a port of 127.0.0.1 (`8000`), `host:port`, `[v6]:port`, `*:port` for every IPv4 address, `unix:/path`
  or `unix:@abstract`; `http=127.0.0.1:8000` names the listener `http`. Port 0 is any free port.
- A switch is `--preload` or `--no-preload` on the command line, `true` or `false` in the file.
- What may be given several times is a list in the file; `environment` is a table there.

```toml
app = "blog.wsgi:application"
chdir = "/srv/blog/current"
idle = "10min"
threads = 4
body_limit = "20MiB"

[environment]
DJANGO_SETTINGS_MODULE = "blog.settings"
```

A wrong flag ends with exit code 64, a wrong file with 78, and both name what was probably meant. These do not go
together: `doze` not shorter than `idle`, and `keepalive` not shorter than either. `keepalive` left alone is never an
error: it becomes half of the shorter one where that is less than 5s.
"""
NOTES = {"Units": "`spyglass serve` and `spyglass lookout` accept these keys and do nothing with them.\n"}


LIMITED = """\
<!-- Written by scripts/reference.py: the defaults are those of spyglass_systemd/words/table.py. -->

# Limits

What a client may ask of a worker, and what it is told where it asks for more. Each is an [option](options.md), a flag
and a key of the TOML file. WSGI and ASGI have the same limits and give the same answers, but where the last column says
otherwise; a raw handler has its own protocol, and of these `max_connections` (where it is a coroutine), `threads`
(where it is not) and `header_timeout` for a PROXY header.
"""
FIXED = """\
## What is fixed

| | beyond it |
|---|---|
| A Host, field names, bytes of a target: the rules of [HTTP](http.md) | 400 |
| A chunk's size with its extensions: 4 KiB; all extensions of a body: 4 KiB more than the body | 400 |
| Trailers: `header_limit` | 431 |
| What waits in a worker's memory, over all connections: 2 MiB, or twice `spool` | disk (WSGI); a head is refused, 503 |
| What waits of the bodies of all ASGI requests until the app takes it: 2 MiB, and 4 KiB each | the client waits |
| What waits of one WebSocket until its app takes it: two messages, each of `message_limit` | the client waits |
| What waits of one ASGI answer until its client takes it: 16 KiB, and the piece that the app is at | the app waits |
| One answer that waits for one slow client, in a pool of threads: 1 GiB, on disk | the thread waits |
| The same of an app that calls `write`, in one thread | the client is cut |
| What a client still sends behind the last answer: 128 MiB, 30 s, 2 s without a byte | the connection is closed |
| What is sent ahead of an answer: what one read brings, 64 KiB (ASGI: 256 KiB) | it waits in the kernel |

A refusal ends the connection. `header_timeout` runs from the accept, and again from the first byte of each request; a
dripping client gains nothing by dripping. `min_rate` counts bytes over a whole `header_timeout` (of a body) or
`write_timeout` (of an answer), so a pause is allowed that is made up for. Time in which the app does not read its body,
or has nothing to send, is not the client's.

## Behind a proxy

A proxy that buffers (nginx does, unless told otherwise) has limits of its own in front of these, and its own status
codes. `max_connections` then counts the proxy's connections.
"""
# Option: what is limited, what happens beyond it, and where that is different for ASGI.
LIMITS = {
    "line_limit": ("A request line, in bytes; a header field", "414; 431", ""),
    "header_limit": ("The head of a request, in bytes", "431", ""),
    "header_count": ("The fields of a head", "431", ""),
    "body_limit": ("A body, in bytes: by Content-Length at once, else as it comes", "413", ""),
    "message_limit": ("A WebSocket's message, in bytes, unpacked", "the WebSocket is closed: 1009", "Only there."),
    "spool": ("A body in memory", "it goes on in a nameless file", "The app takes a body as it comes."),
    "header_timeout": ("The time for a head", "408; closed where nothing came", ""),
    "min_rate": ("Bytes a second of a body; of an answer", "408; cut", "An answer that has begun is cut, not a 408."),
    "write_timeout": ("The time in which a client must take something of an answer", "cut", ""),
    "keepalive": ("The time between two requests", "closed", ""),
    "max_pipelined": ("Requests that are sent ahead of an answer, in a row", "`Connection: close`", ""),
    "max_connections": ("Connections of a worker", "they wait in the backlog, for any worker", ""),
    "request_timeout": (
        "The time of app code without a byte",
        "the worker is replaced",
        "The loop must run, not the app end.",
    ),
    "max_stream_idle": ("The time in which a stream carries nothing", "closed", "And a WebSocket: 1001."),
}


def limits() -> str:
    """The page of limits."""
    rows = []
    for key, (what, beyond, asgi) in LIMITS.items():
        rows.append(f"| `{key}` | {what} | `{default_of(OPTIONS[key])}` | {beyond} | {asgi} |")
    head = ["| option | what | default | beyond it | ASGI |", "|---|---|---|---|---|"]
    return LIMITED + "\n" + "\n".join([*head, *rows]) + "\n\n" + FIXED


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for group in GROUPS:
        rows = [_row(option) for option in OPTIONS.values() if option.group == group and option.help]
        note = [NOTES[group]] if group in NOTES else []
        parts.append(
            "\n".join([f"## {group}\n", *note, "| key | flag | default | |", "|---|---|---|---|", *rows]) + "\n"
        )
    return "\n".join(parts)


def _row(option: Option) -> str:
    key = f"`{option.key}`" if FILE in option.places else "-"
    flag = f"`{of_option(option).synopsis}`"
    if not {SERVE, LOOKOUT} & set(option.places):
        flag = "`APP`" if option.key == "app" else "-"
    elif SERVE not in option.places:
        flag += " (lookout)"
    default = default_of(option)
    return f"| {key} | {flag} | {f'`{default}`' if default else '-'} | {option.help} |"


if __name__ == "__main__":
    sys.exit(settle({"docs/reference/options.md": page(), "docs/reference/limits.md": limits()}))
