"""The journal's catalog explains each event that has an id, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spyglass_systemd.protocols.journal import MESSAGE_IDS

ROOT = Path(__file__).parents[2]
_, *BLOCKS = re.split(
    r"^-- ([0-9a-f]{32})\n", (ROOT / "packaging" / "spyglass.catalog").read_text(), flags=re.MULTILINE
)
ENTRIES = dict(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))
SOURCE = "\n".join(path.read_text() for path in (ROOT / "spyglass_systemd" / "processes").glob("*.py"))


def test_each_event_is_explained_once():
    assert len(ENTRIES) == len(BLOCKS) / 2
    assert set(ENTRIES) == set(MESSAGE_IDS.values())


@pytest.mark.parametrize("event", MESSAGE_IDS)
def test_an_explanation_has_a_subject_and_says_more(event):
    head, _, text = ENTRIES[MESSAGE_IDS[event]].partition("\n\n")
    assert re.match(r"Subject: .*@SPYGLASS_APP@", head)
    assert re.search(r"^Documentation: man:spyglass\S*\([158]\)$", head, re.MULTILINE)
    assert len(text.split()) > 15


@pytest.mark.parametrize("event", MESSAGE_IDS)
def test_an_explanation_names_only_fields_that_the_event_has(event):
    """A field that is missing would stand there as it is written."""
    calls = re.findall(rf'\.event\(\s*"{event.lower()}",?(.*?)\n', SOURCE) + re.findall(
        rf'\.event\(\s*"{event.lower()}",\n(.*?)\n        \)', SOURCE, re.DOTALL
    )
    assert calls, f"nobody says {event}"
    said = {field.upper() for call in calls for field in re.findall(r"\b([a-z_]+)=", call)}
    named = set(re.findall(r"@SPYGLASS_([A-Z_]+)@", ENTRIES[MESSAGE_IDS[event]])) - {"APP", "EVENT"}
    assert named <= said
