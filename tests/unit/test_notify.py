"""What the service manager is told, datagram by datagram, with each library."""

from __future__ import annotations

import os
import socket
import time

import pytest

import spyglass_systemd.sd as port
from spyglass_systemd.protocols import notify
from spyglass_systemd.protocols.notify import Notifier

PID = os.getpid()
pytestmark = pytest.mark.usefixtures("sd")


class Manager:
    """A service manager: what it has been told since it was last asked."""

    def __init__(self, address):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(address)

    def told(self):
        messages = []
        while True:
            try:
                messages.append(self.sock.recv(65536).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def address(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    return str(tmp_path / "notify")


@pytest.fixture
def manager(address):
    manager = Manager(address)
    yield manager
    manager.sock.close()


@pytest.fixture
def notifier(manager):
    assert manager.told() == []
    return Notifier.from_environ(os.environ, PID)


# ### What is said


def test_ready_is_said_once_with_its_status(notifier, manager):
    assert notifier.ready("2 workers") is True
    notifier.ready("2 workers")
    assert manager.told() == ["READY=1\nSTATUS=2 workers"]


def test_ready_needs_no_status(notifier, manager):
    notifier.ready()
    notifier.ready()
    assert manager.told() == ["READY=1"]


def test_a_second_ready_still_tells_a_new_status(notifier, manager):
    notifier.ready("watching")
    notifier.ready("awake")
    assert manager.told() == ["READY=1\nSTATUS=watching", "STATUS=awake"]


def test_a_status_is_said_when_it_has_changed(notifier, manager):
    said = [notifier.status(text) for text in ("asleep", "asleep", "awake", "asleep", "")]
    assert said == [True, False, True, True, False]
    assert manager.told() == ["STATUS=asleep", "STATUS=awake", "STATUS=asleep"]


def test_after_a_reload_ready_is_said_again(notifier, manager):
    notifier.ready("awake")
    notifier.reloading(1234567)
    assert notifier.reloads
    notifier.reloading(1234568)
    notifier.ready("awake")  # somebody accepts, who is not the new generation
    assert notifier.reloads
    notifier.reloaded("awake")
    assert not notifier.reloads
    notifier.reloaded("awake")
    assert manager.told() == ["READY=1\nSTATUS=awake", "RELOADING=1\nMONOTONIC_USEC=1234567", "READY=1\nSTATUS=awake"]


def test_of_a_service_that_starts_or_stops_no_manager_knows_a_reload(notifier, manager):
    assert not notifier.reloading(1)
    notifier.ready()
    notifier.stopping()
    assert not notifier.reloading(1)
    assert not notifier.reloaded()
    assert manager.told() == ["READY=1", "STOPPING=1"]


def test_more_time_is_asked_for_in_microseconds(notifier, manager):
    notifier.extend(2.5)
    assert manager.told() == ["EXTEND_TIMEOUT_USEC=2500000"]


def test_stopping_is_said_with_its_status(notifier, manager):
    notifier.stopping("fell asleep")
    notifier.status("fell asleep")
    assert manager.told() == ["STOPPING=1\nSTATUS=fell asleep"]


def test_a_status_cannot_say_anything_else(notifier, manager):
    notifier.status("ImportError: x\nSTOPPING=1\x1b[0m")
    assert manager.told() == [r"STATUS=ImportError: x\nSTOPPING=1\x1b[0m"]


def test_a_status_fits_into_what_the_manager_reads(notifier, manager):
    notifier.status("ü" * 5000)
    (message,) = manager.told()
    assert len(message.encode()) < 4096
    assert message.endswith("ü...")


@pytest.mark.parametrize(
    ("variables", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "18446744073709551615"}, None),
        ({"WATCHDOG_USEC": "-3"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_interval_where_it_waits_for_us(manager, address, variables, interval):
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address, **variables}, PID)
    assert notifier.watchdog_interval == interval
    assert notifier.watchdog() is (interval is not None)
    assert manager.told() == ["WATCHDOG=1"] * (interval is not None)


def test_a_manager_in_the_abstract_namespace_is_reached(monkeypatch):
    name = f"spyglass-test-{PID}-{time.monotonic_ns()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    manager = Manager(f"\0{name}")
    Notifier.from_environ(os.environ, PID).ready()
    assert manager.told() == ["READY=1"]
    manager.sock.close()


# ### What goes wrong


def test_without_a_manager_nothing_is_said_and_no_library_is_asked(monkeypatch):
    monkeypatch.setattr(port, "adapter", None)
    notifier = Notifier.from_environ({"WATCHDOG_USEC": "30000000"}, PID)
    assert notifier.watchdog_interval is None
    said = [
        notifier.ready("x"),
        notifier.status("x"),
        notifier.extend(1),
        notifier.reloading(1),
        notifier.stopping("x"),
        notifier.watchdog(),
    ]
    assert said == [False] * 6
    assert notifier.dropped == 0


def test_a_manager_that_never_was_is_counted_and_not_raised(address):
    notifier = Notifier(address)
    assert notifier.ready("awake") is False
    assert notifier.dropped == 1


def test_a_manager_that_is_gone_is_counted_and_not_raised(notifier, manager):
    manager.sock.close()
    assert notifier.ready("awake") is False
    assert notifier.dropped == 1


def test_a_manager_that_takes_nothing_from_the_library_is_counted(notifier, monkeypatch):
    def refuse(_text):
        raise PermissionError

    monkeypatch.setattr(port.adapter(), "notify", refuse)
    assert notifier.ready() is False
    assert notifier.dropped == 1


def test_a_manager_on_another_kind_of_socket_is_left_to_the_library(monkeypatch):
    said = []
    monkeypatch.setattr(port.adapter(), "notify", lambda text: said.append(text) or True)
    assert Notifier("vsock:2:1234").ready() is True
    assert said == ["READY=1"]


def test_a_manager_that_does_not_read_cannot_stop_us_and_hears_the_rest_later(notifier, manager, monkeypatch):
    monkeypatch.setattr(notify, "_PATIENCE_MS", 1)
    said = 0
    while notifier.status(f"number {said}"):
        said += 1
    assert notifier.ready("awake") is False
    assert notifier.dropped == 2
    assert len(manager.told()) == said
    assert notifier.ready("awake") is True
    assert manager.told() == ["READY=1\nSTATUS=awake"]


def test_what_a_manager_must_know_is_said_in_its_order_when_it_reads_again(notifier, manager, monkeypatch):
    monkeypatch.setattr(notify, "_PATIENCE_MS", 1)
    while notifier.status(f"number {notifier.dropped} {time.monotonic()}"):
        pass
    notifier.ready("awake")
    notifier.reloading(1234567)
    assert notifier.owes
    assert notifier.reloads
    dropped = notifier.dropped
    assert notifier.status("awake") is False  # still nobody reads; that these are lost so far has been counted
    assert notifier.dropped == dropped
    manager.told()
    notifier.reloaded("awake")
    notifier.status("awake")
    assert not notifier.owes
    said = [message.partition("\n")[0] for message in manager.told()]
    assert said == ["READY=1", "RELOADING=1", "READY=1"]


def test_a_process_that_forgets_has_no_word_to_the_manager_any_more(monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    notify.forget(os.environ)
    assert not {"WATCHDOG_USEC", "WATCHDOG_PID", "NOTIFY_SOCKET"} & set(os.environ)
    assert port.adapter().notify("READY=1") is False
    notify.forget(os.environ)


def test_a_remark_is_at_the_end_of_each_status(notifier, manager):
    notifier.remark = " (mind this)"
    notifier.ready("2 workers")
    notifier.status("2 workers")
    notifier.status("asleep")
    assert manager.told() == ["READY=1\nSTATUS=2 workers (mind this)", "STATUS=asleep (mind this)"]
