"""The casts and comparisons of the models: the same text gives the same value on every engine."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from macros.functions import FUNCTIONS
from store.settings import Settings
from store.warehouse import DuckDB, Postgres, open_warehouse

LARGEST, LOWEST = 2**63 - 1, -(2**63)
CASTS = [
    ("bigint", "42", 42),
    ("bigint", "-7.0", -7),
    ("bigint", "4611686018427387904", 2**62),
    ("bigint", str(LARGEST), LARGEST),
    ("bigint", f"{LARGEST}.0", LARGEST),
    ("bigint", str(LOWEST), LOWEST),
    ("bigint", str(LARGEST + 1), None),
    ("bigint", str(LOWEST - 1), None),
    ("bigint", "1.5", None),
    ("bigint", "", None),
    ("numeric", "1234.5", Decimal("1234.5")),
    ("numeric", "1e3", Decimal(1000)),
    ("numeric", "free", None),
    ("double", "0.25", 0.25),
    ("boolean", "True", True),
    ("boolean", "yes", None),
    ("timestamptz", "2026-01-02T16:28:55.8446003Z", datetime(2026, 1, 2, 16, 28, 55, 844600, UTC)),
    ("timestamptz", "2025-10-13T00:00:00", datetime(2025, 10, 13, tzinfo=UTC)),
    ("timestamptz", "2025-02-30T00:00:00Z", None),
    ("date", "13.10.2025", None),
]


@pytest.fixture
def warehouse(settings: Settings) -> Iterator[DuckDB | Postgres]:
    """A warehouse with the functions."""
    opened = open_warehouse(settings)
    opened.prepare([])
    with nullcontext(opened.cursor()) if isinstance(opened, DuckDB) else opened.cursor() as cursor:
        for statement in FUNCTIONS[opened.dialect]:
            cursor.execute(statement)
    yield opened
    opened.close()


def test_what_fits_is_typed_and_what_does_not_is_null(warehouse: DuckDB | Postgres):
    """Numbers up to the ends of their type, moments with seven digits or without a zone; never an error."""
    mark = "?" if warehouse.dialect == "duckdb" else "%s"
    typed = [
        (f"raw.try_{name}", text, warehouse.fetch(f"SELECT raw.try_{name}({mark})", (text,))[0][0])
        for name, text, _ in CASTS
    ]
    assert typed == [(f"raw.try_{name}", text, value) for name, text, value in CASTS]


NAMES = st.sampled_from(["a", "b", 'quote"', "\u00e9", ""])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.sampled_from(["", "x", "{", "[1]", "null", 0.5, 12.0])
)
VALUES = st.recursive(
    SCALARS, lambda within: st.lists(within, max_size=3) | st.dictionaries(NAMES, within, max_size=3), max_leaves=8
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def turned(value: object) -> object:
    """The same with the fields of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: turned(within) for name, within in reversed(value.items())}
    return [turned(within) for within in value] if isinstance(value, list) else value


def truly_differ(a: object, b: object) -> bool:
    """Whether JSON values differ: true is not 1, as Python has it."""
    return json.dumps(a, sort_keys=True).replace(".0", "") != json.dumps(b, sort_keys=True).replace(".0", "")


@rules(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=OBJECTS, new=OBJECTS)
@example(old={"a": [1, 2], "b": 1}, new={"a": [2, 1], "b": 1.0})
@example(old={"a": {"b": [{"c": 1, "d": {"e": 2, "f": 3}}]}}, new={})
def test_fields_are_compared_by_what_they_contain(
    warehouse: DuckDB | Postgres, old: dict[str, object], new: dict[str, object]
):
    """The order of an object's fields is no change, whatever stands within; that of an array is one."""
    mark, kind = ("?", "JSON") if warehouse.dialect == "duckdb" else ("%s", "JSONB")
    query = f"SELECT CAST(raw.changed_fields(CAST({mark} AS {kind}), CAST({mark} AS {kind})) AS TEXT)"

    def changed(one: object, other: object) -> object:
        return json.loads(warehouse.fetch(query, (json.dumps(one), json.dumps(other)))[0][0])

    expected = {
        name: {"old": old.get(name), "new": new.get(name)}
        for name in {*old, *new}
        if (name in old) != (name in new) or truly_differ(old.get(name), new.get(name))
    }
    assert changed(old, new) == expected
    assert changed(old, turned(new)) == expected
    assert changed(old, turned(old)) == {}
