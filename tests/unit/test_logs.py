"""Entries of the journal about a site: whose they are, and as they are shown."""

from __future__ import annotations

import io
import os
import re

import pytest
from rich.console import Console

from spyglass_systemd.cli import logs as verb
from spyglass_systemd.cli.main import main
from spyglass_systemd.protocols.journal import MESSAGE_IDS
from spyglass_systemd.tools import logs
from spyglass_systemd.tools.places import of_system, of_user

SYSTEM = of_system().site("blog")
USER = of_user({"HOME": "/home/ada"}, 1000, 255).site("blog")
FROM_APP = {"_SYSTEMD_UNIT": "spyglass@blog.service", "SYSLOG_IDENTIFIER": "spyglass", "_PID": "917"}


def matches(fields, groups):
    """As sd_journal_add_match(3) has it."""
    said = {f"{name}={value}" for name, value in fields.items()}
    return all(said & set(group) for group in groups)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (FROM_APP, True),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "spyglass@blog.service"}, True),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "spyglass@blog.socket"}, True),
        ({"_SYSTEMD_UNIT": "init.scope", "_PID": "1", "UNIT": "spyglass@shop.service"}, False),
        ({"_SYSTEMD_UNIT": "spyglass@shop.service", "_PID": "918"}, False),
        ({"_SYSTEMD_UNIT": "spyglass@shop.service", "_PID": "918", "UNIT": "spyglass@blog.service"}, False),
        ({"_SYSTEMD_USER_UNIT": "spyglass@blog.service", "_PID": "918", "_UID": "0"}, False),
    ],
)
def test_of_the_system_entries_of_the_unit_and_of_systemd_about_it_are_found(fields, found):
    assert matches(fields, logs.groups(SYSTEM, 0, logs.EVERYTHING)) is found


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"_SYSTEMD_USER_UNIT": "spyglass@blog.service", "_UID": "1000"}, True),
        ({"_SYSTEMD_USER_UNIT": "init.scope", "_UID": "1000", "USER_UNIT": "spyglass@blog.service"}, True),
        ({"_SYSTEMD_USER_UNIT": "spyglass@blog.service", "_UID": "1001"}, False),
        ({"_SYSTEMD_UNIT": "spyglass@blog.service", "_UID": "1000"}, False),
    ],
)
def test_of_a_user_only_his_own_are_found(fields, found):
    assert matches(fields, logs.groups(USER, 1000, logs.EVERYTHING)) is found


def test_events_are_asked_for_by_their_ids():
    groups = logs.groups(SYSTEM, 0, (logs.EVENT,))
    assert matches(FROM_APP | {"MESSAGE_ID": MESSAGE_IDS["WOKE"]}, groups)
    assert not matches(FROM_APP | {"MESSAGE_ID": "f" * 32}, groups)
    assert not matches(FROM_APP, groups)


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({"MESSAGE": "blog master pid=9 woke", "MESSAGE_ID": MESSAGE_IDS["WOKE"]}, logs.EVENT),
        ({"MESSAGE": "blog master pid=9 watching listeners=1"}, logs.OURS),
        ({"MESSAGE": "blog worker=1 gen=2 pid=9 greeted"}, logs.OURS),
        ({"MESSAGE": "blog gen=2 pid=9 template_died"}, logs.OURS),
        ({"MESSAGE": "blog master pid=9 watching", "SYSLOG_IDENTIFIER": "blog"}, logs.APP),
        ({"MESSAGE": "blog is open"}, logs.APP),
        ({"MESSAGE": "shop master pid=9 woke"}, logs.APP),
        ({}, logs.APP),
        ({"MESSAGE": "Started", "_SYSTEMD_UNIT": "init.scope"}, logs.MANAGER),
        ({"MESSAGE_ID": MESSAGE_IDS["WOKE"], "_SYSTEMD_UNIT": "init.scope"}, logs.MANAGER),
    ],
)
def test_whose_words_an_entry_is(fields, source):
    assert logs.source_of(SYSTEM, FROM_APP | fields) == source
    user = FROM_APP | fields
    user["_SYSTEMD_USER_UNIT"] = user.pop("_SYSTEMD_UNIT")
    assert logs.source_of(USER, user) == source


def test_an_event_is_shown_without_the_name_that_is_known():
    fields = {
        "MESSAGE": "blog master pid=9 failed: no\n    Trace\n",
        "MESSAGE_ID": MESSAGE_IDS["FAILED"],
        "PRIORITY": "3",
    }
    entry = logs.entry(SYSTEM, 1_500_000, FROM_APP | fields)
    assert entry == logs.Entry(1.5, logs.EVENT, "failed", 3, ("master pid=9 failed: no", "    Trace"))


@pytest.mark.parametrize("priority", ["", "8", "-1", "x", "33", "\u0663"])
def test_a_priority_that_is_none_is_that_of_information(priority):
    assert logs.entry(SYSTEM, 0, FROM_APP | {"PRIORITY": priority}).priority == 6


def test_nothing_in_a_text_moves_the_cursor_or_ends_the_line():
    entry = logs.entry(SYSTEM, 0, FROM_APP | {"MESSAGE": "a\x1b[2J\rb\x85c\u2028d" + "x" * 10**5})
    (line,) = entry.lines
    assert line.startswith(r"a\x1b[2J\rb\x85c\u2028dxxx")
    assert len(line) == 4000


# ### The verb


@pytest.fixture
def shown(monkeypatch, tmp_path, capsys):
    """Runs the verb on entries of a journal that is ours; what it shows. `asked` has what it asked for."""
    places = of_user({"XDG_CONFIG_HOME": str(tmp_path)}, os.getuid(), 255)
    places.config.mkdir()
    (places.config / "blog.toml").touch()
    monkeypatch.setattr("spyglass_systemd.cli.command.places_of", lambda **_: places)
    asked = {}

    def shown(*words, entries=()):
        monkeypatch.setattr(logs, "read", lambda _, **how: asked.update(how) or iter(entries))
        code = main(["logs", "blog", *words])
        shown.err = capsys.readouterr()
        return code, shown.err.out

    shown.asked = asked
    return shown


ENTRIES = (
    logs.Entry(0.0, logs.EVENT, "failed", 3, ("master failed: [red]no", "    Trace")),
    logs.Entry(1.0, logs.APP, "", 4, ("a warning " + "x" * 200,)),
    logs.Entry(2.0, logs.MANAGER, "", 6, ("Started it.",)),
)


def test_an_entry_is_a_line_however_wide(shown):
    code, out = shown(entries=ENTRIES)
    assert code == 0
    assert [re.sub(r"^\w{3} \d\d \d\d:\d\d:\d\d ", "TIME ", line) for line in out.splitlines()] == [
        "TIME master failed: [red]no",
        "        Trace",
        "TIME a warning " + "x" * 200,
        "TIME systemd: Started it.",
    ]


def test_on_a_terminal_there_is_colour():
    out = Console(file=io.StringIO(), force_terminal=True, color_system="standard", markup=False)
    verb._show(out, ENTRIES[0])
    assert "\x1b[31mmaster failed: [red]no\x1b[0m" in out.file.getvalue()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], {"sources": logs.EVERYTHING, "since": None, "last": 50, "follow": False}),
        (["-f", "--events"], {"sources": (logs.EVENT,), "since": None, "last": 50, "follow": True}),
        (["--app", "-n", "3"], {"sources": (logs.APP,), "since": None, "last": 3, "follow": False}),
        (["--since", "1h 30min"], {"sources": logs.EVERYTHING, "since": 5400.0, "last": None, "follow": False}),
        (["-f", "-n", "0"], {"sources": logs.EVERYTHING, "since": None, "last": 0, "follow": True}),
        (["--since=2d", "--lines=1"], {"sources": logs.EVERYTHING, "since": 172800.0, "last": 1, "follow": False}),
    ],
)
def test_what_is_asked_for_is_what_was_said(shown, words, asked):
    assert shown(*words)[0] == 0
    assert shown.asked == asked


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--events", "--app"], "two halves"),
        (["--since", "soon"], "'soon' is not a span of time"),
        (["--since", "off"], "'off' is no time"),
        (["-n", "0"], "the last 0 entries are none"),
        (["-n", "-1"], "-1 is not in the range"),
    ],
)
def test_what_cannot_be_asked_for_is_a_usage_error(shown, words, says):
    assert shown(*words)[0] == 64
    assert says in shown.err.err


def test_nothing_at_all_is_said_beside_the_output(shown, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert shown() == (0, "")
    assert "the journal has nothing of blog\n  whoever is not root" in shown.err.err
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    shown()
    assert shown.err.err == "spyglass: the journal has nothing of blog\n"


def test_a_journal_that_cannot_be_read_is_an_error_and_no_bug(shown):
    class Refusing:
        def __iter__(self):
            raise PermissionError(13, "Permission denied")

    assert shown(entries=Refusing()) == (69, "")
    assert shown.err.err == "spyglass: the journal cannot be read: Permission denied\n"
