"""The states of a mutation: the code and the drawing are one."""

import re
from pathlib import Path

import pytest

from outbound import state
from outbound.state import FINAL, PROCESSING, TRANSITIONS, State, possible, target

DRAWN = (Path(state.__file__).parent / "STATES.md").read_text(encoding="utf-8")
BLOCK = re.findall(r"```mermaid\n(.*?)```", DRAWN, re.DOTALL)[0]


def test_every_transition_is_drawn_and_every_drawn_one_is_a_transition():
    """The first drawing of STATES.md has the arrows of TRANSITIONS, and no others but those from and to the outside."""
    arrows = re.findall(r"^\s*(\w+) --> (\w+): (.+?)\s*$", BLOCK, re.MULTILINE)
    assert len(arrows) == len(set(arrows))
    assert {(State(origin), State(to), word) for origin, to, word in arrows} == TRANSITIONS


def test_mutations_begin_and_end_as_drawn():
    """They are queued as pending or held; what is final has no way out."""
    assert set(re.findall(r"\[\*\] --> (\w+)", BLOCK)) == {"pending", "held"}
    assert set(re.findall(r"(\w+) --> \[\*\]", BLOCK)) == FINAL
    assert {origin for origin, _, _ in TRANSITIONS} == {*State} - FINAL


def test_every_state_is_explained():
    """The table of STATES.md has a line for each."""
    assert {*re.findall(r"^\| `(\w+)` \|", DRAWN, re.MULTILINE)} == {*State}


def test_one_word_leads_to_one_state():
    """From a state there are no two ways of one name."""
    assert len({(origin, word) for origin, _, word in TRANSITIONS}) == len(TRANSITIONS)


@pytest.mark.parametrize("origin", State)
def test_a_person_does_what_leads_somewhere_and_no_runners_work(origin):
    """What is offered for a state is possible there; nothing is for one that is in work or final."""
    words = possible(origin)
    assert all(target(origin, word) for word in words)
    assert "claim" not in words
    assert bool(words) is (origin not in FINAL | {PROCESSING})


def test_a_word_that_leads_nowhere_has_no_target():
    """Nor does one of another state."""
    assert target(State.PENDING, "approve") is None
    assert target(State.HELD, "nonsense") is None
