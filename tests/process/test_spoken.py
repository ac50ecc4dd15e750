"""Who is answered for a broken app, and how: what it spoke when it last worked counts, over a sleep as well."""

from __future__ import annotations

import contextlib

import pytest
from harness import IMPATIENT, LIMIT, eventually

WEB = "from wsgiref.simple_server import demo_app as app"
RAW = """
from socketserver import BaseRequestHandler

class app(BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"hello")
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The cache directory of the service."""
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path / "cache"))
    return tmp_path / "cache"


def wake(master, index=0):
    master.start()
    with master.connect(index) as connection:
        assert connection.sock.recv(100)


def hears(master, index=0):
    """What a client is told that says nothing, and one that asks."""
    status = 0
    with master.connect(index) as asks, contextlib.suppress(ConnectionError):
        status = asks.ask("").read().status
    with master.connect(index) as silent:
        silent.sock.settimeout(0.05 if status else LIMIT)
        try:
            return silent.sock.recv(100), status
        except TimeoutError:
            return None, status


def sleep(master):
    assert master.wait() == 0


@pytest.mark.usefixtures("cache")
def test_a_raw_app_that_broke_in_its_sleep_is_answered_for_as_a_raw_one(service, tmp_path):
    master = service("--idle", "0.2", app=RAW)
    wake(master)
    sleep(master)
    (tmp_path / "app" / "blog.py").write_text("import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    assert hears(master) == (b"", 0)


def test_of_an_app_that_never_worked_nobody_knows_what_it_speaks(service, cache):
    master = service(app="import nosuch")
    master.start(waiting="").close()
    master.log.until(" failed ")
    assert hears(master) == (None, 503)
    assert list(cache.iterdir()) == []


def test_a_raw_app_that_breaks_while_it_is_awake_needs_no_memory(service, tmp_path):
    master = service(app=RAW, around=IMPATIENT)
    wake(master)
    (tmp_path / "app" / "blog.py").write_text("import nosuch")
    for process in (master.template, *master.workers):
        process.kill()
    master.log.until(" failed ")
    assert hears(master) == (b"", 0)


@pytest.mark.usefixtures("cache")
def test_what_is_configured_counts_more_than_what_was(service, tmp_path):
    master = service("--idle", "0.2", app=RAW)
    wake(master)
    sleep(master)
    (tmp_path / "app" / "blog.py").write_text("import nosuch")
    master._arguments[:0] = ["--kind", "wsgi"]
    master.start(waiting="").close()
    master.log.until(" failed ")
    assert hears(master) == (None, 503)


def test_a_reload_to_another_kind_is_remembered(service, cache, tmp_path):
    master = service("--idle", "0.5", app=RAW)
    wake(master)
    eventually((cache / "kinds").exists)
    (tmp_path / "app" / "blog.py").write_text(WEB)
    master.signal(1)
    master.log.until(" reloaded ")
    assert (cache / "kinds").read_text().startswith("wsgi unix:")


@pytest.mark.usefixtures("cache")
def test_each_of_several_listeners_is_answered_in_its_own_way_when_the_configuration_is_broken(
    service, listener, tmp_path
):
    config = tmp_path / "both.toml"
    good = 'idle = "0.3"\nkeepalive = "0.1"\n[listeners.site]\napp = "blog:site"\n[listeners.echo]\napp = "blog:app"\n'
    config.write_text(good)
    source = f"{RAW}\n{WEB.replace('as app', 'as site')}"
    listeners = [listener("v4"), listener("path")]
    master = service(app=source, config=config, listeners=listeners, names="site:echo")
    wake(master, 1)
    assert master.request("").status == 200
    sleep(master)
    config.write_text(good + "idel = 3")
    master.start(waiting="").close()
    assert "both.toml" in master.log.until(" failed ")
    assert hears(master, 0) == (None, 503)
    assert hears(master, 1) == (b"", 0)
    config.write_text(good)
    master.signal(1)
    master.log.until("recovered")
    with master.connect(1) as connection:
        assert connection.sock.recv(100) == b"hello"
    assert master.request("").status == 200
