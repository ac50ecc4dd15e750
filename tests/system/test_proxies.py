"""Real nginx and real Caddy in front, over the Unix socket: no 502 across sleeps, and no proxy keeps an app awake."""

from __future__ import annotations

import json

import pytest
from machine import eventually

pytestmark = pytest.mark.long

ROUNDS, ROUND = 20, 50  # sleeps, requests before each
SITES = {"nginx": "/etc/nginx/sites-enabled/spyglass", "caddy": "/etc/caddy/Caddyfile"}
ASK = "http://127.0.0.1/"
STREAM = """
import os, time

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first\\n"
    while not os.path.exists("SEEN"):
        time.sleep(0.01)
    yield b"second\\n"
"""


@pytest.fixture(params=SITES)
def proxy(request, site):
    """An app that is soon asleep, behind Debian's own service with what `spyglass snippet` prints for it."""
    kind, path = request.param, SITES[request.param]
    group = "[Socket]\nSocketGroup=caddy\n" if kind == "caddy" else ""
    app = site(idle="0.2s", min_awake="0s", keepalive="0.1s", trusted_proxies=["unix"], socket=group)
    machine = app.machine
    text = machine.run("spyglass", "snippet", app.name, f"--{kind}").out + "\n"
    machine.run("rm", "--force", "/etc/nginx/sites-enabled/default")
    machine.put(path, text)
    machine.run("systemctl", "start", f"{kind}.service")
    try:
        machine.run("sh", "-c", "until ss -Hltn sport = :80 | grep -q .; do sleep 0.05; done")
        yield app
    finally:
        machine.run("systemctl", "stop", f"{kind}.service", check=False)
        machine.run("rm", "--force", path)


def codes(app, count):
    """The status of each of `count` requests through the proxy, on one connection of the client."""
    url = f"{ASK}[1-{count}]"
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


def test_the_app_learns_who_asks_and_no_client_can_say_otherwise(proxy):
    source = "say([environ['REMOTE_ADDR'], environ['HTTP_HOST'], environ.get('HTTP_X_FORWARDED_FOR')])"
    forged = "X-Forwarded-For: 6.6.6.6"
    answer = proxy.machine.run("curl", "--silent", "-H", forged, "-H", "Host: b.example", "--data", source, ASK).out
    assert json.loads(answer) == ["127.0.0.1", "b.example", "127.0.0.1"]


def test_a_stream_is_not_held_back(proxy):
    """The app says one thing, and the next when the client has got the first."""
    seen = proxy.kept("seen")
    proxy.write(STREAM.replace("SEEN", seen))
    proxy.until("inactive")
    words = f"curl --silent --no-buffer {ASK} | while read line; do echo $line; touch {seen}; done"
    assert proxy.machine.run("sh", "-c", words).out.split() == ["first", "second"]
