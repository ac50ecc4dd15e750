"""App code that does to its process what nobody should: it costs a worker, or nothing, and never the port."""

from __future__ import annotations

import pytest
from harness import APPS, eventually, said

# What a request does with every channel that its process holds.
EACH_CHANNEL = """
for fd in map(int, os.listdir('/proc/self/fd')):
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError:
        continue
    if sock.type == socket.SOCK_SEQPACKET:
        {}
say(os.getpid())
"""


def wake(master, workers=2):
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    master.all_accept(workers)
    return master


@pytest.mark.parametrize(
    "mischief",
    [
        "sock.send(b'GET / HTTP/1.1')",
        "sock.send(b'')",
        "sock.send(b'Accepting\\0' + b'9' * 30)",
        "sock.send(b'Quiesced\\0' + b'1\\0' * 2 + b'1')",
        "socket.send_fds(sock, [b'Said'], [0, 1, 2])",
        "sock.shutdown(2)",
    ],
)
def test_an_app_that_writes_into_our_channel_costs_its_worker_at_most(service, mischief):
    master = wake(service())
    (pid,) = master.ask(EACH_CHANNEL.format(mischief))
    assert master.ask("say(2)") == [2]
    if "Quiesced" not in mischief:  # that is a message: it says nothing to anybody who has not asked
        eventually(lambda: pid not in {worker.pid for worker in master.workers}, "the worker is replaced")
    master.all_accept(2)
    assert master.ask("say(3)") == [3]
    assert master.stop() == 0


def test_an_app_that_closes_all_descriptors_costs_its_worker(service):
    master = wake(service("--workers", "1"), 1)
    with master.connect() as connection:
        connection.ask("os.closerange(3, 256)")
        assert connection.sock.recv(1) == b""
    assert master.ask("say(2)") == [2]
    assert master.stop() == 0


def test_an_app_that_ignores_its_children_is_served_as_any_other(service):
    app = "import signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nfrom knife import app\n"
    master = wake(service("--pythonpath", str(APPS), app=app))
    before = {worker.pid for worker in master.workers}
    for worker in master.workers:
        worker.kill()
    eventually(lambda: not before & {worker.pid for worker in master.workers}, "all workers replaced")
    assert master.ask("say(2)") == [2]
    assert "template_died" not in str(master.log)
    assert master.stop() == 0


def test_a_thread_that_never_ends_keeps_nobody_from_falling_asleep(service):
    app = "import threading\nthreading.Thread(target=threading.Event().wait).start()\nfrom knife import app\n"
    master = service("--pythonpath", str(APPS), "--idle", "0.2", "--drain", "1000", app=app)
    with master.start(waiting="say(1)") as connection:
        assert said(connection.read()) == [1]
    assert master.wait() == 0
