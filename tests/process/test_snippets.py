"""What is printed for nginx is a configuration that nginx takes; the machines' tests serve through it."""

from __future__ import annotations

import subprocess

import pytest
from nginx import installed

from spyglass_systemd.tools.snippets import nginx
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.claims import FIELDS, FORWARDED
from spyglass_systemd.words.options import Settings


@pytest.mark.parametrize(
    ("settings", "address", "hosts"),
    [
        ({}, "unix:/run/spyglass/my-blog.sock", ()),
        ({"kind": "wsgi", "keepalive": 0.1, "body_limit": 2**20}, "8000", ("blog.example", "*.blog.example")),
        ({"root_path": "/a/b", "trusted_fields": FIELDS[:4], "trusted_proxies": ("unix",)}, "[::]:8000", ("a_b",)),
        ({"trusted_fields": (FORWARDED,), "request_timeout": None}, "unix:/run/a", ("blog.example",)),
    ],
)
def test_nginx_takes_it(tmp_path, settings, address, hosts):
    program = installed()
    text = nginx("my-blog", Settings(app="a:b", **settings), parse_address(address), "www-data", hosts)
    text = text.replace("listen 80;", f"listen unix:{tmp_path}/http;").replace("listen [::]:80;", "")
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {text} }}")
    done = subprocess.run(
        [program, "-t", "-p", tmp_path, "-e", "stderr", "-c", config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
