"""What a proxy in front of a site is configured with: text for nginx and Caddy from its settings. Writes nothing."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from spyglass_systemd.words.claims import FOR, FORWARDED, HOST, PREFIX, PROTO
from spyglass_systemd.words.errors import ConfigError
from spyglass_systemd.words.hosts import Network, packed
from spyglass_systemd.words.listener import AF_UNIX

if TYPE_CHECKING:
    from spyglass_systemd.words.addresses import Address
    from spyglass_systemd.words.options import Settings

_PLAIN = re.compile(r"[A-Za-z0-9/._~:@\[\]-]*")  # what either proxy takes for itself, without quotes
_SILENCE = 60.0  # seconds that a proxy waits by default
_A_STREAM = 3600.0

# ### What fits a site that sleeps?
# A proxy that waits for the first byte as long as the app may take to be loaded and to answer. One that keeps a
# connection for less time than the app does, or its next request meets a connection that is just being closed. One that
# buffers nothing: a worker of ours takes a request when it is whole and puts aside what its client does not take yet,
# and a stream must not wait in a buffer. And one that sets every field that the app believes; a client's own would be.


def nginx(name: str, settings: Settings, address: Address, group: str, hosts: tuple[str, ...]) -> str:
    """A file for nginx's sites-enabled: an upstream and a server. `hosts` are its names.

    `group` is the one that may connect to the site's Unix socket. Raises ConfigError where nginx cannot speak to it.
    """
    _check(settings, address)
    if settings.proxy_protocol:
        raise ConfigError(
            "proxy_protocol = true: nginx speaks it where it reads no HTTP only",
            hint='take it out, and say trusted_proxies = ["unix"]: nginx says in header fields whom it speaks for',
        )
    if isinstance(address.sockaddr, bytes):
        raise ConfigError(f"{address.text}: nginx cannot connect to an abstract socket", hint="listen on a path")
    label = re.sub(r"\W", "_", name)
    stem = settings.root_path.rstrip("/")
    body = settings.body_limit if settings.body_limit is not None else 0
    upgrades = settings.kind != "wsgi"
    fields = {
        "Host": "$http_host",
        **({"Upgrade": "$http_upgrade"} if upgrades else {}),
        "Connection": f"${label}_connection" if upgrades else '""',
        **_nginx_fields(settings, label, stem),
    }
    lines = [
        f"# {name}, a site of spyglass-systemd. Put it into /etc/nginx/sites-enabled; `certbot --nginx` adds TLS.",
        *_remarks(settings, address, hosts),
        *_access(address, group, "www-data"),
        f"upstream {label} {{",
        f"    server {_target(address)};",
        f"    keepalive {2 * settings.workers};",
        f"    keepalive_timeout {_shorter(settings.keepalive)};  # shorter than the app's own: keepalive",
        "}",
        *(_nginx_map(label) if upgrades else ()),
        *(_nginx_forwarded(label) if FORWARDED in settings.trusted_fields else ()),
        "server {",
        "    listen 80;",
        "    listen [::]:80;",
        f"    server_name {' '.join(hosts) or '_'};",
        f"    client_max_body_size {body};  # the app's own limit: body_limit",
        f"    location {stem}/ {{",
        f"        proxy_pass http://{label}{'/' if stem else ''};",
        "        proxy_http_version 1.1;",
        *[f"        proxy_set_header {field} {value};" for field, value in fields.items()],
        f"        proxy_read_timeout {_patience(settings)}s;  # of silence: a wake, and request_timeout",
        "        proxy_buffering off;",
        "        proxy_request_buffering off;",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def caddy(name: str, settings: Settings, address: Address, group: str, hosts: tuple[str, ...]) -> str:
    """A site for a Caddyfile; as `nginx`. Raises ConfigError where Caddy cannot speak to it."""
    _check(settings, address)
    if FORWARDED in settings.trusted_fields:
        raise ConfigError(
            f"trusted_fields has {FORWARDED}, which Caddy does not write",
            hint="take it out: Caddy sets X-Forwarded-For, -Proto and -Host",
        )
    stem = settings.root_path.rstrip("/")
    target = _target(address).replace("unix:", "unix/", 1)
    proxy = [
        f"reverse_proxy {target} {{",
        *[f"    {line}" for line in _caddy_fields(settings, stem)],
        "    flush_interval -1",
        "    transport http {",
        f"        keepalive {_shorter(settings.keepalive)}  # shorter than the app's own: keepalive",
        f"        response_header_timeout {_patience(settings)}s  # a wake, and request_timeout",
        *(["        proxy_protocol v2"] if settings.proxy_protocol else []),
        "    }",
        "}",
    ]
    if stem:
        proxy = [f"handle_path {stem}/* {{", *[f"    {line}" for line in proxy], "}"]
    if settings.body_limit is not None:
        proxy = ["request_body {", f"    max_size {settings.body_limit}  # body_limit", "}", *proxy]
    lines = [
        f"# {name}, a site of spyglass-systemd: for /etc/caddy/Caddyfile.",
        *_remarks(settings, address, hosts),
        *_access(address, group, "caddy"),
        f"{', '.join(hosts) or ':80'} {{",
        *[f"    {line}" for line in proxy],
        "}",
    ]
    return "\n".join(lines) + "\n"


def _check(settings: Settings, address: Address) -> None:
    if settings.kind == "raw":
        raise ConfigError("kind = raw: a proxy that reads HTTP has nothing to say to it")
    for key, text in (("root_path", settings.root_path), ("listen", address.text)):
        if not _PLAIN.fullmatch(text):
            raise ConfigError(f"{key} = {text!r} has a character that means something else to a proxy")


def _remarks(settings: Settings, address: Address, hosts: tuple[str, ...]) -> list[str]:
    found = []
    if not hosts:
        found += [
            "# It answers for every host that no other server has. Names of its own are the key `nginx` of its file:",
            '#     nginx = ["blog.example"]',
        ]
    if not _is_believed(settings, address):
        told = [*settings.trusted_proxies, "unix" if address.family == AF_UNIX else _here(address)]
        found += [
            "# The app takes the proxy for its client, until the site's file says whom it may believe:",
            f"#     trusted_proxies = {json.dumps(told)}",
        ]
    if address.text.startswith("unix:/run/user/"):
        found += [
            "# Nobody but its user gets to what is below /run/user. For a proxy, let the site listen on a port:",
            '#     listen = ["127.0.0.1:8000"]',
        ]
    return found


def _is_believed(settings: Settings, address: Address) -> bool:
    """Whether the app believes a proxy on this machine that connects to this address."""
    if address.family == AF_UNIX:
        return "unix" in settings.trusted_proxies
    here = packed(_here(address))
    return any(Network(each).holds(here) for each in settings.trusted_proxies if each != "unix")


def _here(address: Address) -> str:
    """The address from which a proxy on this machine connects to a port of it."""
    return _target(address).rpartition(":")[0].strip("[]")


def _access(address: Address, group: str, its: str) -> list[str]:
    """Whether the proxy, which Debian runs in a group of its own, may open the socket."""
    if address.family != AF_UNIX or group == its:
        return []
    return [
        f"# It runs in the group {its}, and the socket is for {group}, until the site's file says:",
        f'#     socket_group = "{its}"',
    ]


# ### Every field that is believed is set, or is taken away: whatever a client says in it would be believed as well


def _nginx_fields(settings: Settings, label: str, stem: str) -> dict[str, str]:
    values = {
        FOR: ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
        PROTO: ("X-Forwarded-Proto", "$scheme"),
        HOST: ("X-Forwarded-Host", "$http_host"),
        PREFIX: ("X-Forwarded-Prefix", f'"{stem}"'),  # an empty one is not passed on
        FORWARDED: ("Forwarded", f'"${label}_for;proto=$scheme;host=\\"$http_host\\""'),
    }
    return dict(values[field] for field in values if field in settings.trusted_fields)


def _nginx_map(label: str) -> list[str]:
    return [
        f"map $http_upgrade ${label}_connection {{  # WebSockets; a connection that is kept says nothing",
        '    default "";',
        "    websocket upgrade;",
        "}",
    ]


def _nginx_forwarded(label: str) -> list[str]:
    return [
        f"map $remote_addr ${label}_for {{  # RFC 7239",
        '    ~^[0-9.]+$ "for=$remote_addr";',
        '    ~^[0-9A-Fa-f:.]+$ "for=\\"[$remote_addr]\\"";',
        '    default "for=unknown";',
        "}",
    ]


def _caddy_fields(settings: Settings, stem: str) -> list[str]:
    """Caddy sets X-Forwarded-For, -Proto and -Host, and believes nobody's own."""
    if PREFIX not in settings.trusted_fields:
        return []
    return [f"header_up X-Forwarded-Prefix {stem}" if stem else "header_up -X-Forwarded-Prefix"]


def _target(address: Address) -> str:
    """Where a proxy on this machine connects to."""
    for everywhere, here in (("0.0.0.0:", "127.0.0.1:"), ("[::]:", "[::1]:")):
        if address.text.startswith(everywhere):
            return address.text.replace(everywhere, here, 1)
    return address.text


def _shorter(keepalive: float) -> str:
    """Well before the app closes a connection, in milliseconds."""
    return f"{max(1, int(600 * keepalive))}ms"


def _patience(settings: Settings) -> int:
    """Seconds from the connection of who wakes the app to the first byte of his answer, at most."""
    silence = settings.request_timeout if settings.request_timeout is not None else _A_STREAM
    return math.ceil(settings.import_timeout + max(silence, _SILENCE))
