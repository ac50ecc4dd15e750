"""Write docs/explanation/states.md from the table of states; with --check, say whether it is as it would be written."""

from __future__ import annotations

import inspect
import re
import sys
from typing import TYPE_CHECKING

from generated import settle

from spyglass_systemd.words.states import TRANSITIONS, Do, Event, State

if TYPE_CHECKING:
    from enum import Enum

LIVING = [state for state in State if state is not State.ASLEEP]
MANY = len(LIVING) // 2  # an event that means the same in more states than that is told, not drawn

INTRODUCTION = """\
<!-- Written by scripts/diagram.py from spyglass_systemd/words/states.py: change it there. -->

# The states of an app

What the Master does is one table: for every state and every event it has the state that comes next and one verb. The
Master takes events from a queue, looks into the table, enters the state and performs the verb. This page is drawn from
that table. An event that is not named for a state changes nothing there.
"""

LEGEND = """\
An arrow is `event / verb`. What keeps its state is only in the tables below; a reload is no state but a second Template
beside the first, and the app is as awake during it as before. Not drawn, because it means the same nearly everywhere:
"""


def page() -> str:
    """The whole page."""
    common = [event for event in Event if _is_common(event)]
    return "\n".join(
        [
            INTRODUCTION,
            "## The states\n",
            *_list(State),
            "## The diagram\n",
            *_diagram(common),
            LEGEND,
            *[f"- {_told(event)}" for event in common],
            "\n## The answers\n",
            *[line for state in LIVING for line in _answers(state)],
            "## The events\n",
            *_list(Event),
            "## The verbs\n",
            *_list(Do),
        ]
    )


def _is_common(event: Event) -> bool:
    said = [(state, TRANSITIONS[state, event]) for state in LIVING if _means_something(state, event)]
    return len(said) > MANY and len({answer for _, answer in said}) == 1


def _means_something(state: State, event: Event) -> bool:
    return TRANSITIONS[state, event] != (state, Do.NOTHING)


def _diagram(common: list[Event]) -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> watching: started", "    [*] --> waking: a connection waits"]
    for (state, event), (after, do) in TRANSITIONS.items():
        if after is not state and event not in common:
            lines.append(f"    {state.value} --> {after.value}: {_word(event)} / {_word(do)}")
    return [*lines, "```\n"]


def _told(event: Event) -> str:
    ((after, do),) = {TRANSITIONS[state, event] for state in LIVING if _means_something(state, event)}
    but = [f"`{state.value}`" for state in LIVING if not _means_something(state, event)]
    where = f"from every state but {', '.join(but)}" if but else "from every state"
    return f"`{_word(event)} / {_word(do)}` leads to `{after.value}` {where}."


def _answers(state: State) -> list[str]:
    rows = [
        f"| {_word(event)} | {TRANSITIONS[state, event][0].value} | {_word(TRANSITIONS[state, event][1])} |"
        for event in Event
        if _means_something(state, event)
    ]
    return [f"### {state.value}\n", "| event | state | verb |", "|---|---|---|", *rows, ""]


def _list(kind: type[Enum]) -> list[str]:
    """Its members, each with the comment behind it."""
    found = dict(re.findall(r"^    ([A-Z_]+) = [^#\n]*(?:  # (.*))?$", inspect.getsource(kind), re.MULTILINE))
    rows = [f"| {_word(member)} | {found[member.name] or '-'} |" for member in kind]
    return ["| | |", "|---|---|", *rows, ""]


def _word(member: Enum) -> str:
    return member.name.lower().replace("_", " ")


if __name__ == "__main__":
    sys.exit(settle({"docs/explanation/states.md": page()}))
