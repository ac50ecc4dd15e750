"""Real descriptors at 3 and up, handed over by an exec as the service manager does it, taken with each library."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

# Moves the descriptors to 3 and up and becomes the program, which keeps its pid: systemd.exec(5) in nine lines.
LAUNCHER = """
import json, os, sys
fds, variables, wrapped, command = json.loads(sys.argv[1])
copies = []
for fd in fds:
    copies.append(os.open("/dev/null", os.O_RDONLY))
    while copies[-1] < 64:
        copies[-1] = os.dup(copies[-1])
    os.dup2(fd, copies[-1])
for number, copy in enumerate(copies, 3):
    os.dup2(copy, number)
os.environ.update({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds))} if fds else {})
os.environ.update(variables)
if wrapped:
    sys.exit(os.spawnv(os.P_WAIT, command[0], command))
os.execv(command[0], command)
"""

TAKER = """
import json, os
from spyglass_systemd import sd
from spyglass_systemd.protocols import activation
from spyglass_systemd.words.errors import SpyglassError
told = {"library": sd.adapter().NAME, "pid": os.getpid(), "ppid": os.getppid()}
try:
    taken = activation.take(os.environ, os.getpid())
    told["listeners"] = [
        [one.fd, one.name, one.family, one.where, os.get_inheritable(one.fd), os.get_blocking(one.fd)] for one in taken
    ]
except SpyglassError as error:
    told |= {"message": error.message, "hint": error.hint, "status": error.exit_code}
told["left"] = [name for name in os.environ if name.startswith("LISTEN_")]
print(json.dumps(told))
"""


@pytest.fixture
def activate(sd):
    """Hands over sockets or files and returns what the program that took them says."""

    def activate(*handed, names=None, wrapped=False, **variables):
        if names is not None:
            variables["LISTEN_FDNAMES"] = names
        fds = [one.fileno() for one in handed]
        command = [sys.executable, "-c", TAKER]
        arguments = json.dumps([fds, variables, wrapped, command])
        launcher = [sys.executable, "-c", LAUNCHER, arguments]
        done = subprocess.run(launcher, check=True, timeout=30, stdout=subprocess.PIPE, pass_fds=fds)
        told = json.loads(done.stdout)
        assert told["library"] == sd
        assert told["left"] == []
        return told

    return activate


@pytest.fixture
def sockets(tmp_path):
    """Makes a listener of the kind that is asked for."""
    with contextlib.ExitStack() as stack:

        def make(kind):
            family, address = {
                "v4": (socket.AF_INET, ("127.0.0.1", 0)),
                "v6": (socket.AF_INET6, ("::1", 0)),
                "path": (socket.AF_UNIX, str(tmp_path / "app.sock")),
                "abstract": (socket.AF_UNIX, f"\0spyglass-test-{os.getpid()}-{time.monotonic_ns()}"),
            }[kind]
            sock = stack.enter_context(socket.socket(family))
            try:
                sock.bind(address)
            except OSError as error:
                pytest.skip(f"no {kind} on this machine: {error}")
            sock.listen(7)
            return sock

        yield make


def where(sock):
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{address if isinstance(address, str) else '@' + address[1:].decode()}"
    return f"[::1]:{address[1]}" if sock.family == socket.AF_INET6 else f"127.0.0.1:{address[1]}"


@pytest.mark.parametrize("kind", ["v4", "v6", "path", "abstract"])
def test_a_listener_is_taken_and_outlives_whoever_took_it(activate, sockets, kind):
    sock = sockets(kind)
    told = activate(sock, names="http")
    assert told["listeners"] == [[3, "http", sock.family, where(sock), False, False]]
    with socket.socket(sock.family) as client:
        client.settimeout(5)
        client.connect(sock.getsockname())
        sock.setblocking(True)
        connection, _ = sock.accept()
        connection.close()


def test_several_listeners_keep_order_and_names(activate, sockets):
    one, two, three = sockets("v4"), sockets("path"), sockets("abstract")
    told = activate(one, two, three, names="http:admin:http")
    assert [listener[:4] for listener in told["listeners"]] == [
        [3, "http", socket.AF_INET, where(one)],
        [4, "admin", socket.AF_UNIX, where(two)],
        [5, "http", socket.AF_UNIX, where(three)],
    ]


def test_names_are_not_needed(activate, sockets):
    sock = sockets("v4")
    assert activate(sock)["listeners"] == [[3, "", sock.family, where(sock), False, False]]


def test_what_waited_in_the_backlog_before_is_there_afterwards(activate, sockets):
    sock = sockets("v4")
    with socket.create_connection(sock.getsockname()) as client:
        activate(sock)
        connection, peer = sock.accept()
        assert peer == client.getsockname()
        connection.close()


def test_a_stored_descriptor_is_no_listener(activate, sockets):
    sock = sockets("v4")
    with os.fdopen(os.memfd_create("stored"), "wb") as stored:
        told = activate(stored, sock, names="stored:http")
        assert [listener[:2] for listener in told["listeners"]] == [[4, "http"]]


def connection():
    ours, theirs = socket.socketpair()
    theirs.close()
    return ours


def fifo():
    reading, writing = os.pipe()
    os.close(writing)
    return os.fdopen(reading, "rb")


@pytest.mark.parametrize(
    ("make", "what", "hint"),
    [
        (lambda: socket.socket(type=socket.SOCK_DGRAM), "is no stream socket", "ListenDatagram="),
        (fifo, "is a FIFO", "ListenFIFO="),
        (connection, "is one accepted connection", "Accept=no"),
        (socket.socket, "is not listening", "ListenStream="),
    ],
)
def test_what_is_no_listener_is_refused(activate, sockets, make, what, hint):
    with make() as wrong:
        told = activate(sockets("v4"), wrong, names="http:connection")
    assert told["message"] == f"fd 4 (connection) {what}"
    assert hint in told["hint"]
    assert told["status"] == 78


def test_no_descriptor_at_all_is_explained(activate):
    told = activate()
    assert told["message"] == "nobody handed us a listener"
    assert "systemd-socket-activate -l 8000" in told["hint"]


def test_a_wrapper_that_kept_the_listeners_is_named(activate, sockets):
    told = activate(sockets("v4"), wrapped=True)
    assert told["message"].startswith(f"the listeners were handed to process {told['ppid']} (")
    assert told["message"].endswith(f", our parent or further up), not to us, process {told['pid']}")
    assert f"ExecStart={sys.executable} -m spyglass_systemd serve" in told["hint"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LISTEN_FDS": "5"}, "LISTEN_FDS=5, but the descriptors 3 to 7 are not all open (Bad file descriptor)"),
        ({"LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES=a:b does not name LISTEN_FDS=1 descriptors"),
        ({"LISTEN_FDS": "many"}, "LISTEN_FDS=many is no number"),
    ],
)
def test_a_malformed_activation_is_explained(activate, sockets, variables, message):
    assert activate(sockets("v4"), **variables)["message"] == f"the activation is malformed: {message}"


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="needs systemd-socket-activate")
def test_systemd_socket_activate_hands_over_a_listener(sd, tmp_path):
    path = tmp_path / "app.sock"
    command = ["systemd-socket-activate", "-l", str(path), "-E", "SPYGLASS_SD", sys.executable, "-c", TAKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as activator:
        assert activator.stderr.readline().startswith(b"Listening on")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            told = json.loads(activator.communicate(timeout=30)[0])
    assert told["library"] == sd
    assert told["listeners"] == [[3, "", socket.AF_UNIX, f"unix:{path}", False, False]]
