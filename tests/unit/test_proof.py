"""The model of docs/proof speaks of the code: its names, its table, its mutations."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest

from spyglass_systemd.processes import roster
from spyglass_systemd.words import reports
from spyglass_systemd.words.states import TRANSITIONS, Do, Event, State

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import proof  # beside the other scripts

ROOT = Path(__file__).resolve().parents[2]
MODEL = (ROOT / "docs" / "proof" / "sleep.pml").read_text()
README = (ROOT / "docs" / "proof" / "README.md").read_text()

# What the model leaves out, said here so that a new event or verb is a decision. To kill is to lose whoever is there.
EVENTS_LEFT_OUT = {"DRAIN_OVER", "KILL"}
VERBS_LEFT_OUT = {"KILL"}


def names(kind: str) -> list[str]:
    declared = re.search(rf"mtype:{kind} = \{{([^}}]*)\}}", MODEL)
    assert declared, kind
    return re.findall(r"\w+", declared[1])


ROWS = {
    (here, event): (there, do)
    for here, event, there, do in re.findall(r"^ +ROW\((\w+), +(\w+), +(\w+), +(\w+)\)$", MODEL, re.MULTILINE)
}


def test_the_model_knows_every_state():
    assert names("state") == [state.name for state in State]


def test_the_model_knows_every_event_that_loses_nobody():
    assert names("event") == [event.name for event in Event if event.name not in EVENTS_LEFT_OUT]


def test_the_model_knows_every_verb_that_loses_nobody():
    assert names("verb") == [f"Do_{do.name}" for do in Do if do.name not in VERBS_LEFT_OUT]


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)), ids=lambda value: value.name)
def test_the_model_answers_each_event_as_the_code_does(state, event):
    there, do = TRANSITIONS[state, event]
    if event.name in EVENTS_LEFT_OUT:
        assert (state.name, event.name) not in ROWS
    else:
        assert ROWS.get((state.name, event.name), (state.name, "NOTHING")) == (there.name, do.name)


def test_the_model_has_no_row_of_its_own():
    assert set(ROWS) <= {(state.name, event.name) for state, event in TRANSITIONS}
    assert len(ROWS) == len(re.findall(r"^ +ROW\(", MODEL, re.MULTILINE))


def test_the_messages_of_the_model_are_those_of_the_code():
    for name in names("report"):
        assert issubclass(getattr(reports, name), reports.Report)


def test_the_master_of_the_model_keeps_the_books_of_the_code():
    assert [name for name in names("record") if name != "FREE"] == ["BOOTING", "ACCEPTING", "RETIRING", "LEAVING"]
    assert all(hasattr(roster, name) for name in names("record") if name != "FREE")


def test_every_mutation_of_the_model_is_tried_and_every_promise_is_broken_by_one():
    switches = {first or second for first, second in re.findall(r"#ifn?def (\w+)|defined\((\w+)\)", MODEL)}
    sizes = {"CONNECTIONS", "MISFORTUNES", "LONGS", "DOZES", "SCREEN", "PAGE", "WITH_LOBBY"}
    assert switches - sizes - {"SORTED", "LOSSES_ONLY"} == {mutation.name for mutation in proof.MUTATIONS}
    assert {mutation.promise for mutation in proof.MUTATIONS} == set(names("promise"))


def test_the_page_beside_the_model_names_every_mutation_and_promise():
    for name in [*(mutation.name for mutation in proof.MUTATIONS), *names("promise")]:
        assert f"`{name}`" in README, name


STORY = """\
spin: warning, "sleep.pml" is newer than sleep.pml.trail
      somebody connects
BROKEN: Answered
spin: sleep.pml:223, Error: assertion violated
"""
FOUND = """\
pan:1: assertion violated  !(broken) (at depth 23)
State-vector 340 byte, depth reached 127, errors: 1
     4711 states, stored
  128.730\ttotal actual memory usage
pan: elapsed time 0.02 seconds
"""
COMPLETE = """\
State-vector 340 byte, depth reached 183, errors: 0
  2954948 states, stored
unreached in proctype Master
\tsleep.pml:854, state 2459, "-end-"
\tsleep.pml:805, state 1272, "dozes = (dozes-1)"
\tsleep.pml:223, state 5, "broken = 3"
"""


def test_a_broken_promise_is_told_with_its_story():
    outcome = proof._outcome(FOUND, STORY.splitlines())
    assert (outcome.broken, outcome.states, outcome.seconds, outcome.mib) == ("Answered", 4711, 0.02, 129)
    assert outcome.story == ["somebody connects", "BROKEN: Answered"]


def test_a_complete_search_says_what_never_happened():
    outcome = proof._outcome(COMPLETE, [])
    assert outcome.broken == ""
    assert outcome.idle == ["line 805: dozes = (dozes-1)"]


def test_a_run_that_never_ends_breaks_the_promise_to_sleep():
    assert proof._outcome(FOUND.replace("assertion violated", "non-progress cycle"), []).broken == "Asleep"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "pan: reached -DMEMLIM bound\nWarning: Search not completed\n" + COMPLETE,
        "error: max search depth too small\n" + COMPLETE,
        FOUND.replace("assertion violated", "invalid end state"),
        FOUND.replace("pan:1: assertion violated", "pan:1: block in d_step seq"),
    ],
    ids=["nothing", "memory", "depth", "stuck", "model"],
)
def test_what_is_neither_yes_nor_no_is_an_error(said):
    with pytest.raises(proof.ProofError):
        proof._outcome(said, [])


def test_a_mutation_that_is_named_is_tried_and_no_other(monkeypatch, capsys):
    tried = []

    def mutate(mutation):
        tried.append(mutation.name)
        return proof.Outcome(mutation.promise, 1, 0.0, 1)

    monkeypatch.setattr(proof, "mutate", mutate)
    assert proof.main(["STALE_ACK", "LEAVE_LOBBY"]) == 0
    assert tried == ["STALE_ACK", "LEAVE_LOBBY"]
    assert capsys.readouterr().out.count("Answered broken") == 2
