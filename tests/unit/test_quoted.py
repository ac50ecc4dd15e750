"""Separators inside quoted strings separate nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.words.quoted import split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a,b, c", ["a", "b", " c"]),
        (",", ["", ""]),
        ('a="x,y",b', ['a="x,y"', "b"]),
        ('a="x\\",y",b', ['a="x\\",y"', "b"]),
        ('a="x\\\\",y', ['a="x\\\\"', "y"]),
        ('a="x,y', ['a="x,y']),
        ("a\\,b", ["a\\", "b"]),
    ],
)
def test_a_text_is_split_where_no_quote_is_open(text, parts):
    assert split(text, ",") == parts


@given(st.text(alphabet='a,;"\\'), st.sampled_from(",;"))
def test_nothing_is_lost_in_splitting(text, separator):
    assert separator.join(split(text, separator)) == text
