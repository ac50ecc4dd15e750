"""What we make of the descriptors we are handed; tests/process/test_activation_process.py hands over real ones at 3."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import spyglass_systemd.sd as port
from spyglass_systemd.protocols import activation
from spyglass_systemd.words.errors import ActivationError

PID = os.getpid()


class Handed:
    """An adapter that hands over what a test made, at whatever numbers."""

    def __init__(self, *pairs, error=0):
        self.pairs = pairs
        self.error = error

    def listen_fds_with_names(self):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return tuple((sock.fileno(), name) for sock, name in self.pairs)


@pytest.fixture
def take(monkeypatch):
    """Takes (socket, name) pairs as if they had been handed to us."""

    def take(*pairs, environ=None, error=0):
        monkeypatch.setattr(port, "_chosen", Handed(*pairs, error=error))
        if environ is None:
            environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": str(len(pairs) or 1)}
        return activation.take(environ, PID)

    return take


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


# ### What is taken


def test_a_listener_has_its_name_family_and_address(take, listener):
    (taken,) = take((listener, "http"))
    assert (taken.fd, taken.name, taken.family) == (listener.fileno(), "http", socket.AF_INET)
    assert taken.address == listener.getsockname()
    assert taken.label == "http"


def test_a_listener_that_nobody_named_is_called_by_its_address(take, listener):
    (taken,) = take((listener, "unknown"))
    assert taken.name == ""
    assert taken.label == f"127.0.0.1:{listener.getsockname()[1]}"


def test_listeners_keep_their_order_and_may_share_a_name(take, listener):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = take((other, "http"), (listener, "http"))
        assert [one.fd for one in taken] == [other.fileno(), listener.fileno()]
        assert [one.name for one in taken] == ["http", "http"]


def test_a_listener_becomes_nonblocking_and_close_on_exec_and_stays_a_listener(take, listener):
    os.set_inheritable(listener.fileno(), True)
    listener.setblocking(True)
    take((listener, "http"))
    assert os.get_inheritable(listener.fileno()) is False
    assert os.get_blocking(listener.fileno()) is False
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        connection.close()


def test_a_descriptor_of_the_store_is_left_alone(take, listener):
    with Path(os.devnull).open("rb") as stored:
        assert [one.name for one in take((stored, "stored"), (listener, "http"))] == ["http"]
        assert stored.read() == b""


@pytest.mark.parametrize("wrong", [False, True])
def test_the_variables_are_gone_afterwards_even_where_they_were_wrong(take, listener, wrong):
    environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": "wrong" if wrong else "1", "LISTEN_FDNAMES": "a", "HOME": "/"}
    environ["LISTEN_PIDFDID"] = "1"
    try:
        take((listener, "a"), environ=environ)
    except ActivationError:
        assert wrong
    assert environ == {"HOME": "/"}


def test_the_listeners_in_whose_backlog_somebody_waits_are_told_apart(take, listener):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = take((other, "admin"), (listener, "http"))
        assert activation.waited_for(taken) == ()
        with socket.create_connection(listener.getsockname()):
            assert [one.name for one in activation.waited_for(taken)] == ["http"]


# ### What is refused


def made(*kind):
    return lambda: socket.socket(*kind)


def accepted():
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def bound():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def fifo():
    reading, writing = os.pipe()
    os.close(writing)
    return os.fdopen(reading)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (made(socket.AF_INET, socket.SOCK_DGRAM), "is no stream socket", "in place of ListenDatagram="),
        (made(socket.AF_UNIX, socket.SOCK_SEQPACKET), "is no stream socket", "in place of ListenSequentialPacket="),
        (made(socket.AF_NETLINK, socket.SOCK_RAW), "is no stream socket", "in place of ListenNetlink="),
        (fifo, "is a FIFO", "in place of ListenFIFO="),
        (Path(os.devnull).open, "is no socket", "in place of ListenSpecial="),
        (accepted, "is one accepted connection", "Accept=no"),
        (bound, "is not listening", "Accept=no"),
    ],
)
def test_what_we_cannot_serve_on_is_refused_and_the_unit_file_is_told_what_to_change(
    take, listener, make, message, hint
):
    with make() as wrong:
        with pytest.raises(ActivationError) as caught:
            take((listener, "http"), (wrong, "od\nd"))
        assert caught.value.message == rf"fd {wrong.fileno()} (od\nd) {message}"
    assert hint in caught.value.hint
    assert caught.value.exit_code == 78


def test_what_is_refused_is_not_closed(take):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wrong:
        with pytest.raises(ActivationError):
            take((wrong, "odd"))
        assert wrong.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM


def test_a_listener_of_another_family_is_refused(take, listener, monkeypatch):
    monkeypatch.setattr(activation, "AF_INET", -1)  # as a vsock listener would be, which not every kernel has
    with pytest.raises(ActivationError, match="is of address family 2"):
        take((listener, "http"))


# ### What is no activation of ours


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": str(PID)}, {"LISTEN_PID": str(PID), "LISTEN_FDS": "0"}])
def test_without_a_listener_the_error_tells_the_three_ways_to_get_one(take, environ):
    with pytest.raises(ActivationError, match="nobody handed us a listener") as caught:
        take(environ=environ)
    for way in (".socket unit", "spyglass lookout APP", "systemd-socket-activate -l 8000 spyglass serve APP"):
        assert way in caught.value.hint


def test_with_stored_descriptors_only_there_is_no_listener(take):
    with Path(os.devnull).open("rb") as stored, pytest.raises(ActivationError, match="none of the 1 descriptors"):
        take((stored, "stored"))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LISTEN_FDS": "1"}, "LISTEN_FDS is set and LISTEN_PID is not"),
        ({"LISTEN_FDS": "one"}, "LISTEN_FDS=one is no number"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS=-1 is no number"),
        ({"LISTEN_FDS": "٣"}, "LISTEN_FDS=٣ is no number"),
        ({"LISTEN_FDS": "9" * 10}, "LISTEN_FDS=9999999999 is no number"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "0x10"}, "LISTEN_PID=0x10 is no number"),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "0"}, "LISTEN_PID=0 is no number"),
    ],
)
def test_variables_that_make_no_sense_are_named(take, variables, message):
    with pytest.raises(ActivationError) as caught:
        take(environ=variables)
    assert caught.value.message == f"the activation is malformed: {message}"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errno.EBADF, "LISTEN_FDS=2, but the descriptors 3 to 4 are not all open (Bad file descriptor)"),
        (errno.EINVAL, "LISTEN_FDNAMES=one does not name LISTEN_FDS=2 descriptors"),
    ],
)
def test_what_the_library_refuses_is_explained(take, error, message):
    environ = {"LISTEN_PID": str(PID), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "one"}
    with pytest.raises(ActivationError) as caught:
        take(environ=environ, error=error)
    assert caught.value.message == f"the activation is malformed: {message}"


def test_an_earlier_process_of_our_number_is_named(take):
    with pytest.raises(ActivationError, match=f"handed to an earlier process {PID}"):
        take(environ={"LISTEN_PID": str(PID), "LISTEN_FDS": "1"})


def foreign(take, owner):
    with pytest.raises(ActivationError) as caught:
        take(environ={"LISTEN_PID": str(owner), "LISTEN_FDS": "1"})
    return caught.value


def test_a_launcher_that_has_our_listeners_is_named_with_the_cure(take):
    comm = Path(f"/proc/{os.getppid()}/comm").read_text(encoding="utf-8").strip()
    error = foreign(take, os.getppid())
    assert f"handed to process {os.getppid()} ({comm}, our parent or further up), not to us" in error.message
    assert f"ExecStart={sys.executable} -m spyglass_systemd serve" in error.hint


def test_a_process_that_is_no_launcher_of_ours_is_named_too(take):
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert f"handed to process {child.pid} (" in (message := foreign(take, child.pid).message)
        assert ", no ancestor of ours)" in message


def test_a_launcher_that_is_gone_is_said_to_be(take):
    gone = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(gone, 0)
    assert f"process {gone}, which is gone" in foreign(take, gone).message


def test_a_process_whose_ancestry_cannot_be_read_has_none(monkeypatch):
    monkeypatch.setattr(activation, "_read", lambda _path: "")
    assert activation._ancestors(PID) == [0]
