"""The port to libsystemd and its two adapters."""

from __future__ import annotations

import errno
import importlib
import math
import os
import socket
import struct
import sys
import types

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import spyglass_systemd.sd as port
from spyglass_systemd.sd import cysystemd, journal_socket, reading, systemd_python
from spyglass_systemd.words.errors import ConfigError


@pytest.fixture
def unchosen(monkeypatch):
    monkeypatch.delenv(port.FORCE, raising=False)
    monkeypatch.setattr(port, "_chosen", None)


def hide(monkeypatch, *modules):
    """These modules do not import, and the adapters have not been imported yet."""
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("systemd_python", "cysystemd"):
        monkeypatch.delitem(sys.modules, f"spyglass_systemd.sd.{name}", raising=False)
        monkeypatch.delattr(port, name, raising=False)


# ### The names of the libraries that we rely on; a release that renames one fails here


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("systemd._daemon", ["_listen_fds_with_names", "notify"]),
        ("systemd._journal", ["sendv"]),
        ("cysystemd._daemon", ["sd_notify"]),
        ("cysystemd._journal", ["_send"]),
        ("systemd._reader", ["_Reader"]),
        ("cysystemd.reader", ["JournalOpenMode", "JournalReader", "Rule"]),
    ],
)
def test_the_extension_modules_have_the_names_we_rely_on(module, names):
    found = pytest.importorskip(module, exc_type=ImportError)
    assert [name for name in names if callable(getattr(found, name, None))] == names


# ### The choice


@pytest.mark.usefixtures("unchosen")
def test_systemd_python_is_preferred():
    assert port.adapter().NAME == "systemd-python"
    assert port.adapter() is systemd_python


@pytest.mark.usefixtures("unchosen")
def test_cysystemd_is_taken_where_systemd_python_does_not_import(monkeypatch):
    hide(monkeypatch, "systemd._daemon")
    assert port.adapter().NAME == "cysystemd"


@pytest.mark.usefixtures("unchosen")
def test_another_package_called_systemd_is_not_mistaken_for_it(monkeypatch):
    hide(monkeypatch)
    monkeypatch.setitem(sys.modules, "systemd._daemon", types.ModuleType("systemd._daemon"))
    assert port.adapter().NAME == "cysystemd"


def test_the_forced_library_is_taken_and_chosen_once(sd, monkeypatch):
    assert sd == port.adapter().NAME
    monkeypatch.setenv(port.FORCE, "something else")
    assert sd == port.adapter().NAME


@pytest.mark.usefixtures("unchosen")
def test_an_unknown_library_is_an_error_that_names_the_known_ones(monkeypatch):
    monkeypatch.setenv(port.FORCE, "pystemd")
    with pytest.raises(ConfigError, match="SPYGLASS_SD='pystemd' is no library") as caught:
        port.adapter()
    assert "systemd-python and cysystemd" in caught.value.hint
    assert caught.value.exit_code == 78


@pytest.mark.usefixtures("unchosen")
@pytest.mark.parametrize(
    ("forced", "message", "hint"),
    [
        ("", "systemd-python: .*; cysystemd: ", "pip install cysystemd` into this environment, or on Debian"),
        ("cysystemd", r"imported \(cysystemd: ", "`pip install cysystemd` into this environment, or unset SPYGLASS_SD"),
        ("systemd-python", r"imported \(systemd-python: (?!.*cysystemd)", "apt install python3-systemd"),
    ],
)
def test_a_library_that_does_not_import_is_an_error_that_says_what_to_install(monkeypatch, forced, message, hint):
    hide(monkeypatch, "systemd._daemon", "cysystemd")
    monkeypatch.setenv(port.FORCE, forced)
    with pytest.raises(ConfigError, match=message) as caught:
        port.adapter()
    assert hint in caught.value.hint


@pytest.mark.parametrize(("name", "module"), [("systemd-python", "systemd_python"), ("cysystemd", "cysystemd")])
def test_each_adapter_says_which_it_is(name, module):
    assert name == importlib.import_module(f"spyglass_systemd.sd.{module}").NAME


# ### sd_listen_fds(3): the library's and our own few lines agree


@pytest.fixture
def descriptors():
    """Descriptors 3 and 4 are open, inheritable; what was there before comes back."""
    kept = {}
    source = os.open("/dev/null", os.O_RDONLY)
    for fd in (3, 4):
        try:
            kept[fd] = os.dup(fd)
        except OSError:
            kept[fd] = -1
        if fd != source:
            os.dup2(source, fd)
        os.set_inheritable(fd, True)
    yield (3, 4)
    for fd, copy in kept.items():
        os.close(fd)
        if copy >= 0:
            os.dup2(copy, fd, inheritable=False)
            os.close(copy)
    if source not in kept:
        os.close(source)


def activate(monkeypatch, **variables):
    for name in ("PID", "FDS", "FDNAMES"):
        value = variables.get(name)
        if value is None:
            monkeypatch.delenv(f"LISTEN_{name}", raising=False)
        else:
            monkeypatch.setenv(f"LISTEN_{name}", str(value))


@pytest.mark.usefixtures("sd")
def test_descriptors_come_with_their_names_and_become_close_on_exec(monkeypatch, descriptors):
    activate(monkeypatch, PID=os.getpid(), FDS=2, FDNAMES="http:admin")
    assert port.adapter().listen_fds_with_names() == ((3, "http"), (4, "admin"))
    assert [os.get_inheritable(fd) for fd in descriptors] == [False, False]
    assert os.environ["LISTEN_FDS"] == "2"


@pytest.mark.usefixtures("sd", "descriptors")
def test_descriptors_without_names_are_unknown(monkeypatch):
    activate(monkeypatch, PID=os.getpid(), FDS=2)
    assert port.adapter().listen_fds_with_names() == ((3, "unknown"), (4, "unknown"))


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize("variables", [{}, {"FDS": 2}, {"PID": 1, "FDS": 2}, {"PID": os.getpid()}])
def test_nothing_is_taken_that_is_not_for_us(monkeypatch, variables):
    activate(monkeypatch, **variables)
    assert port.adapter().listen_fds_with_names() == ()


@pytest.mark.usefixtures("sd", "descriptors")
@pytest.mark.parametrize(
    ("fds", "names", "number"),
    [("x", None, errno.EINVAL), ("0", None, errno.EINVAL), ("2", "one", errno.EINVAL), ("9999", None, errno.EBADF)],
)
def test_a_malformed_activation_is_an_oserror(monkeypatch, fds, names, number):
    activate(monkeypatch, PID=os.getpid(), FDS=fds, FDNAMES=names)
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        port.adapter().listen_fds_with_names()
    assert caught.value.errno == number


names = st.lists(st.text(st.sampled_from("ab :\\'\"=-"), max_size=4), min_size=1, max_size=3).map(":".join)


@given(names)
@example("")
@example(":")
@example("a\\:b:c")
@example("a\\")
def test_our_few_lines_split_names_as_libsystemd_does(text):
    pytest.importorskip("systemd._daemon")
    split = cysystemd._split(text)
    with pytest.MonkeyPatch.context() as monkeypatch:
        # Descriptor 3 is open in any test run or not: only what says EINVAL says something about names.
        activate(monkeypatch, PID=os.getpid(), FDS=len(split), FDNAMES=text)
        try:
            theirs = [name for _, name in systemd_python.listen_fds_with_names()]
        except OSError as error:
            if error.errno != errno.EINVAL:
                return
            theirs = None
    assert theirs == (None if ends_in_a_lone_backslash(text) else split)


def ends_in_a_lone_backslash(text):
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


# ### sd_notify(3)


@pytest.fixture
def manager(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


@pytest.mark.usefixtures("sd")
def test_one_call_is_one_datagram_whatever_it_holds(manager):
    assert port.adapter().notify("READY=1\nSTATUS=2 workers, schön") is True
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=2 workers, schön"


@pytest.mark.usefixtures("manager")
def test_a_library_that_is_installed_and_does_not_load_is_an_oserror(monkeypatch):
    monkeypatch.setattr(cysystemd, "_notify", None)
    monkeypatch.setitem(sys.modules, "cysystemd._daemon", None)
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        cysystemd.notify("READY=1")
    assert caught.value.errno == errno.ELIBACC


@pytest.mark.usefixtures("sd")
def test_without_a_manager_notify_says_so(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert port.adapter().notify("READY=1") is False


@pytest.mark.usefixtures("sd")
@pytest.mark.parametrize(("state", "number"), [("absent", errno.ENOENT), ("dead", errno.ECONNREFUSED)])
def test_a_manager_that_is_gone_is_an_oserror_with_its_number(manager, monkeypatch, state, number):
    if state == "dead":
        manager.close()
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", os.environ["NOTIFY_SOCKET"] + ".absent")
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        port.adapter().notify("READY=1")
    assert caught.value.errno == number


# ### The journal; what goes through the real libraries is in tests/process/test_journal_process.py


class Library:
    """Stands for an extension module: keeps what it is given, and opens a socket at the first entry."""

    def __init__(self, result=0):
        self.entries = []
        self.result = result

    def sendv(self, *fields):
        self.entries.append(dict(field.split("=", 1) for field in fields))
        if self.result:
            raise OSError(-self.result, "refused")

    def _send(self, fields):
        self.entries.append(dict(fields))
        return self.result


@pytest.fixture
def library(sd, monkeypatch):
    library = Library()
    module = "systemd._journal" if sd == "systemd-python" else "cysystemd._journal"
    monkeypatch.setitem(sys.modules, module, library)
    monkeypatch.setattr(port.adapter(), "_send", None)
    return library


def test_an_entry_reaches_the_library_field_by_field(library):
    port.adapter().journal_send({"MESSAGE": "woke\nup", "PRIORITY": "6"})
    port.adapter().journal_send({"MESSAGE": "slept"})
    assert library.entries[1:] == [{"MESSAGE": "woke\nup", "PRIORITY": "6"}, {"MESSAGE": "slept"}]


def test_the_first_entry_has_more_parts_than_the_kernel_takes_at_once(library):
    port.adapter().journal_send({"MESSAGE": "woke"})
    assert 2 * len(library.entries[0]) > os.sysconf("SC_IOV_MAX")


def test_an_entry_that_is_refused_is_an_oserror(library):
    library.result = -errno.EAGAIN
    with pytest.raises(OSError) as caught:  # noqa: PT011  # the number says which
        port.adapter().journal_send({"MESSAGE": "woke"})
    assert caught.value.errno == errno.EAGAIN
    assert len(library.entries) == 2


def opens(family, kind, kept):
    """A send function like libsystemd's: the socket is made, the entry is refused."""

    def send(_fields):
        kept.append(socket.socket(family, kind))
        raise OSError(errno.EINVAL, "too many parts")

    return send


def test_the_socket_that_the_library_opened_is_found_and_limited():
    kept = []
    fd = journal_socket.open_impatient(opens(socket.AF_UNIX, socket.SOCK_DGRAM, kept))
    with kept[0]:
        assert fd == kept[0].fileno()
        seconds, microseconds = struct.unpack("@ll", kept[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))
        assert seconds == 0
        assert 50_000 <= microseconds < 100_000  # the kernel rounds up to its ticks


def send_for_ever(sock, address):
    while True:
        sock.sendto(b"x", address)


def test_a_datagram_socket_that_is_limited_waits_no_longer(tmp_path):
    kept = []
    journal_socket.open_impatient(opens(socket.AF_UNIX, socket.SOCK_DGRAM, kept))
    with kept[0], socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "journal"))
        with pytest.raises(BlockingIOError):
            send_for_ever(kept[0], str(tmp_path / "journal"))


@pytest.mark.parametrize("kind", [(socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)])
def test_another_socket_is_not_touched(kind):
    kept = []
    assert journal_socket.open_impatient(opens(*kind, kept)) == -1
    with kept[0]:
        assert kept[0].getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16) == bytes(16)


def test_a_library_that_opens_nothing_is_let_be():
    def send(_fields):
        raise OSError(errno.EINVAL, "too many parts")

    assert journal_socket.open_impatient(send) == -1


# ### Reading the journal; what a real journald has written is read in tests/process/test_journal_reading.py


def test_the_journal_of_this_machine_is_read_where_no_other_is_named(sd):
    journal = port.adapter().journal_open((("NOBODY=says this",),))
    assert (sd, journal.newer()) == (port.adapter().NAME, None)


@pytest.mark.parametrize(("name", "number"), [("EACCES", errno.EACCES), ("ENOENT", errno.ENOENT)])
def test_an_error_of_cysystemd_is_an_oserror_with_its_number(name, number):
    from spyglass_systemd.sd import cysystemd_journal

    with pytest.raises(OSError, match="it said") as caught, cysystemd_journal._its_errors():
        raise SystemError("it said", name)
    assert caught.value.errno == number


class Journal:
    """Stands for what an adapter opens: entries of these times, between which one walks."""

    def __init__(self, *times):
        self.times = list(times)
        self.at = 0
        self.waited = 0

    def to_time(self, realtime_us):
        self.at = sum(time < realtime_us for time in self.times) - 0.5

    def older(self):
        self.at = math.ceil(self.at) - 1
        return self._entry()

    def newer(self):
        self.at = math.floor(self.at) + 1
        return self._entry()

    def _entry(self):
        if 0 <= self.at < len(self.times):
            return self.times[int(self.at)], {}
        self.at = min(max(self.at, -0.5), len(self.times) - 0.5)
        return None

    def wait(self, _seconds):
        self.waited += 1
        if self.waited > 2:
            self.times.append(100 + self.waited)


@pytest.fixture
def journal(monkeypatch):
    def journal(*times):
        made = Journal(*times)
        stub = types.SimpleNamespace(journal_open=lambda *_: made)
        monkeypatch.setattr(reading, "adapter", lambda: stub)
        return made

    return journal


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({}, [1, 2, 3]),
        ({"since_us": 2}, [2, 3]),
        ({"since_us": 4}, []),
        ({"last": 0}, []),
        ({"last": 1}, [3]),
        ({"last": 3}, [1, 2, 3]),
        ({"last": 9}, [1, 2, 3]),
        ({"last": 9, "since_us": 3}, [3]),
        ({"last": 9, "since_us": 4}, []),
    ],
)
def test_a_walk_begins_where_it_should(journal, how, found):
    journal(1, 2, 3)
    assert [when for when, _ in reading.read((), **how)] == found


@pytest.mark.parametrize("times", [(), (1, 2)])
def test_who_follows_waits_for_what_comes(journal, times):
    made = journal(*times)
    entries = reading.read((), last=0, follow=True)
    assert made.waited == 1  # from the call on
    assert next(entries)[0] == 103
    assert next(entries)[0] == 104


def test_what_is_not_wanted_is_passed_over(journal):
    made = journal(1, 2, 3)
    made._entry = lambda real=made._entry: (entry := real()) and (entry[0], {"n": entry[0]})
    assert [when for when, _ in reading.read((), keep=lambda fields: fields["n"] != 2)] == [1, 3]
