"""Entries through the real libraries to a journal of our own, in a mount namespace where its socket is ours to make."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from spyglass_systemd.protocols.journal import MESSAGE_IDS

# `journald` is a socket that reads only when it is asked to; what it holds then is parsed as systemd's native protocol.
SCRIPT = """
import errno, json, os, socket, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
os.makedirs("/run/systemd/journal")
journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
journald.bind("/run/systemd/journal/socket")

def received():
    entries = []
    while True:
        try:
            data = journald.recv(1 << 20)
        except BlockingIOError:
            return entries
        entry = {}
        while data:
            name, newline, rest = data.partition(b"\\n")
            if b"=" in name:
                name, _, value = name.partition(b"=")
            else:
                size = int.from_bytes(rest[:8], "little")
                value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
            entry[name.decode()], data = value.decode(), rest
        entries.append(entry)

def fill():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as other:
        try:
            while True:
                other.sendto(b"OTHER=1\\n", "/run/systemd/journal/socket")
        except BlockingIOError:
            pass

from spyglass_systemd import sd
send = sd.adapter().journal_send
"""


@pytest.fixture
def in_own_namespace(sd):
    """Runs SCRIPT and what comes after it; what that prints, as JSON."""
    private = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-m"]
    if not shutil.which("unshare") or subprocess.run([*private, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs a mount namespace")

    def run(body):
        command = [*private, sys.executable, "-c", SCRIPT + body]
        done = subprocess.run(
            command, check=True, timeout=30, stdout=subprocess.PIPE, env={**os.environ, "SPYGLASS_SD": sd}
        )
        return json.loads(done.stdout)

    return run


def test_an_entry_arrives_whole_and_alone(in_own_namespace):
    (entry,) = in_own_namespace("""
send({"MESSAGE": "woke\\nup", "PRIORITY": "6", "SPYGLASS_PEER": "schön", "SPYGLASS_EMPTY": ""})
print(json.dumps(received()))
""")
    expected = {"MESSAGE": "woke\nup", "PRIORITY": "6", "SPYGLASS_PEER": "schön", "SPYGLASS_EMPTY": ""}
    assert entry | expected == entry


def test_the_log_makes_an_entry_of_an_event(in_own_namespace):
    (entry,) = in_own_namespace("""
from spyglass_systemd.protocols.journal import Log
with open("/run/stderr", "w") as file:
    found = os.fstat(file.fileno())
    environ = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    Log("blog", "master gen=1 pid=917", environ=environ, stderr=file.fileno()).event("WOKE", listener="http")
print(json.dumps(received()))
""")
    assert entry["MESSAGE"] == "blog master gen=1 pid=917 woke listener=http"
    assert entry["MESSAGE_ID"] == MESSAGE_IDS["WOKE"]
    assert entry["SYSLOG_IDENTIFIER"] == "spyglass"
    assert entry["SPYGLASS_LISTENER"] == "http"


def test_a_stopped_journald_cannot_stop_us(in_own_namespace):
    sent, arrived = in_own_namespace("""
sent = 0
try:
    while sent < 100_000:
        send({"MESSAGE": "x" * 1000})
        sent += 1
except OSError as error:
    assert error.errno == errno.EAGAIN, error
print(json.dumps([sent, len(received())]))
""")
    assert sent == arrived < 100_000


def test_a_queue_that_others_have_filled_cannot_stop_our_first_entry(in_own_namespace):
    number, arrived = in_own_namespace("""
fill()
try:
    number = send({"MESSAGE": "first"})
except OSError as error:
    number = error.errno
received()
send({"MESSAGE": "second"})
print(json.dumps([number == errno.EAGAIN, [entry["MESSAGE"] for entry in received()]]))
""")
    assert number is True
    assert arrived == ["second"]


def test_without_a_journal_an_entry_is_lost_without_a_word(in_own_namespace):
    assert (
        in_own_namespace("""
os.unlink("/run/systemd/journal/socket")
print(json.dumps(send({"MESSAGE": "woke"})))
""")
        is None
    )


def test_the_libraries_socket_is_the_only_one_and_close_on_exec(in_own_namespace):
    new = in_own_namespace("""
free = [fd for fd in range(64) if not os.path.exists(f"/proc/self/fd/{fd}")]
send({"MESSAGE": "woke"})
print(json.dumps([os.get_inheritable(fd) for fd in free if os.path.exists(f"/proc/self/fd/{fd}")]))
""")
    assert new == [False]
