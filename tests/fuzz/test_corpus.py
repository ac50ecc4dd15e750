"""Every input that the fuzzers have kept, through its target: without a fuzzer, in seconds."""

from __future__ import annotations

import importlib

import corpora
import pytest


@pytest.mark.parametrize("target", corpora.TARGETS)
def test_every_kept_input_is_borne(target):
    check = importlib.import_module(f"fuzz_{target}").check
    inputs = corpora.load(target)
    assert inputs, "nothing is kept: ./dev fuzz --keep"
    for data in inputs:
        try:
            check(data)
        except Exception as error:
            error.add_note(f"target {target}, input {data!r}")
            raise
