"""Write docs/reference/options.md from the table of options; with --check, say whether it is as it would be written."""

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
    sys.exit(settle({"docs/reference/options.md": page()}))
