"""The log as the audit page asks for it, on either engine, and what it makes of a row; without a browser."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from api.pages.audit_change import FOLDED, change, differences
from api.pages.audit_days import DAYS, drawn, last_day
from api.pages.audit_filters import typed
from api.pages.audit_list import PAGE, Listing, listing
from api.problems import UnknownParameterError
from store.settings import Settings
from tests.pages.tables import Tables

NOON = datetime(2026, 5, 14, 12, tzinfo=UTC)
LOG = (
    "entity TEXT, tenant_id BIGINT, record_id TEXT, operation TEXT, changed_fields {json}, changes {json}, actor_type TEXT, "
    "actor_id TEXT, mutation_id TEXT, synced_at TIMESTAMPTZ, payload_hash TEXT"
)


def logged(number: int, at: datetime, changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A row of the log."""
    row = {
        "entity": "jobs",
        "tenant_id": 1,
        "record_id": str(number),
        "operation": "update" if changes else "insert",
        "changed_fields": json.dumps(sorted(changes)) if changes else None,
        "changes": json.dumps({name: {"old": old, "new": new} for name, (old, new) in (changes or {}).items()} or None),
        "actor_type": "servicetitan",
        "actor_id": "7",
        "mutation_id": None,
        "synced_at": at,
        "payload_hash": f"h{number}",
    }
    return row | more


ROWS = [
    logged(1, NOON, {"jobStatus": ("Scheduled", "Done"), "modifiedOn": ("a", "b")}),
    logged(2, NOON, {"summary": ("a", "b")}, actor_type="lazi", actor_id="Ann", mutation_id="17"),
    logged(3, NOON - timedelta(days=1), {"address": ({"zip": "1"}, {"zip": "2"})}, entity="customers", actor_id=None),
    logged(4, NOON - timedelta(days=2), entity="customers", actor_id="8"),
    logged(5, NOON - timedelta(days=60), {"active": (True, False)}, operation="delete", actor_id="Ann"),
    logged(6, NOON, {"summary": ("theirs", "none of ours")}, tenant_id=2, actor_id="Ann", actor_type="lazi"),
]
EMPLOYEES = [
    {"tenant_id": 1, "st_id": 7, "name": "Maria Lopez"},
    {"tenant_id": 2, "st_id": 8, "name": "Maria Lopez"},
]


@pytest.fixture
def tables(settings: Settings) -> Iterator[Tables]:
    """A log."""
    made = Tables(settings)
    made.make("audit.log", LOG.format(json="JSONB" if made.dialect == "postgres" else "JSON"), ROWS)
    made.make("master.employees", "tenant_id BIGINT, st_id BIGINT, name TEXT", EMPLOYEES)
    with time_machine.travel(NOON + timedelta(hours=1), tick=False):
        yield made
    made.close()


def found(tables: Tables, **texts: str) -> Listing:
    """The page with these filters."""
    return tables.ask(listing(tables.dialect, 1, texts))  # type: ignore[no-any-return]


def numbers(page: Listing) -> list[int]:
    """The records of a page."""
    return [int(each.record_id) for each in page.changes]


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ({}, [2, 1, 3, 4, 5]),
        ({"entity": "customers"}, [3, 4]),
        ({"entity": "customers", "record": "4"}, [4]),
        ({"field": "summary"}, [2]),
        ({"field": "address.zip"}, [3]),
        ({"field": "zip"}, []),
        ({"field": "' OR 1=1 --"}, []),
        ({"operation": "delete"}, [5]),
        ({"actor_type": "lazi"}, [2]),
        ({"actor": "Ann"}, [2, 5]),
        ({"actor": "7"}, [1]),
        ({"actor": "maria lopez"}, [1]),
        ({"day": "2026-05-14"}, [2, 1]),
        ({"day": "2026-03-15", "operation": "delete"}, [5]),
        ({"day": "2031-01-01"}, []),
        ({"day": "2000-01-01"}, []),
        ({"day": "2999-12-31"}, []),
    ],
    ids=str,
)
def test_filters_narrow_the_log(tables: Tables, texts: dict[str, str], wanted: list[int]):
    """The newest first, and never another tenant's; a name is somebody's of ours or an employee's, whose id the log has."""
    page = found(tables, **texts)
    assert (numbers(page), page.error, page.onward) == (wanted, "", "")


def test_a_change_tells_who_made_it(tables: Tables):
    """By name, where the copy has the employee; a change of ours leads to its mutation."""
    told = {each.record_id: (each.who, each.mutation_id, each.is_ours) for each in found(tables).changes}
    assert told["1"] == ("Maria Lopez in ServiceTitan", None, False)
    assert told["2"] == ("Ann", "17", True)
    assert told["3"] == ("ServiceTitan", None, False)
    assert told["4"] == ("ServiceTitan user 8", None, False)


def test_the_chart_counts_what_the_filters_find_in_the_last_days(tables: Tables):
    """First versions are no changes, unless they are asked for; a day that is long ago has its own 30 days."""
    chart = found(tables).chart
    assert chart
    assert (len(chart.places), chart.places[-1].column.name) == (DAYS, "2026-05-14")
    assert [place.column.values for place in chart.places[-3:]] == [(0.0, 0.0), (1.0, 0.0), (2.0, 1.0)]
    old = found(tables, day="2026-03-15").chart
    assert old
    assert {place.column.name: place.column.values for place in old.places}["2026-03-15"] == (1.0, 0.0)
    only = found(tables, entity="customers").chart
    assert only
    assert sum(place.column.values[0] for place in only.places) == 1
    first = found(tables, operation="insert").chart
    assert first
    assert [place.column.values for place in first.places[-3:]] == [(1.0, 0.0), (0.0, 0.0), (0.0, 0.0)]
    assert ("not counted" in only.about, "not counted" in first.about) == (True, False)


def test_pages_follow_each_other_without_gap_or_repetition(settings: Settings):
    """Also where many rows landed at the same moment; the address of older ones keeps the filters."""
    with closing(Tables(settings)) as tables:
        rows = [logged(number, NOON - timedelta(minutes=number // 40)) for number in range(2 * PAGE + 7)]
        rows += [logged(number, NOON, entity="customers") for number in range(3)]
        tables.make("audit.log", LOG.format(json="JSONB" if tables.dialect == "postgres" else "JSON"), rows)
        tables.make("master.employees", "tenant_id BIGINT, st_id BIGINT, name TEXT", [])
        seen: list[int] = []
        texts = {"entity": "jobs"}
        for size in (PAGE, PAGE, 7):
            page = found(tables, **texts)
            assert len(page.changes) == size
            seen += numbers(page)
            assert page.onward.startswith("/audit?entity=jobs&after=") or size == 7
            texts = typed(page.onward.partition("?")[2].encode())
        assert (sorted(seen), page.onward) == (list(range(2 * PAGE + 7)), "")


@pytest.mark.parametrize(
    ("texts", "status", "told"),
    [
        ({"entity": "jbs"}, 400, "`entity` is `jbs`, allowed is one of the list: perhaps `jobs`"),
        ({"entity": "\N{SNOWMAN}"}, 400, "allowed is one of the list."),
        ({"day": "yesterday", "field": "x"}, 400, "`day` is `yesterday`, allowed is a day like"),
        ({"day": "9999-12-31"}, 400, "a day from `2000-01-01` to `2999-12-31`"),
        ({"day": "0001-01-01"}, 400, "a day from `2000-01-01` to `2999-12-31`"),
        ({"operation": "change"}, 400, "`insert`, `update`"),
        ({"field": "a\0b"}, 400, "without NUL"),
        ({"after": "abc"}, 409, "Begin again without `after`"),
        ({"after": "!"}, 400, "`after`"),
    ],
    ids=str,
)
def test_a_filter_that_is_wrong_is_told_and_keeps_what_was_typed(
    tables: Tables, texts: dict[str, str], status: int, told: str
):
    """With what is allowed."""
    page = found(tables, **texts)
    assert (page.status, page.texts, page.changes, page.chart) == (status, texts, [], None)
    assert told in page.error


def test_a_filter_that_there_is_not_is_refused():
    """With those that there are."""
    with pytest.raises(UnknownParameterError, match="`actor`"):
        typed(b"who=Ann")
    assert typed(b"actor=+Ann+&day=&entity=jobs") == {"actor": "Ann", "entity": "jobs"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("a", "b", {"f": ("a", "b")}),
        (None, "", {"f": ("empty", "empty")}),
        (1, 1.5, {"f": ("1", "1.5")}),
        ({"a": 1, "b": {"c": 1}}, {"a": 1, "b": {"c": 2, "d": None}}, {"f.b.c": ("1", "2"), "f.b.d": ("", "empty")}),
        ([1, 2], [1, 2, 9], {"f": ("1, 2", "1, 2, 9")}),
        (
            [{"name": "Gate", "value": "1"}, {"name": "Dog", "value": "x"}],
            [{"name": "Gate", "value": "2"}, {"name": "Dog", "value": "x"}],
            {"f[Gate].value": ("1", "2")},
        ),
        ([{"id": 1, "n": 1}], [{"id": 1, "n": 1}, {"id": 2, "n": 5}], {"f[2]": ("", '{\n  "id": 2,\n  "n": 5\n}')}),
        (
            [{"x": 1}, {"x": 2}],
            [{"x": 3}],
            {"f": ('[\n  {\n    "x": 1\n  },\n  {\n    "x": 2\n  }\n]', '[\n  {\n    "x": 3\n  }\n]')},
        ),
        (True, 1, {"f": ("true", "1")}),
        ("a\u202eb", "\x07", {"f": ("a\N{REPLACEMENT CHARACTER}b", "\N{REPLACEMENT CHARACTER}")}),
        ("a\r\nb", "a\u00a0b\u200dc", {"f": ("a\r\nb", "a\u00a0b\u200dc")}),
    ],
)
def test_what_differs_is_told_by_its_path(old: Any, new: Any, told: dict[str, tuple[str, str]]):
    """What did not change in objects and lists is left out; signs that steer a screen do not get to one, spaces do."""
    assert {each.path: (each.old.text, each.new.text) for each in differences("f", old, new)} == told


def test_an_object_without_end_is_told_as_far_as_one_can_see():
    """Then as JSON."""
    old: Any = 1
    new: Any = 2
    for _ in range(100):
        old, new = {"a": old}, {"a": new}
    [one] = differences("f", old, new)
    assert one.path == "f" + ".a" * 8


def test_fields_that_differ_in_every_version_are_told_only_when_asked_for():
    """Or when nothing else changed; the field that is asked for comes first, and many are folded."""
    row = logged(1, NOON, {"b": (1, 2), "modifiedOn": ("a", "b"), "z": (1, 2)})
    assert [each.path for each in change(row, {}).differences] == ["b", "z"]
    assert [each.path for each in change(row, {}, "z").differences] == ["z", "b"]
    assert [each.path for each in change(row, {}, "modifiedOn").differences] == ["modifiedOn", "b", "z"]
    only = logged(1, NOON, {"modifiedOn": ("a", "b")})
    assert [each.path for each in change(only, {}).differences] == ["modifiedOn"]
    many = change(logged(1, NOON, {f"f{number}": (1, 2) for number in range(FOLDED + 3)}), {})
    assert (len(many.shown), len(many.folded)) == (FOLDED, 3)


def test_records_with_a_page_of_their_own_lead_to_it():
    """Others have their history."""
    assert change(logged(5, NOON, entity="customers"), {}).page == "/customers/5"
    assert change(logged(5, NOON), {}).page == ""


def test_the_chart_ends_today_or_behind_a_day_that_is_long_ago():
    """So that the day is in it."""
    today = date(2026, 5, 14)
    for day in (None, today, date(2026, 4, 15)):
        assert last_day(today, day) == today
    assert last_day(today, date(2026, 1, 1)) == date(2026, 1, 8)
    chart = drawn({date(2026, 1, 3): (5, 2)}, date(2026, 1, 1), date(2026, 1, 3))
    assert [place.column.label for place in chart.places if place.column.label] == ["Jan 3"]
    assert chart.about == "5 changes from 2026-01-01 to 2026-01-30, 2 through ST-LAZI."
    weeks = [place.column.label for place in drawn({}, date(2026, 1, 1), None).places if place.column.label]
    assert weeks == ["Jan 2", "Jan 9", "Jan 16", "Jan 23", "Jan 30"]
