"""The same rows of raw give the same rows of master, crm and audit on every engine, column by column.

Spark takes seconds a model: `tests/spark` compares a few entities, and all that hangs on them.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.legacy.warehouse import append
from pipelines.modelling import refresh
from pipelines.sync import Stores, land_all, note_landed
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG, Feed
from sources.servicetitan.reading import raw_table
from store.raw import PUSHED
from store.settings import Engine, Settings
from store.warehouse import DuckDB
from tests.whole import reach

ODD = ("unknown_fields", "wrong_types", "nul", "half_pairs", "integer_enums")
OWN = {"modeled_at"}  # tells of the run of the models, not of the rows
DAYS = re.compile(r"(?:^|_)days(?:_|$)")
"""Columns that are counted up to the run of the models, which are minutes apart: a day may have gone by."""
SHOWN = """SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema IN ('master', 'crm', 'audit') ORDER BY table_schema, table_name"""
COLUMNS = """SELECT column_name, data_type FROM information_schema.columns
WHERE table_schema = '{}' AND table_name = '{}' ORDER BY ordinal_position"""
TYPES = {  # by what an engine calls them
    "JSON": "jsonb", "VARCHAR": "text", "BIGINT": "bigint", "BOOLEAN": "boolean", "DOUBLE": "double precision",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "DATE": "date", "INTEGER": "integer",
}  # fmt: skip


@dataclass
class Engines:
    """A sandbox, the store into which it lands, and stores into which that one's raw rows are copied."""

    sandbox: Sandbox
    first: Stores
    others: dict[str, Stores]
    copied: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def land(self) -> None:
        """Land what is new in the first store, copy it, and bring all models up to date."""
        assert land_all(self.first, reach(self.sandbox), CATALOG).is_good
        for entity in CATALOG:
            table = raw_table(entity)
            query = f"SELECT {', '.join(PUSHED)} FROM raw.{table.name} WHERE synced_at > ? ORDER BY synced_at"
            assert isinstance(self.first.warehouse, DuckDB)
            rows = self.first.warehouse.cursor().execute(query, [self.copied]).to_arrow_table()
            for stores in self.others.values() if rows.num_rows else ():
                append(stores.warehouse, table, rows.drop_columns("_dlt_load_id"))
                note_landed(stores, table.name)
        self.copied = datetime.now(UTC)
        for stores in [self.first, *self.others.values()]:
            assert refresh(stores.settings, stores.operations) in {"planned", "refreshed"}


@pytest.fixture
def engines(make_database: Callable[[], str], tmp_path: Path) -> Iterator[Engines]:
    def opened(engine: Engine) -> Stores:
        url = "" if engine is Engine.DUCKDB else make_database()
        return Stores.open(Settings(url, tmp_path / engine, 3001, "warning", warehouse=engine))

    with (
        Sandbox(seed=9, customers=25, faults=ODD, report_interval=0) as sandbox,
        closing(opened(Engine.DUCKDB)) as first,
    ):
        others = {engine: opened(engine) for engine in Engine if engine not in {Engine.DUCKDB, Engine.SPARK}}
        yield Engines(sandbox, first, others)
        for stores in others.values():
            stores.close()


def shown(stores: Stores) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """By table of master, crm and audit its columns, with the names that PostgreSQL has for their types."""
    return {
        (schema, table): [
            (name, "numeric" if kind.startswith("DECIMAL") else TYPES.get(kind, kind))
            for name, kind in stores.warehouse.fetch(COLUMNS.format(schema, table))
        ]
        for schema, table in stores.warehouse.fetch(SHOWN)
    }


def plain(kind: str, value: Any) -> Any:
    """A value as it is compared: JSON by its content, numbers and moments by what they are."""
    if value is None:
        return None
    if kind == "jsonb":
        text = value if isinstance(value, str) else json.dumps(value)
        return json.dumps(
            json.loads(text, parse_float=lambda number: Decimal(number).normalize()), sort_keys=True, default=str
        )
    if kind == "numeric":
        return Decimal(value).normalize()
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str) and value[:1] in {
        "{",
        "[",
    }:  # what stood in the place of a text: PostgreSQL writes it its own way
        return ordered(value)
    assert isinstance(value, str | int | float | bool | date), type(value)
    return value


def ordered(text: str) -> str:
    """A JSON text in one order and form."""
    return json.dumps(
        json.loads(text, parse_float=lambda number: Decimal(number).normalize()), sort_keys=True, default=str
    )


def rows_of(stores: Stores, table: tuple[str, str], columns: list[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """All rows of a table, in an order that is the same everywhere."""
    wanted = [(name, kind) for name, kind in columns if name not in OWN]
    picked = ", ".join(f'CAST("{name}" AS TEXT)' if kind == "jsonb" else f'"{name}"' for name, kind in wanted)
    found = stores.warehouse.fetch(f'SELECT {picked} FROM {table[0]}."{table[1]}"')
    plainly = [tuple(plain(kind, value) for (_, kind), value in zip(wanted, row, strict=True)) for row in found]
    return sorted(plainly, key=repr)


def check_same(engines: Engines) -> int:
    """Every table has the same columns and rows everywhere; how many rows were compared."""
    tables, compared = shown(engines.first), 0
    differing: dict[tuple[str, ...], Any] = {}
    for engine, stores in engines.others.items():
        assert shown(stores) == tables, engine
    for table, columns in tables.items():
        expected, names = rows_of(engines.first, table, columns), [name for name, _ in columns if name not in OWN]
        compared += len(expected)
        for engine, stores in engines.others.items():
            found = rows_of(stores, table, columns)
            assert len(found) == len(expected), (engine, table)
            for ours, theirs in zip(expected, found, strict=True):
                for name, one, other in zip(names, ours, theirs, strict=True):
                    if one != other and not (DAYS.search(name) and abs(one - other) == 1):
                        differing.setdefault((engine, *table, name), (one, other))
    assert not differing, "\n".join(f"{place}: {values}" for place, values in differing.items())
    return compared


@pytest.mark.slow
def test_every_engine_shows_the_same(engines: Engines):
    """Built of odd records, and brought up to date behind changes, deletions and a change back."""
    engines.land()
    assert check_same(engines) > 5000
    for entity in CATALOG:
        records = engines.sandbox.records(entity.name) if entity.feed in {Feed.EXPORT, Feed.LIST} else []
        if len(records) > 3 and entity.generation == 0 and all(isinstance(one.get("id"), int) for one in records):
            if "name" in records[0]:
                engines.sandbox.change(entity.name, records[0]["id"], name="Changed")
            if entity.feed is Feed.EXPORT:
                engines.sandbox.delete(entity.name, records[-1]["id"])
    engines.land()
    assert check_same(engines) > 5000
    assert engines.first.warehouse.fetch("SELECT COUNT(*) FROM audit.log WHERE operation = 'update'")[0][0] > 10
    assert engines.first.warehouse.fetch("SELECT COUNT(*) FROM audit.quarantine")[0][0] > 10
