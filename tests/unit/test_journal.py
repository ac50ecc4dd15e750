"""The event log as lines on stderr and as entries of the journal."""

from __future__ import annotations

import errno
import os
import re

import pytest

import spyglass_systemd.sd as port
from spyglass_systemd.protocols import journal
from spyglass_systemd.protocols.journal import ERROR, MESSAGE_IDS, Log
from spyglass_systemd.words.errors import ConfigError

MASTER = "master gen=1 pid=917"


class Pipe:
    """A stderr of which we hold the reading end."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def lines(self):
        try:
            return os.read(self.reading, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []

    def close(self):
        os.close(self.reading)
        os.close(self.writing)

    @property
    def as_stream(self):
        found = os.fstat(self.writing)
        return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def log(pipe):
    return Log("blog", MASTER, environ={}, stderr=pipe.writing)


class Journal:
    """Stands for the adapter: keeps the entries, or refuses them with `error`."""

    def __init__(self):
        self.entries = []
        self.error = 0

    def journal_send(self, fields):
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        self.entries.append(fields)


@pytest.fixture
def entries(monkeypatch):
    journal = Journal()
    monkeypatch.setattr(port, "_chosen", journal)
    return journal


# ### Lines


def test_an_event_is_one_line_that_names_app_actor_event_and_fields(log, pipe):
    log.event("WOKE", listener="http")
    assert pipe.lines() == ["blog master gen=1 pid=917 woke listener=http"]


def test_the_case_of_an_event_does_not_matter(log, pipe):
    log.event("woke")
    assert pipe.lines() == ["blog master gen=1 pid=917 woke"]


def test_a_message_ends_the_line(log, pipe):
    log.event("FAILED", ERROR, "ImportError: no module named blog", retry="2s")
    assert pipe.lines() == ["blog master gen=1 pid=917 failed retry=2s: ImportError: no module named blog"]


def test_a_traceback_follows_line_by_line_indented(log, pipe):
    log.event("FAILED", ERROR, "NameError: x\nTraceback:\n  File app.py\n\x1b[31mNameError: x\n")
    assert pipe.lines() == [
        "blog master gen=1 pid=917 failed: NameError: x",
        "    Traceback:",
        "      File app.py",
        r"    \x1b[31mNameError: x",
    ]


def test_a_message_that_begins_with_a_newline_follows_whole(log, pipe):
    log.event("said", message="\nsecond")
    assert pipe.lines() == ["blog master gen=1 pid=917 said", "    second"]


def test_somebody_else_may_be_the_actor_and_the_actor_may_change(log, pipe):
    log.event("WORKER_DIED", actor="worker=3 gen=2 pid=920", how="KILL")
    log.actor = "master gen=2 pid=917"
    log.event("RELOADED")
    assert pipe.lines() == ["blog worker=3 gen=2 pid=920 worker_died how=KILL", "blog master gen=2 pid=917 reloaded"]


def test_what_an_app_wrote_cannot_make_a_line_of_its_own(log, pipe):
    log.event("said", message="a\rblog master slept", text="x\nblog master slept", app="a b")
    assert pipe.lines() == [
        r'blog master gen=1 pid=917 said text="x\nblog master slept" app="a b": a\rblog master slept'
    ]


def test_values_lines_and_messages_have_bounds(log, pipe):
    log.event("said", message="m" * 10_000 + "\n" + "\n".join(map(str, range(10_000))), text="t" * 10_000)
    lines = pipe.lines()
    assert max(map(len, lines)) < 4096
    assert sum(map(len, lines)) < 30_000
    assert "    [...]" in lines
    assert lines[-1] == "    9999"
    assert re.search(r" text=t{997}\.\.\.: m+\.\.\.$", lines[0])


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", [7, 6, 5, 4, 3]), ("info", [6, 5, 4, 3]), ("warning", [4, 3]), ("error", [3])],
)
def test_the_level_decides_what_is_heard(pipe, level, heard):
    log = Log("blog", MASTER, environ={}, stderr=pipe.writing, level=level)
    for number in (7, 6, 5, 4, 3):
        log.event(f"level{number}", number)
    assert [line[-1] for line in pipe.lines()] == [str(number) for number in heard]


# ### With the journal behind stderr


def test_where_stderr_goes_to_the_journal_a_line_carries_its_priority(pipe, entries):
    log = Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing)
    log.event("template_died", 4, "boom\nand more")
    assert pipe.lines() == ["<4>blog master gen=1 pid=917 template_died: boom", "<4>    and more"]
    assert entries.entries == []


def test_a_redirected_stderr_is_not_the_journal_that_the_environment_names(pipe):
    with open(os.devnull, "wb") as elsewhere:  # noqa: PTH123  # a plain descriptor
        log = Log("blog", MASTER, environ=pipe.as_stream, stderr=elsewhere.fileno())
        log.event("WOKE")
        assert not journal.is_journal(elsewhere.fileno(), pipe.as_stream)
    assert pipe.lines() == []


def test_a_main_event_is_one_entry_with_its_fields(pipe, entries):
    log = Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing)
    log.event("woke", listener="http", import_ms=12, peer="a\nb")
    assert pipe.lines() == []
    assert entries.entries == [
        {
            "MESSAGE": r'blog master gen=1 pid=917 woke listener=http import_ms=12 peer="a\nb"',
            "MESSAGE_ID": MESSAGE_IDS["WOKE"],
            "PRIORITY": "6",
            "SYSLOG_IDENTIFIER": "spyglass",
            "SPYGLASS_APP": "blog",
            "SPYGLASS_EVENT": "WOKE",
            "SPYGLASS_LISTENER": "http",
            "SPYGLASS_IMPORT_MS": "12",
            "SPYGLASS_PEER": r"a\nb",
        }
    ]


def test_a_traceback_is_part_of_its_entry(pipe, entries):
    Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing).event("FAILED", ERROR, "NameError: x\n  app.py")
    (entry,) = entries.entries
    assert entry["MESSAGE"] == "blog master gen=1 pid=917 failed: NameError: x\n      app.py"
    assert entry["PRIORITY"] == "3"


def test_a_field_cannot_replace_one_of_ours(pipe, entries):
    log = Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing)
    log.event("WOKE", app="x", event="y", text="z" * 5000)
    (entry,) = entries.entries
    assert (entry["SPYGLASS_APP"], entry["SPYGLASS_EVENT"]) == ("blog", "WOKE")
    assert len(entry["SPYGLASS_TEXT"]) == 1000


def test_an_entry_that_the_journal_does_not_take_is_counted_and_not_raised(pipe, entries):
    log = Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing)
    entries.error = errno.EAGAIN
    log.event("WOKE")
    entries.error = 0
    log.event("READY")
    assert log.dropped == 1
    assert [entry["SPYGLASS_EVENT"] for entry in entries.entries] == ["READY"]
    assert pipe.lines() == []


def test_without_a_library_the_journal_still_gets_lines(pipe, monkeypatch):
    def none():
        raise ConfigError("no library")

    monkeypatch.setattr(port, "adapter", none)
    log = Log("blog", MASTER, environ=pipe.as_stream, stderr=pipe.writing)
    log.event("WOKE")
    log.event("READY")
    assert pipe.lines() == [f"<6>blog {MASTER} woke", f"<6>blog {MASTER} ready"]
    assert log.dropped == 0


def test_each_main_event_has_a_message_id_of_its_own():
    life = "listening woke ready slept dozed resumed worker_died worker_retired drained"
    trouble = "failed gave_up recovered reloaded reload_failed mismatched stuck"
    assert sorted(MESSAGE_IDS) == sorted(f"{life} {trouble}".upper().split())
    assert len(set(MESSAGE_IDS.values())) == 16
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in MESSAGE_IDS.values())


# ### What goes wrong with stderr


def test_a_stderr_that_nobody_reads_is_counted_and_cannot_stop_us(log, pipe, monkeypatch):
    monkeypatch.setattr(journal, "_PATIENCE_MS", 1)
    while not log.dropped:
        log.event("said", message="x" * 3000)
    assert os.get_blocking(pipe.writing) is True
    log.event("said", message="one\ntwo\nthree")
    assert log.dropped == 2
    pipe.lines()
    log.event("WOKE")
    assert pipe.lines() == [f"blog {MASTER} woke"]


def test_a_stderr_whose_reader_is_gone_is_counted(log, pipe):
    os.close(pipe.reading)
    log.event("WOKE")
    assert log.dropped == 1
    pipe.reading = os.open(os.devnull, os.O_RDONLY)


def test_a_closed_stderr_is_counted():
    fd = os.dup(2)
    os.close(fd)
    log = Log("blog", MASTER, environ={"JOURNAL_STREAM": "1:2"}, stderr=fd)
    log.event("WOKE")
    assert log.dropped == 1
