from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words.spans import format_span, parse_span


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("0.5", 0.5),
        (".5s", 0.5),
        (" 5 ", 5.0),
        ("5min", 300.0),
        ("1h 30min", 5400.0),
        ("1h30min", 5400.0),
        ("1.5h", 5400.0),
        ("2 h", 7200.0),
        ("48hr", 172800.0),
        ("55s500ms", 55.5),
        ("300ms20s 5day", 432020.3),
        ("1y 12month", 63115200.0),
        ("1M", 2629800.0),
        ("2weeks", 1209600.0),
        ("1h 30", 3630.0),
        ("1s.5s", 1.5),
        ("5µs", 0.000005),
        ("0.1us", 0.0),
    ],
)
def test_a_span_means_what_systemd_analyze_timespan_says(text, seconds):
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["off", "never", "infinity", " off "])
def test_off_is_never(text):
    assert parse_span(text) is None


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+5", "five", "5parsecs", "5.", "1.h", ".", "min", "5.5.5", "1 s s", "1,5", "٣s", "²", "1e3"],
)
def test_what_is_no_span_is_refused_with_examples(text):
    with pytest.raises(ValueError, match="not a span of time: write seconds"):
        parse_span(text)


def test_a_span_longer_than_any_clock_is_refused():
    with pytest.raises(ValueError, match="off for never"):
        parse_span("300000y")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "off"),
        (0.0, "0"),
        (300.0, "5min"),
        (5400.0, "1h 30min"),
        (1.5, "1s 500ms"),
        (0.25, "250ms"),
        (63115200.0, "2y"),
    ],
)
def test_a_span_is_shown_as_systemd_shows_it(seconds, text):
    assert format_span(seconds) == text


@given(st.integers(0, 2**52))
def test_what_is_shown_is_read_back(microseconds):
    assert parse_span(format_span(microseconds / 1e6)) == microseconds / 1e6


@given(st.text(alphabet="0123456789.smhinu -"))
def test_no_text_breaks_the_parser(text):
    with contextlib.suppress(ValueError):
        assert parse_span(text) >= 0
