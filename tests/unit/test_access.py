"""The access log."""

from __future__ import annotations

import os
import re
import time

import pytest

from spyglass_systemd.backends.access import AccessLog, timestamp


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for fd in ends:
        os.close(fd)


def line(pipe, environ, request="GET / HTTP/1.1", code=200, *, size=5, ms=12.4):
    log = AccessLog(pipe[1], 3)
    log.add(environ, request, code, size, ms)
    log.flush()
    return os.read(pipe[0], 65536).decode("ascii")


def test_a_line_is_the_combined_log_format_and_two_fields(pipe):
    environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_REFERER": "http://a/", "HTTP_USER_AGENT": "curl/8"}
    assert re.fullmatch(
        r'192\.0\.2\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET / HTTP/1\.1" 200 5 '
        r'"http://a/" "curl/8" ms=12 worker=3\n',
        line(pipe, environ),
    )


def test_what_is_not_known_is_a_dash(pipe):
    assert line(pipe, {"REMOTE_ADDR": ""}, "", 400, size=0, ms=0.0).endswith('] "-" 400 - "-" "-" ms=0 worker=3\n')
    assert line(pipe, {"REMOTE_ADDR": ""}).startswith("- - - [")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('a" 200 5 "b', 'a\\" 200 5 \\"b'),
        ("a\\", "a\\\\"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\nb", "a\\x0ab"),
        ("\u00e9", "\\xe9"),
        ("\x7f", "\\x7f"),
        ("\u20ac", "\\xac"),
    ],
)
def test_nothing_in_a_field_ends_it_or_reaches_a_terminal(pipe, text, shown):
    assert f'"{shown}"' in line(pipe, {"HTTP_USER_AGENT": text})
    assert f'"{shown}"' in line(pipe, {"HTTP_REFERER": text})
    assert f'"{shown}"' in line(pipe, {}, text)


def test_a_field_is_cut_so_that_a_line_is_one_write(pipe):
    text = line(pipe, {"HTTP_USER_AGENT": "x" * 9000, "HTTP_REFERER": "y" * 9000}, "GET /" + "z" * 9000)
    assert len(text) < 4096
    assert "xxx..." in text


def test_a_field_of_escapes_is_cut_so_that_a_line_is_one_write_and_no_escape_is_in_two(pipe):
    fields = dict.fromkeys(("REMOTE_ADDR", "HTTP_USER_AGENT", "HTTP_REFERER"), "ÿ" * 9000)
    text = line(pipe, fields, "\\" * 9000)
    assert len(text) < 4096
    assert '\\xff..." "' in text
    assert '\\\\..." ' in text


def test_an_app_may_have_put_anything_into_its_environ(pipe):
    assert line(pipe, {"REMOTE_ADDR": None, "HTTP_USER_AGENT": 5, "HTTP_REFERER": b"x"}).startswith("None - - [")


def test_lines_wait_until_they_are_flushed(pipe):
    log = AccessLog(pipe[1], 1)
    log.add({}, "GET /1 HTTP/1.1", 200, 1, 0)
    log.add({}, "GET /2 HTTP/1.1", 200, 1, 0)
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)
    log.flush()
    assert os.read(pipe[0], 65536).count(b"\n") == 2
    log.flush()
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


def test_a_log_that_takes_no_more_costs_its_lines_only(pipe):
    os.set_blocking(pipe[1], False)
    log = AccessLog(pipe[1], 1)
    for _ in range(2000):
        log.add({"HTTP_USER_AGENT": "x" * 100}, "GET / HTTP/1.1", 200, 1, 0)
    log.flush()
    os.read(pipe[0], 1 << 20)
    log.add({}, "GET /later HTTP/1.1", 200, 1, 0)
    log.flush()
    assert b"/later" in os.read(pipe[0], 1 << 20)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"])
def test_a_timestamp_has_the_zone_of_the_place(zone, monkeypatch):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        when = time.localtime(1_700_000_000)
        assert timestamp(when) == time.strftime("%d/%b/%Y:%H:%M:%S %z", when)
    finally:
        monkeypatch.undo()
        time.tzset()
