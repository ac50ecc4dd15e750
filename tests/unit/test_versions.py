from __future__ import annotations

from pathlib import Path

import pytest

import spyglass_systemd
from spyglass_systemd.words.versions import UNITS, difference, family

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("version", "known_as"),
    [
        ("0.3.0", "0.3"),
        ("0.3.9", "0.3"),
        ("0.3.0+next", "0.3"),
        ("0.10", "0.10"),
        ("1.2.0", "1"),
        ("12", "12"),
        ("0", "0."),
    ],
)
def test_versions_go_together_by_the_number_that_says_what_changes(version, known_as):
    assert family(version) == known_as


def test_a_difference_is_said_and_sameness_and_silence_are_none():
    assert difference("0.3", "0.3.7") == difference("", "0.3.7") == ""
    assert difference("0.4", "0.3.7") == "units of spyglass-systemd 0.4, and the app's Python has 0.3.7"


@pytest.mark.parametrize("unit", ["spyglass@.service", "user/spyglass@.service"])
def test_the_units_say_of_which_versions_they_are(unit):
    assert f"\nEnvironment={UNITS}={family(spyglass_systemd.__version__)}\n" in (ROOT / "units" / unit).read_text()
