"""Texts that somebody else wrote become one printable line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words.lines import one_line, pair


@given(st.text() | st.text(alphabet=st.characters()), st.integers(min_value=3, max_value=40))
def test_whatever_comes_in_one_printable_line_within_its_limit_comes_out(text, limit):
    line = one_line(text, limit)
    assert line.isprintable()
    assert len(line.encode()) <= limit


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("woke", "woke"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("right to left \u202e", r"right to left \u202e"),
        ("lone \udcff", r"lone \udcff"),
        ("ü", "ü"),
        ("exactly ten", "exactly..."),
        ("ääääää", "äää..."),
    ],
)
def test_unprintable_characters_are_escaped_and_what_is_too_long_is_cut_between_characters(text, line):
    assert one_line(text, 24 if len(line) > 10 else 10) == line


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("http", "name=http"),
        (7, "name=7"),
        ("", 'name=""'),
        ("two words", 'name="two words"'),
        ('say "hi"', r'name="say \"hi\""'),
        ("a=b", 'name="a=b"'),
        ("line\nline", r'name="line\nline"'),
        (r"C:\new", r"name=C:\new"),
        ("C:\\new\n", r'name="C:\\new\n"'),
        ("x" * 50, "name=" + "x" * 27 + "..."),
        ("x " * 50, 'name="' + "x " * 13 + 'x..."'),
    ],
)
def test_a_value_stands_in_quotes_where_it_could_be_misread(value, written):
    assert pair("name", value, 30) == written
