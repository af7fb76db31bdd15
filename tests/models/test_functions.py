"""The casts of master: the same text gives the same value on every engine."""

from contextlib import nullcontext
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

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
