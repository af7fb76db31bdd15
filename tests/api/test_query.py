"""Queries on both engines: what is found, in which order, and on which page."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from api import page, query
from api.relations import Column, Relation
from api.resources import Comparison, Filter, Resource
from api.steps import through
from macros.functions import TRY_FUNCTIONS
from store.reader import Reader, open_reader
from store.settings import Settings
from store.warehouse import open_warehouse

COLUMNS = tuple(
    Column(name, kind)
    for name, kind in (("tenant_id", "BIGINT"), ("st_id", "BIGINT"), ("name", "TEXT"), ("rank", "BIGINT"))
)
THINGS = Resource("things", Relation("api_test.things", COLUMNS, ("st_id",)), searched=("name",))
NAMES = ("a_b", "axb", "a%b", "a\\b", "AB", None)


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[Any]:
    opened = open_warehouse(settings)
    run(opened, "CREATE SCHEMA api_test")
    run(opened, "CREATE TABLE api_test.things (tenant_id BIGINT, st_id BIGINT, name TEXT, rank BIGINT)")
    yield opened
    opened.close()


@pytest.fixture
def reader(settings: Settings, warehouse: Any) -> Iterator[Reader]:
    opened = open_reader(settings, warehouse)
    yield opened
    opened.close()


def run(warehouse: Any, statement: str, values: tuple = ()) -> None:
    if warehouse.dialect == "duckdb":
        warehouse.cursor().execute(statement, list(values))
        return
    with warehouse.cursor() as cursor:
        cursor.execute(statement.replace("?", "%s"), values or None)


def fill(warehouse: Any, rows: list[tuple]) -> None:
    run(warehouse, "DELETE FROM api_test.things")
    for row in rows:
        run(warehouse, "INSERT INTO api_test.things VALUES (?, ?, ?, ?)", row)


def keys(reader: Reader, **given_: Any) -> tuple[list[int], str | None]:
    """The keys of a page, and the mark of the next one."""
    found = through(reader, page.page(reader.dialect, page.asked(THINGS, 1, given_, {})))
    return [int(row[-1]) for row in found.rows], found.next


@pytest.mark.parametrize(
    ("piece", "wanted"), [("_", {0}), ("%", {2}), ("\\", {3}), ("b", {0, 1, 2, 3, 4}), ("a_", {0})]
)
def test_signs_of_like_stand_for_themselves(warehouse: Any, reader: Reader, piece: str, wanted: set[int]):
    """And nothing else is found."""
    fill(warehouse, [(1, key, name, None) for key, name in enumerate(NAMES)])
    assert set(keys(reader, search=piece)[0]) == wanted


def test_another_tenants_rows_are_in_no_page(warehouse: Any, reader: Reader):
    """Whatever is asked."""
    fill(warehouse, [(1, 1, "a", 1), (2, 2, "a", 1)])
    for asked in ({}, {"search": "a"}, {"sort": "rank"}, {"sort": "rank", "order": "desc"}):
        assert keys(reader, **asked) == ([1], None)


@limits(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ranks=st.lists(st.none() | st.integers(-2, 2), max_size=9), size=st.integers(1, 4), descending=st.booleans())
def test_pages_are_the_whole_list_in_order(
    warehouse: Any, reader: Reader, ranks: list[int | None], size: int, *, descending: bool
):
    """With ties and NULLs in the sort column, either way: each row once; null is the lowest value, ties go by the key."""
    fill(warehouse, [(1, key, None, rank) for key, rank in enumerate(ranks)])
    found, more = [], {}
    for _ in range(len(ranks) + 2):
        some, mark = keys(reader, sort="rank", order="desc" if descending else "asc", limit=size, **more)
        found += some
        if mark is None:
            break
        more = {"after": mark}
    lowest = [(rank is not None, rank or 0, key) for key, rank in enumerate(ranks)]
    assert found == [key for *_, key in sorted(lowest, reverse=descending)]
    total = through(reader, page.Totals().of(page.asked(THINGS, 1, {}, {}), reader.dialect))
    assert total == (len(ranks), False)


def test_long_texts_are_sorted_by_their_beginning(warehouse: Any, reader: Reader):
    """A mark stays short enough for an address; texts that begin alike go by the key."""
    names = ["b" * 5000 + "z", "a" * 5000, "b" * 5000 + "a", "c" * 5000]
    fill(warehouse, [(1, key, name, None) for key, name in enumerate(names)])
    found, more = [], {}
    for _ in names:
        some, mark = keys(reader, sort="name", limit=1, **more)
        found += some
        more = {"after": mark or ""}
        assert len(mark or "") < 500
    assert found == [1, 0, 2, 3]


@pytest.mark.parametrize("length", [1, 199, 200])
def test_a_text_is_found_by_the_whole_of_it_whatever_its_case(warehouse: Any, reader: Reader, length: int):
    """Not by its beginning, nor one that is longer than any that may be asked for; also where lower case is longer."""
    own = replace(THINGS, filters=(Filter("name", "name", Comparison.IS_TEXT),))
    for letter in ("A", "İ"):
        text = letter * length
        fill(warehouse, [(1, 1, text, None), (1, 2, text + letter, None), (1, 3, text * 600, None)])
        wanted = page.asked(own, 1, {"name": text}, {})
        assert [int(row[-1]) for row in through(reader, page.page(reader.dialect, wanted)).rows] == [1]


def test_the_functions_that_try_a_cast_are_those_that_master_uses():
    """The API names types as PostgreSQL does, the macros as sqlglot does."""
    sqlglot = {"BIGINT": "BIGINT", "NUMERIC(18,6)": "DECIMAL", "DOUBLE PRECISION": "DOUBLE"}
    assert {sqlglot.get(name, name): tried for name, tried in query.TRY_FUNCTIONS.items()} == TRY_FUNCTIONS
