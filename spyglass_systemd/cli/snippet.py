"""`spyglass snippet`: what a proxy in front of a site is configured with."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import click

from spyglass_systemd.cli.command import command as _command
from spyglass_systemd.cli.command import of_a_site
from spyglass_systemd.protocols import config
from spyglass_systemd.tools import snippets, wanted
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import UsageError

if TYPE_CHECKING:
    from spyglass_systemd.tools.places import Site


@_command
@of_a_site(changes=False)
@click.option("--nginx", is_flag=True, help="For nginx: a file for sites-enabled.")
@click.option("--caddy", is_flag=True, help="For Caddy: a site for the Caddyfile.")
def command(site: Site, *, nginx: bool, caddy: bool) -> None:
    """Prints the part of a proxy's configuration that fits a site, from the site's own file.

    Its address, its hosts (the key `nginx`), how long a wake may take, which header fields the app believes and so have
    to be set, how long connections are kept, what must not be buffered. A site with several listeners is spoken to on
    the first one. Nothing is written: `spyglass snippet blog --nginx >/etc/nginx/sites-enabled/blog` does that.
    """
    if nginx == caddy:
        said = "one proxy at a time" if nginx else "nothing says for which proxy"
        raise UsageError(said, hint=f"`spyglass snippet {site.typed} --nginx`, or --caddy")
    asked = wanted.read(site)
    hosts = cast("tuple[str, ...]", config.read(str(site.config)).get("nginx", ()))
    address = asked.listen[0] if asked.listen else parse_address(f"unix:{site.path}")
    made = snippets.nginx if nginx else snippets.caddy
    sys.stdout.write(made(site.name, asked.settings, address, asked.socket_group, hosts))
