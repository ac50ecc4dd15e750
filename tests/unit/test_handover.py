"""What the giver of listeners says, and hears."""

from __future__ import annotations

import os
import socket

import pytest

from spyglass_systemd.protocols.handover import Mailbox, environment
from spyglass_systemd.words.listener import AF_INET, Listener


def listener(name):
    return Listener(3, name, AF_INET, ("127.0.0.1", 80))


@pytest.fixture
def mailbox():
    box = Mailbox()
    yield box
    box.close()


def send(address, *messages):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect("\0" + address.removeprefix("@"))
        for message in messages:
            sock.send(message)


def test_the_environment_names_the_listeners():
    given = environment({"PATH": "/bin"}, [listener("http"), listener("admin")], "@box")
    assert given == {"PATH": "/bin", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:admin", "NOTIFY_SOCKET": "@box"}


def test_a_listener_without_a_name_among_others_is_unknown():
    assert environment({}, [listener(""), listener("admin")], "@box")["LISTEN_FDNAMES"] == "unknown:admin"


def test_without_any_name_there_are_no_names():
    assert "LISTEN_FDNAMES" not in environment({}, [listener(""), listener("")], "@box")


def test_what_our_own_manager_told_us_is_not_passed_on():
    told = dict.fromkeys(
        ("LISTEN_PID", "LISTEN_FDS", "LISTEN_PIDFDID", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"), "old"
    )
    assert "old" not in environment(told, [listener("")], "@box").values()


def test_the_mailbox_is_an_abstract_socket_and_does_not_survive_an_exec(mailbox):
    assert mailbox.address.startswith("@")
    assert not os.get_inheritable(mailbox.fileno())


def test_messages_come_in_their_order(mailbox):
    assert mailbox.empty() == []
    send(mailbox.address, b"READY=1\nSTATUS=up", b"STOPPING=1")
    assert mailbox.empty() == ["READY=1\nSTATUS=up", "STOPPING=1"]
    assert mailbox.empty() == []


def test_bytes_that_are_no_text_do_no_harm(mailbox):
    send(mailbox.address, b"STATUS=\xff")
    assert mailbox.empty() == ["STATUS=\ufffd"]


def test_an_emptied_mailbox_takes_messages_again(mailbox):
    for _ in range(20):
        send(mailbox.address, *[b"STATUS=x"] * 5)
        assert len(mailbox.empty()) == 5


def test_whoever_writes_without_end_is_left_for_the_next_time(mailbox, monkeypatch):
    monkeypatch.setattr("spyglass_systemd.protocols.handover._AT_ONCE", 3)
    send(mailbox.address, *[b"STATUS=x"] * 5)
    assert [len(mailbox.empty()), len(mailbox.empty())] == [3, 2]
