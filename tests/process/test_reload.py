"""A reload: a new generation beside the old, no request lost, and the old one kept where the new one is broken."""

from __future__ import annotations

import os
import re
import signal

import pytest
from harness import IMPATIENT, Process, children, descriptors, eventually, said, take_time, wait_at
from visitors import Visitors

from spyglass_systemd.protocols import row as row_cells
from spyglass_systemd.protocols import scoreboard

APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{version} %d" % os.getpid()]
"""


@pytest.fixture
def deploy(tmp_path):
    """Writes another version of the app."""
    return (tmp_path / "app" / "blog.py").write_text


def version(number):
    return APP.replace("{version}", f"v{number}")


def version_async(number):
    return f"""
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}})
    await send({{"type": "http.response.body", "body": b"v{number} a"}})
"""


def wake(master):
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.all_accept(2)
    return master


def body(master):
    return master.request().body.split()[0].decode()


def becomes(master, version):
    """The new code answers: soon, for an old worker may take one more in leaving."""
    eventually(lambda: {body(master) for _ in range(5)} == {version})


def reload_header(master):
    header, _ = master.board()
    return header[scoreboard.H_RELOAD_DONE], header[scoreboard.H_RELOAD_RESULT]


def asked(master):
    """Ask for a reload as `spyglass reload` does; the result, when one is done that has begun later than this."""
    number = master.board()[0][scoreboard.H_RELOADS]
    master.signal(signal.SIGHUP)
    eventually(lambda: reload_header(master)[0] > number, "a reload that has begun now")
    return reload_header(master)[1]


def error(master):
    """What stands beside the scoreboard of a reload that failed."""
    path = master.run / "reload-error"
    return path.read_text() if path.exists() else ""


@pytest.mark.usefixtures("sd")
def test_a_reload_serves_the_new_code_and_lets_the_old_go(service, deploy):
    master = wake(service(app=version(1)))
    old = [master.template, *master.workers]
    assert body(master) == "v1"
    deploy(version(2))
    master.signal(signal.SIGHUP)
    assert re.search(r"^RELOADING=1\nMONOTONIC_USEC=\d+$", master.letters.until("RELOADING=1"))
    master.letters.until("READY=1")
    becomes(master, "v2")
    for process in old:
        assert process.wait()
    master.all_accept(2)
    assert reload_header(master) == (1, 0)
    assert "worker_died" not in master.log
    assert master.stop() == 0


def test_a_steady_stream_of_requests_loses_none_to_reloads(service, deploy):
    master = wake(service(app=version(0)))
    with Visitors(master.addresses[0], "", read=lambda answer: [answer.body.split()[0]]) as visitors:
        for number in range(1, 6):
            deploy(version(number))
            master.signal(signal.SIGHUP)
            master.log.until("reloaded")
            visitors.until(len(visitors.answers) + 20)
    assert not visitors.lost
    assert {b"v%d" % number for number in range(6)} == {*visitors.answers}
    assert master.stop() == 0


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_broken_deploy_under_200_requests_a_second_loses_none(service, deploy, kind):
    """Code that does not import, code that ends its process, workers that do not start, and the way back each time."""
    good = version if kind == "wsgi" else version_async
    master = wake(service(app=good(0)))
    visitors = Visitors(master.addresses[0], "", read=lambda answer: [answer.body.split()[0]], count=4, pause=0.02)
    with visitors:
        for number, broken in enumerate(["import nosuch", "import os; os._exit(3)", "app = 3", "def app(:"], 1):
            deploy(broken)
            assert asked(master) == 69
            visitors.until(len(visitors.answers) + 50)
            assert {*visitors.answers[-20:]} == {b"v%d" % (number - 1)}
            deploy(good(number))
            assert asked(master) == 0
            visitors.until(len(visitors.answers) + 50)
    assert not visitors.lost
    assert {*visitors.answers} == {b"v%d" % number for number in range(5)}
    assert master.stop() == 0


def test_a_request_under_way_is_answered_by_the_generation_that_has_it(service, gate):
    master = service()
    with master.start(waiting=f"{wait_at(gate)}; say(os.getpid())") as connection:
        master.in_flight()
        (busy,) = [row["pid"] for row in master.rows() if row["in_flight"]]
        master.signal(signal.SIGHUP)
        master.log.until("reloaded")
        assert master.ask("say(os.getpid())") != [busy]  # that one is busy
        with gate.open("w"):
            pass
        assert said(connection.read()) == ["answered", busy]
    assert "reason=reload" in master.log.until("worker_retired")


def test_what_is_accepted_is_answered_though_its_request_comes_after_the_reload(service):
    """A connection that is silent, one with half a head, and one that is kept alive, 0.3 s after it was retired."""
    master = service("--workers", "1", "--keepalive", "30")
    with master.start(waiting="say(1)") as connection:
        connection.read()
    with master.connect() as silent, master.connect() as half, master.connect() as kept:
        (worker,) = said(kept.ask("say(os.getpid())", close=False).read())
        half.send(b"POST / HTTP/1.1\r\nHost: te")
        master.has_open(3)
        master.signal(signal.SIGHUP)
        master.log.until("reloaded")
        take_time(0.3)
        for one in (silent, kept):
            assert said(one.ask("say(os.getpid())", close=False).read()) == [worker]
        half.send(b"st\r\nContent-Length: 16\r\nConnection: close\r\n\r\nsay(os.getpid())")
        assert said(half.read()) == [worker]


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize("broken", ["raise RuntimeError('no database')", "import os; os._exit(3)", "app = ("])
def test_a_reload_of_broken_code_keeps_the_old(service, deploy, broken):
    master = wake(service(app=version(1)))
    old = master.workers
    deploy(broken)
    master.signal(signal.SIGHUP)
    line = master.log.until("reload_failed")
    assert "no database" in line or "SyntaxError" in line or "exit 3" in line
    master.letters.until("RELOADING=1")
    master.letters.until("READY=1")
    assert body(master) == "v1"
    assert reload_header(master) == (1, 69)
    master.all_accept(2)
    assert not any(worker.gone for worker in old)
    deploy(version(2))
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    becomes(master, "v2")
    assert reload_header(master) == (2, 0)


def test_a_reload_whose_workers_die_keeps_the_old(service, deploy):
    master = wake(service("--no-preload", app=version(1)))
    old = master.workers
    deploy("import os; os._exit(3)")
    master.signal(signal.SIGHUP)
    assert "died before they could accept: exit 3" in master.log.until("reload_failed")
    assert body(master) == "v1"
    assert not any(worker.gone for worker in old)


def test_a_reload_that_hangs_is_given_up_and_the_old_kept(service, deploy, gate):
    master = wake(service("--import-timeout", "0.3", app=version(1)))
    deploy(f"open({str(gate)!r})")
    master.signal(signal.SIGHUP)
    assert "import_timeout" in master.log.until("reload_failed")
    assert body(master) == "v1"
    eventually(lambda: len(master.templates) == 1)


def test_reloads_that_come_during_one_are_remembered_once(service, deploy, gate):
    master = wake(service(app=version(1)))
    deploy(f"open({str(gate)!r}).close()\n{version(2)}")
    for _ in range(3):
        master.signal(signal.SIGHUP)
        eventually(lambda: len(master.templates) == 2)
    with gate.open("w"):
        deploy(version(3))
    becomes(master, "v3")
    eventually(lambda: reload_header(master)[0] == 2)
    master.all_accept(2)
    assert reload_header(master) == (2, 0)
    assert master.stop() == 0


def test_a_reload_while_the_app_is_imported_comes_after_it(service, deploy, gate):
    master = service(app=f"open({str(gate)!r}).close()\n{version(1)}")
    with master.start(waiting="") as connection:
        master.letters.until("EXTEND_TIMEOUT_USEC")
        master.signal(signal.SIGHUP)
        with gate.open("w"):
            deploy(version(2))
        assert connection.read().status == 200
    master.log.until("reloaded")
    becomes(master, "v2")


@pytest.mark.usefixtures("sd")
def test_a_reload_of_one_that_only_watches_is_done_at_once(service):
    master = service("--watch", "off", app=version(1))
    master.start()
    master.letters.until("READY=1")
    master.signal(signal.SIGHUP)
    master.letters.until("RELOADING=1")
    master.letters.until("READY=1")
    assert master.templates == []
    assert reload_header(master) == (1, 0)
    assert body(master) == "v1"


def test_a_reload_takes_up_the_configuration_anew(service, tmp_path):
    config = tmp_path / "blog.toml"
    config.write_text('app = "knife:app"\nworkers = 1')
    master = service(config=config)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(1)
    config.write_text('app = "knife:app"\nworkers = 3\nenvironment.COLOUR = "red"')
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    master.all_accept(3)
    eventually(lambda: master.ask("say(os.environ.get('COLOUR'))") == ["red"])
    config.write_text("workers = many")
    master.signal(signal.SIGHUP)
    assert "is not TOML" in master.log.until("reload_failed")
    assert master.ask("say(os.environ['COLOUR'])") == ["red"]


def test_a_deploy_by_symbolic_link_loads_the_new_release(service, tmp_path):
    for number in (1, 2):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}" / "site.toml").touch()
        (tmp_path / f"release{number}" / "shop.py").write_text(version(number))
    current = tmp_path / "current"
    current.symlink_to("release1")
    master = wake(service("--chdir", str(current), spec="shop:app"))
    assert body(master) == "v1"
    current.unlink()
    current.symlink_to("release2")
    master.signal(signal.SIGHUP)
    master.log.until("reloaded")
    becomes(master, "v2")


def test_no_one_falls_asleep_while_a_new_generation_is_imported(service, deploy, gate):
    master = wake(service("--idle", "0.3", app=version(1)))
    deploy(f"open({str(gate)!r}).close()\n{version(2)}")
    master.signal(signal.SIGHUP)
    master.letters.until("RELOADING=1")
    take_time(0.6)
    assert body(master) == "v1"
    with gate.open("w"):
        pass
    master.log.until("reloaded")
    assert master.wait() == 0
    assert "resumed" not in master.log


def test_a_reload_called_for_while_all_are_asked_to_be_quiet_is_done(service, deploy):
    master = service("--idle", "0.3", "--log-level", "debug", app=version(1))
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.all_ready(2)
    for worker in master.workers:
        worker.kill(signal.SIGSTOP)
    master.log.until("do=QUIESCE")
    deploy(version(2))
    master.signal(signal.SIGHUP)
    master.log.until("do=RESUME_AND_RELOAD")
    for worker in master.workers:
        worker.kill(signal.SIGCONT)
    master.log.until("reloaded")
    assert master.wait() == 0


def test_after_many_generations_nothing_is_left_of_them(service):
    master = service()
    with master.start(waiting="say(1)") as connection:
        connection.read()
    seen = []
    for _ in range(6):
        master.signal(signal.SIGHUP)
        master.log.until("reloaded")
        master.all_accept(2)
        (template,) = eventually(lambda: master.templates if len(master.templates) == 1 else None)
        eventually(lambda: len(master.workers) == 2)
        below = [Process(pid) for pid in master.members() if pid != master.pid]
        assert {process.pid for process in below} == {template.pid, *[worker.pid for worker in master.workers]}
        kinds = [sorted(re.sub(r"\d+", "", what) for what in descriptors(pid).values()) for pid in _pids(master)]
        seen.append(kinds)
    assert all(kinds == seen[0] for kinds in seen)
    assert len(master.rows()) == 2


def _pids(master):
    return [master.pid, master.template.pid, *[worker.pid for worker in master.workers]]


# ### What whoever asks for a reload can learn


def test_the_text_of_what_broke_stands_beside_the_board_until_a_reload_succeeds(service, deploy):
    master = wake(service(app=version(1)))
    deploy("def deep():\n    raise RuntimeError('no database')\n\n\ndeep()\n")
    assert asked(master) == 69
    assert "no database" in error(master).splitlines()[0]
    assert ", in deep" in error(master)
    deploy(version(2))
    assert asked(master) == 0
    assert error(master) == ""
    assert body(master) == "v2"


def test_a_reload_that_comes_while_code_is_loaded_waits_for_code_that_is_loaded_later(service, deploy, gate):
    """The first has read the old code and hangs in it; whoever asks now must not be told of that one's success."""
    master = wake(service(app=version(1)))
    deploy(f"open({str(gate)!r}).close()\n{version(2)}")
    master.signal(signal.SIGHUP)
    eventually(lambda: master.board()[0][scoreboard.H_RELOADS] == 1, "a reload under way")
    eventually(lambda: len(master.templates) == 2, "a second Template")
    opened = os.open(gate, os.O_WRONLY)  # the first has read its code
    deploy("raise RuntimeError('too late')")
    master.signal(signal.SIGHUP)
    os.close(opened)
    eventually(lambda: reload_header(master) == (1, 0) or reload_header(master)[0] == 2, "the first is done")
    eventually(lambda: reload_header(master) == (2, 69), "and then the second")
    assert "too late" in error(master)
    assert body(master) == "v2"


def test_of_an_app_that_is_broken_each_attempt_is_a_reload(service, deploy):
    master = service("--idle", "1h", app="raise RuntimeError('no database')")
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    assert asked(master) == 69
    assert "no database" in error(master)
    deploy(version(2))
    assert asked(master) == 0
    assert error(master) == ""
    assert body(master) == "v2"


def test_a_reload_of_one_that_watches_counts_as_done(service):
    master = service("--watch", "1h")
    master.start()
    master.log.until("watching")
    assert asked(master) == 0
    assert master.ask("say(1)") == [1]
    eventually(lambda: reload_header(master) == (master.board()[0][scoreboard.H_RELOADS], 0), "its load counts as well")


def test_a_configuration_that_is_broken_is_the_reason(service, tmp_path):
    path = tmp_path / "knife.toml"
    path.write_text('app = "knife:app"\n')
    master = wake(service(config=path))
    path.write_text("app = \n")
    assert asked(master) == 69
    assert "is not TOML" in error(master)
    path.write_text('app = "knife:app"\n')
    assert asked(master) == 0


# ### A new generation that is not whole

PLACES = """
import fcntl, os
HELD = []
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        for number in range(int(open({directory!r} + "/places").read())):
            place = open(f"{directory}/place{{number}}", "w")
            try:
                fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            HELD.append(place)
            break
        else:
            await send({{"type": "lifespan.startup.failed", "message": "too many clients"}})
            return
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}})
    await send({{"type": "http.response.body", "body": b"v2 a"}})
"""


@pytest.fixture
def places(service, tmp_path):
    """Makes a service of which each worker takes one of so many places as it boots, as of a database's connections."""

    def places(count, *options, **more):
        (tmp_path / "places").write_text(str(count))
        app = PLACES.format(directory=str(tmp_path))
        return service("--kind", "asgi", *options, app=app, around=IMPATIENT, **more)

    return places


def test_a_reload_of_which_only_some_workers_boot_takes_over(places):
    """The old workers have two of three places, and the second of the new ones never boots while they do."""
    master = wake(places(3, "--idle", "3"))
    assert asked(master) == 0
    becomes(master, "v2")
    master.all_accept(2)
    assert master.wait() == 0


def test_what_is_mended_after_such_a_reload_is_loaded(service, deploy, tmp_path):
    (tmp_path / "places").write_text("1")
    master = wake(service("--kind", "asgi", app=version_async(1), around=IMPATIENT))
    deploy(PLACES.format(directory=str(tmp_path)))
    assert asked(master) == 0
    deploy(version_async(3))
    assert asked(master) == 0
    becomes(master, "v3")


def test_an_app_whose_worker_cannot_be_replaced_sleeps(places):
    master = places(2, "--idle", "1", "--max-requests", "1")
    with master.start(waiting="") as connection:
        assert connection.read().status == 200
    master.log.until("too many clients")
    assert master.wait() == 0
    assert "slept" in master.log


def test_a_reload_to_more_workers_than_there_is_room_for_takes_as_many_as_there_is(service, tmp_path):
    path = tmp_path / "knife.toml"
    path.write_text('app = "knife:app"\nworkers = 1\n')
    master = service("--idle", "3", config=path)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(1)
    path.write_text('app = "knife:app"\nworkers = 70\n')
    assert asked(master) == 0
    assert "restart for more" in master.log.until("worker_refused")
    master.all_accept(16)
    assert master.log.count("worker_refused") == 1
    assert master.wait() == 0


def test_a_reload_that_waits_for_a_worker_less_takes_over_when_one_less_is_wanted(places):
    master = wake(places(3, "--idle", "1h"))
    number = master.board()[0][scoreboard.H_RELOADS]
    master.signal(signal.SIGHUP)
    eventually(
        lambda: [row["state"] for row in master.rows()].count(row_cells.ACCEPTING) == 3, "the first one is there"
    )
    master.signal(signal.SIGTTOU)
    eventually(lambda: reload_header(master) == (number + 1, 0), "a reload that is done")


def test_a_reload_that_failed_leaves_the_settings_as_they_were(service, tmp_path):
    path = tmp_path / "knife.toml"
    path.write_text('app = "knife:app"\nworkers = 1\nidle = "1h"\n')
    master = service(config=path)
    with master.start(waiting="say(1)") as connection:
        connection.read()
    master.all_accept(1)
    path.write_text('app = "nobody:app"\nworkers = 3\nidle = "0.2s"\nkeepalive = "0.1s"\n')
    assert asked(master) == 69
    take_time(0.5)  # for the workers and the sleep that are not to come
    master.all_accept(1)
    assert master.stop() == 0


def test_a_new_template_that_dies_when_its_workers_have_come_is_followed_by_another(service, deploy, tmp_path):
    """The Master hears of both in one turn."""
    held = tmp_path / "held"  # each worker looks for it: a FIFO lets go only those who wait already
    master = wake(service(app=version(1)))
    (old,) = children(master.pid)
    deploy(
        f"{version(2)}\nimport time\ndef held(): return os.path.exists({str(held)!r})\n"
        "os.register_at_fork(after_in_child=lambda: [time.sleep(0.01) for _ in iter(held, False)])\n"
    )
    held.touch()
    master.signal(signal.SIGHUP)
    new = eventually(lambda: [pid for pid in children(master.pid) if pid != old])[0]
    eventually(lambda: len(children(new)) == 2, "both are forked")
    take_time(0.3)  # the Master has heard of that
    master.signal(signal.SIGSTOP)
    held.unlink()
    eventually(lambda: [row["state"] for row in master.rows()] == [row_cells.ACCEPTING] * 4, "and both accept")
    Process(new).kill()
    master.signal(signal.SIGCONT)
    becomes(master, "v2")
    master.all_accept(2)
    assert "reload_failed" not in master.log
    assert master.stop() == 0
