"""What a fork does to an app that was imported before it, and what we do about that."""

from __future__ import annotations

import signal

import pytest
from harness import APPS, eventually, said
from packages import installed

KNIFE = "from knife import *\nfrom knife import app\n"


@pytest.fixture
def forked(service):
    """An app whose import did something first, awake with two workers."""

    def forked(source, *options, workers=2):
        master = service("--pythonpath", str(APPS), *options, app=f"{source}\n{KNIFE}")
        with master.start(waiting="say(1)") as connection:
            assert said(connection.read()) == [1]
        master.all_accept(workers)
        return master

    return forked


def ask_both(master, gate, source):
    """What each of two workers says: the first is kept busy while the second is asked."""
    with master.connect().ask(f"{source}\nopen({str(gate)!r}).close()") as connection:
        master.in_flight()
        second = master.ask(source)
        with gate.open("w"):
            pass
        return said(connection.read()), second


# ### Threads


def test_threads_that_the_import_started_are_named_with_what_to_do(forked):
    source = """
import threading
for name in ("poller", "mailer"):
    threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
"""
    master = forked(source)
    line = master.log.until(" threads_left_behind")
    assert "poller" in line
    assert "mailer" in line
    assert "preload = false" in line


def test_no_thread_is_nothing_to_say(forked):
    master = forked("")
    assert master.stop() == 0
    assert "threads_left_behind" not in master.log
    assert " shared" not in master.log


def test_a_thread_that_holds_the_lock_of_a_log_at_the_fork_keeps_no_worker_from_logging(forked):
    source = """
import logging, threading
logging.basicConfig()
held = threading.Event()
def hold():
    logging.getLogger().handlers[0].acquire()
    held.set()
    threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
"""
    master = forked(source)
    assert master.ask("import logging; logging.warning('from a worker'); say('here')") == ["here"]
    master.log.until("from a worker")


def test_a_thread_that_ends_a_lease_at_the_fork_keeps_no_worker_from_taking_one(forked):
    source = """
import threading
from spyglass_systemd.protocols import leases
held = threading.Event()
def hold():
    with leases._lock:
        held.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
"""
    master = forked(source)
    take = "from spyglass_systemd import keep_awake\nwith keep_awake('work'): say('here')"
    assert master.ask(take) == ["here"]


# ### Connections and files


def test_what_all_workers_share_is_named_with_what_to_do(forked, tmp_path):
    (tmp_path / "data").write_text("1\n2\n")
    master = forked(f"data = open({str(tmp_path / 'data')!r})")
    line = master.log.until(" shared")
    assert f"a position in {tmp_path / 'data'}" in line
    assert "preload = false" in line


def test_what_each_worker_opened_itself_is_not_shared(forked, gate, tmp_path):
    (tmp_path / "data").write_text("1\n2\n")
    master = forked(f"data = open({str(tmp_path / 'data')!r})", "--no-preload")
    assert ask_both(master, gate, "import blog; say(blog.data.readline())") == (["1\n"], ["1\n"])
    assert master.stop() == 0
    assert " shared" not in master.log


# ### Random numbers


@pytest.mark.parametrize(
    ("source", "draw"),
    [
        ("import random\nrandom.seed(1)", "import random; say(random.random())"),
        ("import uuid\nuuid.uuid4()", "import uuid; say(str(uuid.uuid4()))"),
        ("import ssl\nssl.RAND_bytes(8)", "import ssl; say(ssl.RAND_bytes(8).hex())"),
    ],
    ids=["random", "uuid", "ssl"],
)
def test_two_workers_do_not_draw_the_same_random_numbers(forked, gate, source, draw):
    first, second = ask_both(forked(source), gate, draw)
    assert first != second


def test_numpys_random_numbers_are_those_of_each_worker_alone(forked, gate):
    numpy = installed("numpy", "numpy>=2")
    source = "import numpy.random\nnumpy.random.seed(1)"
    master = forked(source, "--pythonpath", str(numpy))
    first, second = ask_both(master, gate, "import numpy.random; say(numpy.random.random())")
    assert first != second


# ### The end


def test_what_an_app_registers_for_its_end_is_run_once_in_each_worker_and_nowhere_else(forked, tmp_path):
    ends = tmp_path / "ends"
    master = forked(f"import atexit, os\natexit.register(lambda: open({str(ends)!r}, 'a').write(f'{{os.getpid()}} '))")
    workers = sorted(worker.pid for worker in master.workers)
    assert master.stop() == 0
    assert sorted(map(int, ends.read_text().split())) == workers


def test_a_worker_that_is_forked_later_runs_it_too(forked, tmp_path):
    ends = tmp_path / "ends"
    source = f"import atexit, os\natexit.register(lambda: open({str(ends)!r}, 'a').write(f'{{os.getpid()}} '))"
    master = forked(source, "--workers", "1", workers=1)
    (old,) = master.workers
    old.kill()
    eventually(lambda: [worker.pid for worker in master.workers] not in ([], [old.pid]))
    (new,) = master.all_accept(1)
    assert master.stop() == 0
    assert ends.read_text().split() == [str(new["pid"])]


def test_a_reload_does_not_run_it_under_workers_that_still_serve(forked, gate, tmp_path):
    """As for a directory of temporary files that the import has made."""
    ends = tmp_path / "ends"
    source = f"import atexit, os\natexit.register(lambda: open({str(ends)!r}, 'a').write(f'{{os.getpid()}} '))"
    master = forked(source, "--workers", "1", workers=1)
    (old,) = master.workers
    with master.connect().ask(f"open({str(gate)!r}).close(); say(os.path.exists({str(ends)!r}))") as connection:
        master.in_flight()
        template = master.template
        master.signal(signal.SIGHUP)
        master.log.until("reloaded")
        assert template.wait()
        with gate.open("w"):
            pass
        assert said(connection.read()) == [False]
    assert old.wait()
    assert ends.read_text().split() == [str(old.pid)]


def test_what_a_broken_import_registered_is_run_for_nobody_else_can(service, tmp_path):
    ends = tmp_path / "ends"
    source = f"import atexit, os\natexit.register(lambda: open({str(ends)!r}, 'a').write('x'))\nraise RuntimeError\n"
    master = service(app=source)
    with master.start(waiting="") as connection:
        assert connection.read().status == 503
    eventually(ends.exists)
