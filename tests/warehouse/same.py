"""Whether two warehouses hold the same: every row of a table, column by column, as often as it stands there."""

import json
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.warehouse import DuckDB, Postgres

RAW = tuple(f"raw.{name}" for name in (*(raw_table(entity).name for entity in CATALOG), "_dlt_version", "_dlt_loads"))
CURSORS = "raw._dlt_pipeline_state"
OF_THE_MOMENT = {"modeled_at", "customer_age_days", "days_since_last_activity", "age_days"}
"""Columns that say when a model ran, or depend on when they are read."""


def columns(warehouse: DuckDB | Postgres, table: str) -> dict[str, str]:
    """Columns of a table and their types, as its engine calls them."""
    schema, _, name = table.partition(".")
    query = (
        "SELECT column_name, LOWER(data_type) FROM information_schema.columns "
        f"WHERE table_schema = '{schema}' AND table_name = '{name}'"
    )
    return dict(warehouse.fetch(query))


def rows(warehouse: DuckDB | Postgres, table: str, documents: frozenset[str] = frozenset()) -> Counter[tuple[Any, ...]]:
    """All rows of a table, in values that are the same on every engine; columns in the order of their names.

    `documents` are columns of JSON besides those that this engine calls so: a lake's views give text.
    """
    kinds = {name: kind for name, kind in sorted(columns(warehouse, table).items()) if name not in OF_THE_MOMENT}
    is_document = {name: kind.startswith("json") or name in documents for name, kind in kinds.items()}
    chosen = ", ".join(f'CAST("{name}" AS TEXT)' if is_document[name] else f'"{name}"' for name in kinds)
    return Counter(
        tuple(plain(value, is_document=known) for value, known in zip(row, is_document.values(), strict=True))
        for row in warehouse.fetch(f"SELECT {chosen} FROM {table}")
    )


def plain(value: Any, *, is_document: bool) -> Any:
    """A value as it is on every engine."""
    if isinstance(value, str) and (is_document or value.startswith('{"')):  # engines space documents in texts otherwise
        return json.dumps(json.loads(value, parse_float=lambda text: repr(Decimal(text).normalize())), sort_keys=True)
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    if isinstance(value, Decimal | float):
        return Decimal(str(value)).normalize()
    return json.dumps(value, default=str) if isinstance(value, list | dict) else value


def assert_same(here: DuckDB | Postgres, there: DuckDB | Postgres, tables: tuple[str, ...] = (*RAW, CURSORS)) -> int:
    """Fail where a table differs; how many rows there are."""
    total, differences = 0, []
    for table in tables:
        one, other = columns(here, table), columns(there, table)
        assert set(one) == set(other), table
        documents = frozenset(name for name in one if "json" in one[name] + other[name])
        found, others = rows(here, table, documents), rows(there, table, documents)
        if found != others:
            differences.append((table, list((found - others).items())[:1], list((others - found).items())[:1]))
        total += sum(found.values())
    assert not differences, "\n".join(map(str, differences))
    return total
