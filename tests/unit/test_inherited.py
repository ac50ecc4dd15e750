"""What is better not shared after a fork, found and named."""

from __future__ import annotations

import os
import socket

import pytest

from spyglass_systemd.protocols import inherited


@pytest.fixture
def known():
    """What was open before."""
    return inherited.descriptors()


def test_a_connection_is_named_by_its_other_end(known):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port = client.getpeername()[1]
        assert inherited.shared(known) == (f"a connection to 127.0.0.1:{port}",)


def test_a_connection_to_a_unix_socket_is_named_by_its_path(known, tmp_path):
    path = str(tmp_path / "s\x1b")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)
        assert inherited.shared(known) == (f"a connection to {path!r}",)


def test_an_abstract_address_is_named_too(known):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\0spyglass-test")
        server.listen()
        client.connect("\0spyglass-test")
        assert inherited.shared(known) == (r"a connection to '\x00spyglass-test'",)


def test_a_file_that_is_read_or_written_at_a_position_is_named(known, tmp_path):
    (tmp_path / "data").write_text("1\n2\n")
    with (tmp_path / "data").open() as data, (tmp_path / "out").open("w") as out:
        assert data.fileno() < out.fileno()
        assert inherited.shared(known) == tuple(f"a position in {tmp_path}/{name}" for name in ("data", "out"))


def test_what_all_may_have_is_not_named(known, tmp_path):
    """A log that is appended to, a listener, a pair of sockets, a datagram socket, a pipe, a directory, a device."""
    reader, writer = os.pipe()
    directory, path = os.open(tmp_path, os.O_RDONLY), os.open(__file__, os.O_PATH)
    null = os.open("/dev/null", os.O_RDWR)
    ours, theirs = socket.socketpair()
    log = (tmp_path / "log").open("a")
    with socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.connect(("127.0.0.1", 9))
        assert inherited.shared(known) == ()
    for closing in (ours, theirs, log):
        closing.close()
    for fd in (reader, writer, directory, path, null):
        os.close(fd)


def test_what_was_open_before_is_not_named(tmp_path):
    (tmp_path / "data").touch()
    with (tmp_path / "data").open():
        assert inherited.shared(inherited.descriptors()) == ()


def test_what_is_closed_while_we_look_is_no_error(known):
    assert known
    assert inherited._described(max(known) + 500) == ""
