"""The end of a connection, over a real socket."""

from __future__ import annotations

import socket

import pytest

from spyglass_systemd.backends.wsgi import farewell
from spyglass_systemd.backends.wsgi.farewell import SILENCE, Farewell


@pytest.fixture
def ends():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as theirs:
        ours, _ = server.accept()
        with ours:
            ours.setblocking(False)
            theirs.settimeout(10)
            yield ours, theirs


def test_the_client_is_told_that_no_more_will_come(ends):
    Farewell(ends[0], 0.0, at_once=False)
    assert ends[1].recv(1) == b""


def test_it_is_over_when_the_client_says_the_same(ends):
    bye = Farewell(ends[0], 0.0, at_once=False)
    assert not bye.over(0.1)
    assert bye.until == SILENCE
    ends[1].shutdown(socket.SHUT_WR)
    ends[0].setblocking(True)
    ends[0].recv(1, socket.MSG_PEEK)  # until it has arrived
    ends[0].setblocking(False)
    assert bye.over(0.2)


def test_it_is_over_at_once_where_the_client_has_said_so_and_nothing_lies_unread(ends):
    assert Farewell(ends[0], 0.0, at_once=True).over(0.0)


def test_unread_bytes_are_read_first(ends):
    ends[1].sendall(b"more")
    ends[0].setblocking(True)
    ends[0].recv(1, socket.MSG_PEEK)
    ends[0].setblocking(False)
    bye = Farewell(ends[0], 0.0, at_once=True)
    assert not bye.over(1.0)
    assert bye.until == 1.0 + SILENCE
    with pytest.raises(BlockingIOError):
        ends[0].recv(1)


def test_patience_has_an_end(ends, monkeypatch):
    monkeypatch.setattr(farewell, "_MOST", 100)
    bye = Farewell(ends[0], 0.0, at_once=False)
    assert not bye.over(29.0)
    assert bye.over(31.0)
    bye = Farewell(ends[0], 0.0, at_once=False)
    ends[1].sendall(bytes(101))
    ends[0].setblocking(True)
    ends[0].recv(1, socket.MSG_PEEK)
    ends[0].setblocking(False)
    assert bye.over(0.0)


def test_a_client_that_is_gone_needs_no_farewell(ends):
    ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    ends[1].close()
    bye = Farewell(ends[0], 5.0, at_once=False)
    assert bye.over(5.0)
