"""Making listeners, and the errors that go with it."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from spyglass_systemd.protocols import binding
from spyglass_systemd.words.addresses import parse_address
from spyglass_systemd.words.errors import ActivationError

ABSTRACT = f"unix:@spyglass-test-{os.getpid()}"


@pytest.fixture
def bind():
    made = []

    def bind(text):
        listener = binding.bind(parse_address(text))
        made.append(listener)
        return listener

    yield bind
    for listener in made:
        listener.close()


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    return tmp_path


def option(listener, level, name):
    sock = socket.socket(fileno=listener.fd)
    try:
        return sock.getsockopt(level, name)
    finally:
        sock.detach()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "unix:./app.sock", ABSTRACT])
def test_every_kind_of_address_is_listened_on(bind, text):
    listener = bind(text)
    assert option(listener, socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    assert not os.get_blocking(listener.fd)
    assert not os.get_inheritable(listener.fd)
    with socket.socket(listener.family) as client:
        client.settimeout(10)
        client.connect(listener.address)


def test_a_listener_knows_its_name_and_the_port_it_got(bind):
    listener = bind("http=127.0.0.1:0")
    assert listener.name == listener.label == "http"
    assert listener.address[1] > 0
    assert bind(ABSTRACT).label == ABSTRACT


def test_tcp_connections_are_not_delayed(bind):
    for text in ("127.0.0.1:0", "[::1]:0"):
        assert option(bind(text), socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_ipv6_wildcard_leaves_the_port_to_ipv4(bind):
    port = bind("[::]:0").address[1]
    assert bind(f"0.0.0.0:{port}").address[1] == port


def test_a_host_name_is_looked_up(bind, monkeypatch):
    asked = []

    def getaddrinfo(host, port, *_):
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("spyglass_systemd.protocols.binding._socket.getaddrinfo", getaddrinfo)
    assert bind("somewhere.test:0").family == socket.AF_INET
    assert asked == [(b"somewhere.test", 0)]


def test_an_address_with_a_zone_is_bound(bind):
    assert bind("[::1%1]:0").family == socket.AF_INET6


def test_a_name_that_is_no_host_name_is_an_error(bind):
    with pytest.raises(ActivationError, match="no host name"):
        bind(f"{'ü' * 80}.test:0")


def test_an_address_in_use_says_how_to_find_who_listens(bind):
    port = bind("127.0.0.1:0").address[1]
    with pytest.raises(ActivationError, match=rf"127.0.0.1:{port}: it is in use") as caught:
        bind(f"127.0.0.1:{port}")
    assert f"ss -ltnp 'sport = :{port}'" in caught.value.hint
    assert caught.value.exit_code == 78


def test_an_abstract_address_in_use_is_an_error(bind):
    bind(ABSTRACT)
    with pytest.raises(ActivationError, match="it is in use") as caught:
        bind(ABSTRACT)
    assert "ss -lxp" in caught.value.hint


@pytest.mark.usefixtures("here")
def test_a_live_unix_socket_is_left_alone_and_not_woken(bind):
    first = bind("unix:app.sock")
    inode = Path("app.sock").stat().st_ino
    with pytest.raises(ActivationError, match="it is in use"):
        bind("unix:app.sock")
    assert Path("app.sock").stat().st_ino == inode
    sock = socket.socket(fileno=os.dup(first.fd))
    with sock, pytest.raises(BlockingIOError):
        sock.accept()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "unix:app.sock", ABSTRACT])
def test_whether_an_address_is_free_can_be_asked_and_leaves_nothing_behind(bind, text):
    binding.check(parse_address(text))
    listener = bind(text)
    host, port = listener.address[:2] if isinstance(listener.address, tuple) else ("", 0)
    taken = text.replace(":0", f":{port}") if host else text
    with pytest.raises(ActivationError, match="it is in use"):
        binding.check(parse_address(taken))


@pytest.mark.usefixtures("here")
def test_a_stale_unix_socket_is_no_hindrance_and_stays_where_one_only_asks():
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("app.sock")
    binding.check(parse_address("unix:app.sock"))
    assert Path("app.sock").exists()


@pytest.mark.usefixtures("here")
def test_a_unix_socket_that_is_bound_and_does_not_listen_yet_is_in_use(bind):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("app.sock")
        with pytest.raises(ActivationError, match="it is in use"):
            bind("unix:app.sock")


@pytest.mark.usefixtures("here")
def test_a_datagram_socket_is_in_use(bind):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind("app.sock")
        with pytest.raises(ActivationError, match="it is in use"):
            bind("unix:app.sock")


@pytest.mark.usefixtures("here")
def test_a_stale_unix_socket_is_replaced(bind):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("app.sock")
    bind("unix:app.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("app.sock")


def test_a_file_that_is_no_socket_is_never_removed(bind, here):
    (here / "app.sock").write_text("precious")
    with pytest.raises(ActivationError, match="a file is there that is no socket"):
        bind("unix:app.sock")
    assert (here / "app.sock").read_text() == "precious"


def test_a_symbolic_link_is_not_followed(bind, here):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("elsewhere.sock")
    (here / "app.sock").symlink_to("elsewhere.sock")
    with pytest.raises(ActivationError, match="no socket"):
        bind("unix:app.sock")
    assert (here / "elsewhere.sock").exists()


@pytest.mark.parametrize("path", ["missing/app.sock", "file/app.sock"])
def test_a_missing_directory_is_named(bind, here, path):
    (here / "file").touch()
    with pytest.raises(ActivationError, match="no such directory") as caught:
        bind(f"unix:{path}")
    assert "directory" in caught.value.hint


def test_an_address_of_another_machine_is_an_error(bind):
    with pytest.raises(ActivationError, match="no interface") as caught:
        bind("192.0.2.1:0")
    assert "ip -brief address" in caught.value.hint


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("text", "hint"), [("127.0.0.1:80", "CAP_NET_BIND_SERVICE"), ("unix:app.sock", "writable")])
def test_a_lack_of_permission_says_whose_it_is(monkeypatch, text, hint):
    class Forbidden(socket.SocketType):
        def bind(self, _address):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("spyglass_systemd.protocols.binding._socket.socket", Forbidden)
    with pytest.raises(ActivationError, match="permission denied") as caught:
        binding.bind(parse_address(text))
    assert hint in caught.value.hint


def test_a_failure_that_we_have_no_words_for_keeps_the_systems_own(monkeypatch):
    def none_left(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("spyglass_systemd.protocols.binding._socket.socket", none_left)
    with pytest.raises(ActivationError, match="Too many open files"):
        binding.bind(parse_address("127.0.0.1:0"))


def test_a_socket_that_cannot_be_probed_is_not_removed(bind, here, monkeypatch):
    class Forbidden(socket.SocketType):
        def connect(self, _address):
            raise PermissionError(errno.EACCES, "Permission denied")

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind("app.sock")
    monkeypatch.setattr("spyglass_systemd.protocols.binding._socket.socket", Forbidden)
    with pytest.raises(ActivationError, match="permission denied"):
        bind("unix:app.sock")
    assert (here / "app.sock").exists()


@pytest.mark.usefixtures("here")
def test_closing_removes_our_path():
    listener = binding.bind(parse_address("unix:app.sock"))
    listener.close()
    assert not os.path.lexists("app.sock")


@pytest.mark.usefixtures("here")
def test_closing_leaves_a_path_that_is_somebody_elses_by_now():
    listener = binding.bind(parse_address("unix:app.sock"))
    Path("app.sock").rename("moved.sock")  # a number that is free is soon used again: keep the inode
    with socket.socket(socket.AF_UNIX) as other:
        other.bind("app.sock")
        listener.close()
        assert os.path.lexists("app.sock")


@pytest.mark.usefixtures("here")
def test_closing_after_the_path_is_gone_is_no_error():
    listener = binding.bind(parse_address("unix:app.sock"))
    Path("app.sock").unlink()
    listener.close()


def test_all_are_bound_in_their_order():
    listeners = binding.bind_all(map(parse_address, ["a=127.0.0.1:0", "b=[::1]:0"]))
    assert [listener.name for listener in listeners] == ["a", "b"]
    for listener in listeners:
        listener.close()


def test_all_or_none_are_bound(here):
    (here / "file").touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ActivationError):
        binding.bind_all(map(parse_address, ["unix:app.sock", "unix:file"]))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not (here / "app.sock").exists()
