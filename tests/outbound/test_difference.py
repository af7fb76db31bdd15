"""What differs between a record as it was known, as it is, and as it is wanted."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbound.difference import BOOKKEEPING, difference, not_taken, same, taken, visible
from outbound.registry import BodyField, Node

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.dictionaries(st.sampled_from("abcdef"), JSON, max_size=6)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1900, 1, 2), datetime(2100, 1, 2), timezones=ZONES)  # noqa: DTZ001  of the zones
AMOUNTS = st.decimals(-(10**9), 10**9, allow_nan=False, places=2)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (12.5, "12.50"),
        ("12.50", 12.5),
        (0, "0.00"),
        (-3, "-3.000000"),
        (1, 1.0),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00.0000000Z"),
        ("2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00"),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00"),
        ("2026-05-01", "2026-05-01T00:00:00Z"),
        ("", None),
        (None, ""),
        ({"street": "a"}, {"street": "a", "city": "b"}),
        ({"a": {"b": [{"c": 1}]}}, {"a": {"b": [{"c": "1.0", "d": 2}], "e": 3}}),
        ({"a": None}, {}),
        ([1, "2"], ["1", 2]),
        ([], []),
    ],
    ids=repr,
)
def test_what_servicetitan_means_is_the_same(wanted: Any, found: Any):
    """Money as text, moments in any zone and length, no text as empty text, and of an object what is wanted."""
    assert same(wanted, found)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (12.5, "12.51"),
        (True, 1),
        (False, 0),
        (True, "true"),
        (0, None),
        (0, ""),
        (False, None),
        ("a", "A"),
        ("a", "a "),
        ({"street": "a", "city": "b"}, {"street": "a"}),
        ([1, 2], [2, 1]),
        ([1], [1, 2]),
        ([], None),
        ({}, []),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:01Z"),
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00+02:00"),
        ("2026-05-01", "2026-05-02"),
    ],
    ids=repr,
)
def test_what_differs_is_not_the_same(wanted: Any, found: Any):
    """Truth values are no numbers, nothing is not zero, order counts in a list."""
    assert not same(wanted, found)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("02134", "2134"),
        ("+15555550100", "15555550100"),
        ("007", "7"),
        ("1_000", "1000"),
        ("1e3", "1000"),
        (" 5", "5"),
        ("10.10", "10.1"),
        ("12.5", "12.50"),
    ],
    ids=repr,
)
def test_digits_that_are_no_amount_are_text(wanted: str, found: str):
    """A postal code, a phone number or a part's code with other signs is another one: the change must be sent."""
    assert not same(wanted, found)


@given(JSON)
def test_everything_is_the_same_as_itself(value: Any):
    """Whatever JSON holds."""
    assert same(value, value)


@given(JSON, JSON)
def test_anything_can_be_compared_with_anything(one: Any, other: Any):
    """No pair of values raises."""
    assert same(one, other) in {True, False}


@given(AMOUNTS)
def test_an_amount_is_the_same_as_text_and_as_number(amount: Decimal):
    """Whichever way it is wanted, and with more zeros."""
    assert same(float(amount), f"{amount:f}")
    assert same(f"{amount:f}", float(amount))
    assert same(amount, f"{amount:f}0000")


@given(MOMENTS, ZONES)
def test_a_moment_is_the_same_in_every_zone(moment: datetime, zone: timezone):
    """And another second is another moment."""
    there = moment.astimezone(zone).isoformat()
    assert same(moment.isoformat(), there)
    assert not same((moment + timedelta(seconds=1)).isoformat(), there)


def test_the_same_field_changed_there_is_a_conflict():
    """With the three values; nothing is merged."""
    found = difference({"name": "a", "x": 1}, {"name": "b", "x": 1}, {"name": "c"})
    assert found.conflicts == {"name": {"base": "a", "theirs": "b", "mine": "c"}}
    assert (found.merged, found.is_there) == ([], False)


def test_another_field_changed_there_is_merged():
    """It is said which, and ours goes."""
    found = difference({"name": "a", "x": 1, "y": 1}, {"name": "a", "x": 2, "y": 1}, {"name": "c"})
    assert (found.conflicts, found.merged) == ({}, ["x"])
    assert found.changes == {"name": {"old": "a", "new": "c"}}


def test_what_servicetitan_keeps_itself_is_neither():
    """Only `modifiedOn` moved: nothing is to be said."""
    base, live = ({"name": "a", **dict.fromkeys(BOOKKEEPING, value)} for value in ("1", "2"))
    found = difference(base, live, {"name": "c"})
    assert (found.conflicts, found.merged) == ({}, [])


def test_the_same_change_made_there_is_no_conflict():
    """The record is as wanted already, whoever made it so."""
    found = difference({"name": "a"}, {"name": "c"}, {"name": "c"})
    assert (found.conflicts, found.is_there) == ({}, True)


def test_of_an_object_only_what_is_wanted_can_conflict():
    """Another part of the address changed there; the same part did."""
    base, wanted = {"address": {"street": "a", "city": "b"}}, {"address": {"street": "c"}}
    assert difference(base, {"address": {"street": "a", "city": "x"}}, wanted).conflicts == {}
    assert "address" in difference(base, {"address": {"street": "x", "city": "b"}}, wanted).conflicts


def test_what_the_record_does_not_show_is_told():
    """It is not known whether that is as wanted."""
    found = difference({"name": "a"}, {"name": "c"}, {"name": "c", "secret": 1})
    assert (found.unseen, found.is_there) == (["secret"], False)


def test_without_a_base_nothing_is_a_conflict():
    """Nobody knows what the change was made on."""
    found = difference(None, {"name": "b", "x": 2}, {"name": "c"})
    assert (found.conflicts, found.merged) == ({}, [])
    assert found.changes == {"name": {"old": "b", "new": "c"}}


def test_a_field_that_the_base_lacked_is_no_conflict():
    """Exports show other fields than lists."""
    assert difference({"x": 1}, {"x": 1, "name": "b"}, {"name": "c"}).conflicts == {}


@given(RECORDS, RECORDS)
def test_an_untouched_record_never_conflicts(base: dict, wanted: dict):
    """Nor is anything merged, whatever is wanted."""
    found = difference(base, base, wanted)
    assert (found.conflicts, found.merged) == ({}, [])


@given(RECORDS, RECORDS)
def test_a_record_that_has_what_is_wanted_is_there(base: dict, live: dict):
    """And nothing of it was not taken over."""
    found = difference(base, live, live)
    assert (found.is_there, found.conflicts) == (True, {})
    assert not_taken(live, live) == {}


@given(RECORDS, RECORDS, RECORDS)
def test_every_wanted_field_has_one_fate(base: dict, live: dict, wanted: dict):
    """To be changed, to be as it is, or not to be seen; what conflicts is among what changes, what is merged is not ours."""
    found = difference(base, live, wanted)
    as_it_is = {name for name in wanted.keys() & live.keys() if same(wanted[name], live[name])}
    assert {*found.changes} | {*found.unseen} | as_it_is == {*wanted}
    assert {*found.conflicts} <= {*found.changes}
    assert not {*found.merged} & {*wanted}
    assert {*not_taken(live, wanted)} <= {*found.changes} - BOOKKEEPING


def test_what_stuck_is_asked_of_visible_fields_alone():
    """A password is not shown, and bookkeeping is not ours."""
    live, wanted = {"name": "b", "x": 1, "modifiedOn": "2"}, {"name": "a", "x": 1, "password": "p", "modifiedOn": "1"}
    assert not_taken(live, wanted) == {"name": {"wanted": "a", "found": "b"}}
    assert visible(live, wanted) == ["name", "x"]


def test_a_moment_without_a_zone_is_in_utc():
    """As ServiceTitan tells its own."""
    assert same(datetime(2026, 5, 1, 12, tzinfo=UTC).isoformat(), "2026-05-01T12:00:00")


def test_what_a_record_shows_in_another_form_counts_as_taken_over():
    """Items of an invoice have fields in the body that the record does not show; a map may come back as a list."""
    live = {"items": [{"id": 1, "cost": "2.50"}], "customFields": [{"name": "a", "value": "b"}], "name": "x"}
    assert not_taken(live, {"items": [{"cost": 2.5, "unitPrice": 4}], "customFields": {"1": "b"}}) == {}
    assert not_taken(live, {"items": [{"cost": 3, "unitPrice": 4}]}) == {
        "items": {"wanted": [{"cost": 3, "unitPrice": 4}], "found": [{"id": 1, "cost": "2.50"}]}
    }
    assert not difference(None, live, {"items": [{"cost": 2.5, "unitPrice": 4}]}).is_there


def body(field: str, *enum: str) -> Node:
    """A body with one field of text."""
    inner = BodyField(field, "string", "", nullable=False, required=False, enum=enum)
    return Node(
        BodyField("", "object", "", nullable=False, required=True, enum=()), {field: Node(inner, {}, None)}, None
    )


@pytest.mark.parametrize(
    ("wanted", "found", "answer"),
    [
        ([5, 7], [{"id": 7, "name": "b"}, {"id": 5, "name": "a"}], True),
        ([5, 7], [{"id": 7}, {"id": 6}], False),
        ([5, 5], [{"id": 5}, {"id": 6}], False),
        ([1, 2, 3], [3, 1, 2], True),
        ([1, 2, 2], [1, 1, 2], False),
        ([1, 2], [1], False),
        ("Sold", {"name": "Sold", "value": 1}, True),
        ("Sold", {"name": "Open", "value": 0}, False),
        (5, {"id": 5, "name": "a"}, True),
        (5, {"title": "a"}, None),
        ({"1": "b"}, [{"name": "a"}], None),
        ({"x": 1}, {"y": 1}, None),
        ({"x": 1, "z": 2}, {"x": 1, "y": 1}, True),
        ([{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 1}], False),
        ([], [], True),
    ],
    ids=repr,
)
def test_a_record_tells_in_its_own_form_whether_a_value_was_taken_over(wanted: Any, found: Any, answer: object):
    """Ids as objects, lists of ids in any order; what cannot be compared tells nothing."""
    assert taken(wanted, found) is answer


def test_a_name_of_an_enum_is_taken_in_any_case_and_any_other_text_is_not():
    """ServiceTitan takes `open` for `Open`; a customer's name in another case is another one."""
    assert not_taken({"status": "Open"}, {"status": "open"}, body("status", "Open", "Closed")) == {}
    assert not_taken({"status": "Open"}, {"status": "open"}, body("status")) != {}


def test_what_a_put_leaves_out_conflicts_where_it_changed_there():
    """It would be emptied over somebody's head; what the body cannot carry is merged."""
    base, live = {"name": "a", "memo": "x", "total": 1}, {"name": "a", "memo": "y", "total": 2}
    found = difference(base, live, {"name": "b"}, ("name", "memo"))
    assert found.conflicts == {"memo": {"base": "x", "theirs": "y", "mine": None}}
    assert found.merged == ["total"]
