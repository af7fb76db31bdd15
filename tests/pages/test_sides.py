"""Base, theirs and mine: which field is whose, and how a value is shown. No store, no browser."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from api.mutation_schemas import MutationDetail, detail
from api.pages.cell import ABSENT, LONG, MOST, cell
from api.pages.look import coded
from api.pages.mutation_story import WORDS, Event, notice, story
from api.pages.sides import Sides, sides
from outbound.operations import BY_TITLE
from outbound.queue import NAMES, Mutation, Step
from outbound.secrets import NOT_SHOWN, names
from outbound.state import TRANSITIONS, State

AT = datetime(2026, 5, 1, tzinfo=UTC)


def shown(state: str = "held", **more: Any) -> MutationDetail:
    """A mutation as the API shows it; a change of a record of which nothing is known, unless `more` says so."""
    values = dict.fromkeys(NAMES) | {"entity": "customers", "operation": "update", "record_id": "5", "mutation_id": 7}
    values |= {"state": State(state), "places": {"id": "5"}, "history": [], "payload": {}, "attempts": 0}
    return detail(Mutation(**values | more))


def marks(found: Sides) -> dict[str, str]:
    """By path whose a field is, of those that differ."""
    return {line.path: line.mark.value for line in found.told}


BASE = {"name": "Ann", "type": "Residential", "active": True, "balance": Decimal("1.50"), "modifiedOn": "2026-01-01"}
BASE |= {"address": {"street": "1 Main St", "city": "Ames"}}


def test_before_it_is_sent_theirs_is_the_copy():
    """Mine, theirs, both of them alike or not; what ServiceTitan keeps itself and what is equal stay quiet."""
    copy = BASE | {"type": "Commercial", "active": False, "modifiedOn": "2026-02-01", "balance": "1.5"}
    copy["address"] = {"street": "2 Oak St", "city": "Boone"}
    wanted = {"name": "Bob", "active": False, "address": {"city": "Nevada"}}
    found = sides(shown(base=BASE, payload=wanted), copy)
    assert marks(found) == {
        "name": "mine",
        "active": "both: the same",
        "address.city": "both: conflict",
        "type": "theirs",
        "address.street": "theirs",
    }
    assert {line.path: line.mark.value for line in found.quiet} == {
        "balance": "unchanged",
        "modifiedOn": "ServiceTitan's own",
    }
    assert list(found.columns) == ["base", "theirs", "mine"]
    assert "copy" in found.columns["theirs"][1]
    [city] = [line for line in found.told if line.path == "address.city"]
    assert [city.cells[side].text for side in found.columns] == ["Ames", "Boone", "Nevada"]
    assert (city.sign, city.tone) == ("!", "bad")


def test_in_a_conflict_theirs_is_what_the_attempt_saw():
    """Of the other fields it kept the names alone, and of an object in conflict its equal parts are none."""
    address = {"base": BASE["address"], "theirs": {"street": "1 Main St", "city": "Boone"}, "mine": {"city": "Nevada"}}
    wanted = {"name": "Bob", "address": {"city": "Nevada", "street": "9 Elm St"}}
    held = shown("conflict", base=BASE, payload=wanted, conflict={"address": address}, merged=["type"])
    found = sides(held)
    assert marks(found) == {
        "name": "mine",
        "address.city": "both: conflict",
        "address.street": "mine",
        "type": "theirs",
    }
    [kind] = [line for line in found.told if line.path == "type"]
    assert "not kept" in kind.cells["theirs"].text
    assert {line.cells["theirs"].text for line in found.quiet} == {"no conflict"}


def test_a_record_that_was_deleted_there_has_no_theirs():
    """Everything that is wanted is in conflict with that."""
    told = {"deleted": {"base": BASE, "theirs": None, "mine": {"name": "Bob"}}}
    found = sides(shown("conflict", base=BASE, payload={"name": "Bob"}, conflict=told))
    assert (found.is_gone, list(found.columns), marks(found)) == (True, ["base", "mine"], {"name": "both: conflict"})


def test_behind_a_change_stands_what_was_read_back():
    """What was not taken over is told, what came along too; a former conflict that a person decided is none any more."""
    after = BASE | {"name": "Bob", "balance": 2, "modifiedOn": "2026-03-01"}
    wanted = {"name": "Bob", "type": "Commercial"}
    missed = {"type": {"wanted": "Commercial", "found": "Residential"}}
    more = {"before": BASE | {"name": "Cid"}, "after": after, "not_applied": missed, "sent_at": AT}
    found = sides(shown("completed", base=BASE, payload=wanted, **more))
    assert marks(found) == {"name": "mine", "type": "mine", "balance": "came with it"}
    assert [bool(line.note) for line in found.told] == [False, True, False]
    assert list(found.columns) == ["base", "theirs", "mine", "after"]


def test_what_a_body_leaves_out_and_empties_is_told():
    """Of a PUT alone."""
    estimate = {"name": "Old", "summary": "Words", "tax": None}
    put = {"entity": "estimates", "base": estimate, "payload": {"name": "New"}}
    found = sides(shown(**put), estimate)
    assert marks(found) == {"name": "mine", "summary": "mine"}
    assert "empties" in found.told[1].note
    assert marks(sides(shown(base=BASE, payload={"name": "Bob"}), BASE)) == {"name": "mine"}


def test_an_action_shows_to_what_it_leads():
    """As far as the table of operations has it."""
    base = {"status": {"name": "Open"}}
    found = sides(shown(entity="estimates", operation="sell", base=base, payload={"soldBy": 1}), base)
    assert marks(found) == {"soldBy": "mine", "status.name": "mine"}


@pytest.mark.parametrize("payload", [None, [{"id": 1}], {"name": "New"}])
def test_what_makes_something_has_no_base(payload: Any):
    """Nor has a body that is a list, which stands as one value."""
    found = sides(shown("pending", operation="create", record_id=None, places={}, payload=payload))
    assert list(found.columns) == (["mine"] if payload else [])


def test_secrets_are_shown_no_more_than_the_api_shows_them():
    """Nor is it told whether one changes."""
    title = next(filter(names, BY_TITLE))
    entity, _, operation = title.partition(":")
    secret = min(names(title))
    values = {"entity": entity, "operation": operation, "base": {secret: "hush-0"}, "payload": {secret: "hush-1"}}
    found = sides(shown(**values))
    [line] = found.told
    assert (line.mark.value, line.cells["mine"].text) == ("not shown", NOT_SHOWN)
    assert "hush" not in str(found)


def test_values_are_shown_as_they_are():
    """Null and no text are empty, numbers have their digits, lists are JSON, signs that steer a screen are not let through."""
    assert (cell(None).kind, cell("").kind, cell([]).kind, cell(ABSENT).kind) == ("empty", "empty", "empty", "absent")
    assert (cell(True).text, cell(Decimal("1.50")).text, cell(12345678901234567890).text) == (
        "true",
        "1.50",
        "12345678901234567890",
    )
    assert (cell([1]).kind, cell([1]).text) == ("code", "[\n  1\n]")
    assert cell("a\u202eb\x1b").text == "a\ufffdb\ufffd"


def test_long_texts_are_folded():
    """With their beginning, and not without end."""
    assert not cell("x" * LONG).is_long
    assert cell("x" * (LONG + 1)).is_long
    assert cell("\n" * 4).is_long
    huge = cell("x" * (MOST + 5))
    assert (len(huge.head), len(huge.whole)) == (LONG // 2 + 1, MOST + 1)


@pytest.mark.parametrize(
    ("text", "html"),
    [("`a` is `<b>`.", "<code>a</code> is <code>&lt;b&gt;</code>."), ("a `b", "a `b"), ("`a` `b", "<code>a</code> `b")],
)
def test_names_in_messages_are_code(text: str, html: str):
    """What stands in backticks, escaped; one that closes nothing stays."""
    assert str(coded(text)) == html


# the story


def told(*steps: str, **more: Any) -> list[Event]:
    """The story of these steps, a second apart."""
    history = [Step(AT.replace(second=index), "Ann", did) for index, did in enumerate(steps)]
    state = more.pop("state", "completed")
    is_landing = more.pop("is_landing", False)
    return story(shown(state, history=history, **more), is_landing=is_landing)


def test_a_story_tells_every_step_in_its_order():
    """With what ServiceTitan answered at the last end, and the copy's turn where it came."""
    more = {"answer_status": 200, "answer": "{}", "after": {"id": 1}, "landed_at": AT.replace(second=30)}
    steps = ("queued", "approve", "claim", "send", "later", "claim", "send", "done")
    found = told(*steps, **more)
    assert [event.title for event in found] == [
        "Queued",
        "Approved",
        "Taken up",
        "Sent to ServiceTitan",
        "Put off",
        "Taken up, attempt 2",
        "Sent to ServiceTitan",
        "Completed",
        "In the copy",
    ]
    assert [event.is_answer for event in found].index(True) == 7
    assert sum(event.is_answer for event in found) == sum(event.is_read_back for event in found) == 1
    assert [event.passed.total_seconds() for event in found if event.passed is not None] == [1.0] * 7 + [23.0]


def test_a_story_ends_with_what_it_waits_for():
    """Where it waits for anything."""
    assert told("queued", state="held")[-1].title.startswith("Waits for approval")
    assert told("queued", state="pending", run_at=AT)[-1].until == AT
    assert told("queued", "claim", "changed there", state="conflict")[-1].at is None
    assert "copy" in told("queued", "claim", "done", is_landing=True)[-1].title
    assert told("queued", "cancel", state="cancelled")[-1].title == "Cancelled"


def test_every_step_has_words():
    """Of people and of runners."""
    assert {word for _, _, word in TRANSITIONS} <= WORDS.keys()


@pytest.mark.parametrize("number", ["", "x", "2", "-1", "9999999", "²"])
def test_a_notice_is_a_step_of_the_history(number: str):
    """An address cannot have a page say what did not happen."""
    held = shown("cancelled", history=[Step(AT, "Ann", "queued"), Step(AT, "Bob", "reject")])
    assert notice(held, "1") == "Rejected, by Bob."
    assert notice(held, number) == ""
