from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from spyglass_systemd.protocols import toml

TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.one_of(TEXTS, st.booleans(), st.integers(0, 2**40), st.lists(TEXTS), st.tuples(TEXTS))


def test_what_a_person_would_write():
    assert toml.assignment("idle", "5min") == 'idle = "5min"'
    assert toml.assignment("preload", False) == "preload = false"
    assert toml.assignment("listen", ("8000", 'a"b')) == 'listen = ["8000", "a\\"b"]'
    assert toml.table("environment", {"A": "1", "a b": 2}) == '[environment]\nA = "1"\n"a b" = 2'


@given(TEXTS, VALUES)
def test_whatever_is_written_is_read_back(key, value):
    (read,) = tomllib.loads(toml.assignment(key, value)).items()
    assert read == (key, list(value) if isinstance(value, tuple) else value)


@given(st.dictionaries(TEXTS, VALUES))
def test_a_table_is_read_back(values):
    read = tomllib.loads(toml.table("environment", values))["environment"]
    assert read == {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
