"""Real nginx and real Caddy in front, over the Unix socket: no 502 across sleeps, and no proxy keeps an app awake."""

from __future__ import annotations

import pytest
from machine import eventually

ROUNDS, ROUND = 20, 50  # sleeps, requests before each
NGINX = """
user www-data;
daemon off;
pid /run/spyglass-nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    upstream app {{ server unix:{0}; keepalive 8; }}
    server {{
        listen 127.0.0.1:8080;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
CADDY = """
{{
    admin off
    auto_https off
}}
http://:8080 {{
    reverse_proxy unix/{0}
}}
"""
COMMANDS = {
    "nginx": ("nginx", "-c", "/etc/proxy.conf"),
    "caddy": ("caddy", "run", "--adapter", "caddyfile", "--config", "/etc/proxy.conf"),
}


@pytest.fixture(params=COMMANDS)
def proxy(request, site):
    """An app that is soon asleep, with a proxy in front that keeps connections to it."""
    app = site(idle="0.2s", min_awake="0s", keepalive="0.1s")
    machine = app.machine
    machine.put("/etc/proxy.conf", {"nginx": NGINX, "caddy": CADDY}[request.param].format(app.path))
    options = ["--unit=proxy", "--collect", "--setenv=HOME=/root", "--property=Group=www-data"]
    machine.run("systemd-run", "--quiet", *options, *COMMANDS[request.param])
    try:
        machine.run("sh", "-c", "until ss -Hltn sport = :8080 | grep -q .; do sleep 0.05; done")
        yield app
    finally:
        machine.run("systemctl", "stop", "proxy.service", check=False)


def codes(app, count):
    """The status of each of `count` requests through the proxy, on one connection of the client."""
    url = f"http://127.0.0.1:8080/[1-{count}]"
    words = ["curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}\n", url]
    return app.machine.run(*words).out.split()


def test_the_first_request_after_a_sleep_is_answered_through_a_proxy(proxy):
    assert codes(proxy, 1) == ["200"]
    proxy.until("inactive")  # though the proxy has kept its connection
    assert codes(proxy, 1) == ["200"]


@pytest.mark.long
def test_a_thousand_requests_across_sleeps_are_all_answered(proxy):
    for _ in range(ROUNDS):
        assert codes(proxy, ROUND) == ["200"] * ROUND
        proxy.until("inactive")
    assert proxy.show("NRestarts") == "0"


@pytest.mark.long
def test_requests_aimed_at_the_moment_of_falling_asleep_are_answered(proxy):
    for _ in range(ROUNDS):
        assert codes(proxy, 1) == ["200"]
        eventually(lambda: proxy.machine.state(proxy.service) != "active", "going to sleep")
        assert codes(proxy, 1) == ["200"]
