"""A file that changes is noticed: a broken app is tried at once, and with `--reload` one that works is loaded anew."""

from __future__ import annotations

import contextlib
import types

import pytest
from harness import AROUND, eventually, take_time

from spyglass_systemd.processes import watch as module
from spyglass_systemd.processes.alarm import Alarm
from spyglass_systemd.processes.watch import Watch
from spyglass_systemd.words.options import Settings

GOOD = "from wsgiref.simple_server import demo_app as app"
BROKEN = "raise RuntimeError('no database')"
VERSION = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"{}"]
"""
NEVER = AROUND.format(
    before="from spyglass_systemd.policy import respawn; respawn.delay.__defaults__ = 1000.0, 1000.0", after=""
)  # a broken app is not tried again by itself


def write(path, text):
    path.write_text(text)


def rename(path, text):
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def fails(master):
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    master.log.until(" failed ")
    return master


def recovers(master):
    master.log.until("changed newest=")
    master.log.until("recovered")
    assert master.request().status == 200


# ### A broken app


@pytest.mark.parametrize("how", [write, rename])
def test_a_file_that_is_mended_is_tried_at_once(service, tmp_path, how):
    master = fails(service(app=BROKEN, around=NEVER))
    how(tmp_path / "app" / "blog.py", GOOD)
    recovers(master)


def test_a_file_that_was_missing_is_tried_when_it_comes(service, tmp_path):
    master = fails(service(app="import models\n" + GOOD, around=NEVER))
    (tmp_path / "app" / "models").mkdir()
    (tmp_path / "app" / "models" / "__init__.py").write_text("")
    recovers(master)


def test_a_package_that_is_installed_is_noticed(service, tmp_path, monkeypatch):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(packages))
    master = fails(service(app="import flusk\n" + GOOD, around=NEVER))
    (packages / "flusk").mkdir()
    recovers(master)


def test_a_deploy_by_symbolic_link_is_noticed(service, tmp_path):
    for name, source in (("release1", BROKEN), ("release2", GOOD)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.py").write_text(source)
    current = tmp_path / "current"
    current.symlink_to("release1")
    master = fails(service("--chdir", str(current), spec="shop:app", around=NEVER))
    current.unlink()
    current.symlink_to("release2")
    recovers(master)


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder that is neither the app's nor the service's."""
    return tmp_path_factory.mktemp("elsewhere")


def test_a_configuration_that_is_mended_is_noticed(service, elsewhere):
    """Nobody could read in it where the app is."""
    config = elsewhere / "blog.toml"
    config.write_text('app = "blog:app"\nidel = 3\n')
    master = fails(service(app=GOOD, config=config, around=NEVER))
    config.write_text('app = "blog:app"\n')
    recovers(master)


def test_an_app_is_looked_at_where_the_configuration_has_it_now(service, elsewhere):
    config, shop = elsewhere / "blog.toml", elsewhere / "new" / "shop.py"
    shop.parent.mkdir()
    shop.write_text(BROKEN)
    config.write_text('app = "blog:app"\n')
    master = fails(service(app=BROKEN, config=config, around=NEVER))
    config.write_text(f'app = "shop:app"\npythonpath = ["{shop.parent}"]')
    master.log.until("attempt=2")
    shop.write_text(GOOD)
    recovers(master)


def test_who_was_quicker_than_the_failure_is_not_overlooked(service, tmp_path, gate):
    """It is mended after it was read, and before anybody has looked at the files."""
    master = service(app=f"open({str(gate)!r}).read()\n{BROKEN}", around=NEVER)
    with master.start(waiting="") as connection:
        with gate.open("w"):  # it is there, and waits for the end of this block
            (tmp_path / "app" / "blog.py").write_text(GOOD)
        connection.read()
    recovers(master)


def test_a_change_while_it_is_tried_is_one_more_try(service, tmp_path, gate):
    master = fails(service(app=BROKEN, around=NEVER))
    blog = tmp_path / "app" / "blog.py"
    blog.write_text(f"open({str(gate)!r}).read()\n{BROKEN}")
    with gate.open("w"):  # as above
        blog.write_text(GOOD)
        master.log.until("changed newest=")
        master.log.until("changed newest=")
    master.log.until("recovered")


def test_what_the_app_writes_beside_itself_is_no_reason_to_try_again(service, tmp_path):
    master = fails(service(app="open('data.db', 'a').write('x')\n" + BROKEN, around=NEVER))
    (tmp_path / "app" / "other.log").write_text("x")
    take_time(1.5)
    assert master.log.count("attempt=") == 1


# ### --reload


def wake(master):
    with master.start(waiting="") as connection:
        assert connection.read().body == b"v1"
    return master


def test_with_reload_every_change_is_loaded_and_a_broken_one_is_not(service, tmp_path):
    blog = tmp_path / "app" / "blog.py"
    master = wake(service("--reload", app=VERSION.format("v1")))
    blog.write_text(VERSION.format("v2"))
    assert "blog.py" in master.log.until("changed newest=")
    master.log.until(" reloaded ")
    eventually(lambda: master.request().body == b"v2")
    blog.write_text("def app(:")
    assert "SyntaxError" in master.log.until("reload_failed")
    assert master.request().body == b"v2"
    rename(blog, VERSION.format("v3"))
    master.log.until(" reloaded ")
    eventually(lambda: master.request().body == b"v3")


def test_with_reload_a_dozing_app_wakes_as_the_new_one(service, tmp_path):
    master = wake(service("--reload", "--doze", "0.3", "--keepalive", "0.1", app=VERSION.format("v1")))
    master.log.until("dozed")
    (tmp_path / "app" / "blog.py").write_text(VERSION.format("v2"))
    master.log.until(" reloaded ")
    eventually(lambda: master.request().body == b"v2")


def test_without_it_a_change_waits_for_a_reload(service, tmp_path):
    master = wake(service(app=VERSION.format("v1")))
    (tmp_path / "app" / "blog.py").write_text(VERSION.format("v2"))
    take_time(1.5)
    assert master.request().body == b"v1"
    assert "changed" not in master.log


def test_it_sleeps_with_reload_as_without(service):
    master = wake(service("--reload", "--idle", "1.5", app=VERSION.format("v1")))
    assert master.wait() == 0
    assert "changed" not in master.log


# ### What it costs


class Silent:
    def event(self, *_, **__):
        pass


@pytest.fixture
def clock(monkeypatch):
    """Each look at it is a hundredth of a second later than the one before."""
    now = [1000.0]

    def monotonic():
        now[0] += 0.01
        return now[0]

    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=monotonic))
    return now


@pytest.mark.usefixtures("clock")
def test_a_large_tree_is_looked_at_less_often_and_never_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(module.tree, "_PORTION", 10)
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        for name in range(10):
            (tmp_path / f"d{number}" / f"m{name}.py").touch()
    watch, alarm = Watch(Settings(app="blog:app", chdir=str(tmp_path)), 2**62, Silent()), Alarm()
    alarm.now = 0.0
    turns = 0
    while watch._mark is None:
        alarm.now = max(alarm.now, watch._at)
        assert not watch.changed(alarm)
        turns += 1
    assert turns > 10
    assert watch._at - alarm.now == pytest.approx(module._SHARE * 0.01 * turns)


def test_it_says_itself_when_it_wants_to_look_again(tmp_path):
    watch, alarm = Watch(Settings(app="blog:app", chdir=str(tmp_path)), 2**62, Silent()), Alarm()
    assert not watch.changed(alarm)
    alarm.reset()
    assert not watch.changed(alarm)
    assert 0 < alarm.timeout_ms <= module._PAUSE * 1000 + 100
    with contextlib.suppress(FileNotFoundError):
        (tmp_path / "new.py").touch()
    alarm.now = watch._at
    assert watch.changed(alarm)
    alarm.now = watch._at
    assert not watch.changed(alarm)
