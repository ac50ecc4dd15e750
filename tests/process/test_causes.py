"""Whatever keeps an app from starting: the same answers, the same words, the same way back, seen from outside."""

from __future__ import annotations

import re
import signal

import pytest
from harness import AROUND
from visitors import Visitors

GOOD = "from wsgiref.simple_server import demo_app as app"
GOOD_ASYNC = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
"""
NO_LIFESPAN = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no cache"})
"""
ENDED = "the app ended the process that imported it: "
# It is tried again after a quarter of an hour, or because of something else.
LATER = AROUND.format(
    before="""
from spyglass_systemd.processes import failure
class respawn:
    delay = staticmethod(lambda failures, jitter=0.0: 1000.0 * (1.0 + jitter))
failure.respawn = respawn
""",
    after="",
)


class Cause:
    """An app as `source` with `options`, or `config` beside a good one; what is said of it, and how it is mended."""

    def __init__(self, summary, source=GOOD, *options, config="", frames=0, good=GOOD):
        self.summary = summary
        self.source = source
        self.options = options
        self.config = config
        self.frames = frames
        self.good = good


CAUSES = {
    "import": Cause("No module named 'nosuch'", "import nosuch", frames=1),
    "module": Cause("no module named 'blog'", None),
    "attribute": Cause("'blog' has no attribute 'app'", "x = 1"),
    "exit": Cause("SystemExit(3)", "raise SystemExit(3)", frames=1),
    "segfault": Cause(f"{ENDED}signal SIGSEGV", "import ctypes; ctypes.string_at(0)"),
    "killed": Cause(
        f"{ENDED}signal SIGKILL", "import os; os.kill(os.getpid(), 9)"
    ),  # as the kernel does without memory
    "hang": Cause("import_timeout=0.5s", "import time; time.sleep(1000)", "--import-timeout", "0.5", frames=1),
    "lifespan": Cause("no cache", NO_LIFESPAN, good=GOOD_ASYNC),
    "boot": Cause("3 workers in a row died before they could accept", "import os; os._exit(3)", "--no-preload"),
    "boot error": Cause("RuntimeError: no database", "raise RuntimeError('no database')", "--no-preload", frames=1),
    "configuration": Cause("there is no key 'idel'", config='app = "blog:app"\nidel = 3\n'),
    "TOML": Cause("is not TOML", config='app = "blog:app"\nidle ='),
}


@pytest.fixture(params=CAUSES)
def cause(request):
    return CAUSES[request.param]


@pytest.fixture
def broken(service, tmp_path, cause):
    """Makes a service whose app is broken for this cause."""
    config = tmp_path / "blog.toml"
    if cause.config:
        config.write_text(cause.config)

    def broken(*options, **more):
        master = service(
            *options,
            *cause.options,
            app=cause.source or "",
            config=config if cause.config else None,
            **more,
        )
        if cause.source is None:
            (tmp_path / "app" / "blog.py").unlink()
        return master

    return broken


def statuses(answer):
    return [answer.status]


def test_all_who_wait_are_answered_and_it_is_said_once(broken, cause):
    master = broken(around=LATER)
    waiting = [master.connect().ask("") for _ in range(5)]
    master.start()
    assert [connection.read().status for connection in waiting] == [503] * 5
    line = master.log.until(" failed ")
    assert cause.summary in line
    assert 1000 <= float(re.search(r"retry=([\d.]+)s", line)[1]) <= 1200
    assert cause.summary in master.letters.until("READY=1\nSTATUS=failed: ")
    answer = master.request()
    assert answer.status == 503
    assert cause.summary.encode() not in answer.body
    assert cause.summary in (master.run / "last-error").read_text().splitlines()[0]
    assert master.log.count("attempt=") == 1
    assert master.log.count('blog.py", line 1') == cause.frames
    assert "spyglass_systemd" not in str(master.log)


def test_it_serves_once_it_is_mended_and_nobody_is_lost_meanwhile(broken, cause, tmp_path):
    master = broken(around=LATER)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    with Visitors(master.addresses[0], "", read=statuses) as visitors:
        visitors.until(10)
        (tmp_path / "app" / "blog.py").write_text(cause.good)
        if cause.config:
            (tmp_path / "blog.toml").write_text('app = "blog:app"\n')
        master.log.until("recovered")
        visitors.until(len(visitors.answers) + 10)
    assert not visitors.lost
    assert {*visitors.answers} == {503, 200}
    assert visitors.answers[-1] == 200
    assert not (master.run / "last-error").exists()
    assert master.stop() == 0


def test_a_reload_tries_it_at_once_and_without_visitors_it_is_given_up(broken, cause):
    master = broken("--idle", "0.5", "--keepalive", "0.1", around=LATER)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    master.signal(signal.SIGHUP)
    assert cause.summary in master.log.until("attempt=2")
    if not cause.config:  # else nobody knows of an `idle` but the default, five minutes
        assert master.wait() == 69
        assert cause.summary in master.log.until("gave_up")
        assert master.letters.all[-1].startswith("STOPPING=1\nSTATUS=failed: ")
