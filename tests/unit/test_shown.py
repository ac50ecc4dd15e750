from __future__ import annotations

import pytest

from spyglass_systemd.words.shown import shown
from spyglass_systemd.words.table import OPTIONS


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("idle", None, "off"),
        ("idle", 90.0, "1min 30s"),
        ("preload", True, "true"),
        ("workers", 4, "4"),
        ("spool", 3 * 2**30, "3GiB"),
        ("spool", 5 * 2**20, "5MiB"),
        ("spool", 512 * 2**10, "512KiB"),
        ("spool", 1000, "1000"),
        ("spool", 0, "0"),
        ("kind", "wsgi", "wsgi"),
    ],
)
def test_a_value_is_shown_as_one_writes_it_and_read_back(key, value, text):
    assert shown(OPTIONS[key], value) == text
    assert OPTIONS[key].parse(text) == value
