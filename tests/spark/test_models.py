"""Models that Spark builds: the same rows as on DuckDB, and only what changed is written anew."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.test_engines_agree import DAYS, OWN, shown
from tests.spark.conftest import Pair

pytestmark = pytest.mark.slow


def same_form(kind: str, value: Any) -> Any:
    """A value by its content. Spark writes numbers of JSON in a form of its own: `1.50` as `1.5`, `1e3` as `1000.0`."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if value is None or not isinstance(value, str):
        return value
    if kind == "text" and not number(value) and value[:1] not in {"{", "["}:
        return value
    try:
        found = json.loads(value, parse_float=Decimal, parse_int=Decimal)
    except ValueError:
        return value
    return json.dumps(normal(found), sort_keys=True)


def number(text: str) -> bool:
    """Whether a text is a number: it was one in the payload."""
    return text[:1].isdigit() or (text[:1] == "-" and text[1:2].isdigit())


def normal(value: Any) -> Any:
    """JSON with its numbers in one form."""
    if isinstance(value, dict):
        return {key: normal(one) for key, one in value.items()}
    if isinstance(value, list):
        return [normal(one) for one in value]
    return format(float(value), ".12g") if isinstance(value, Decimal) else value


def rows_of(stores: Any, table: tuple[str, str], columns: list[tuple[str, str]]) -> list[tuple[Any, ...]]:
    """All rows of a table in one order, without what tells of the run of the models."""
    wanted = [(name, kind) for name, kind in columns if name not in OWN]
    picked = ", ".join(f'CAST("{name}" AS TEXT)' if kind == "jsonb" else f'"{name}"' for name, kind in wanted)
    found = stores.warehouse.fetch(f'SELECT {picked} FROM {table[0]}."{table[1]}"')
    return sorted(
        (tuple(same_form(kind, value) for (_, kind), value in zip(wanted, row, strict=True)) for row in found), key=repr
    )


def check_same(pair: Pair) -> int:
    """Every table and view of master, crm and audit has the same columns, types and rows; how many rows were compared."""
    tables, compared, differing = shown(pair.duckdb), 0, dict[tuple[str, ...], Any]()
    assert shown(pair.files) == tables
    for table, columns in tables.items():
        names = [name for name, _ in columns if name not in OWN]
        expected, found = rows_of(pair.duckdb, table, columns), rows_of(pair.files, table, columns)
        assert len(found) == len(expected), table
        compared += len(expected)
        for ours, theirs in zip(expected, found, strict=True):
            for name, one, other in zip(names, ours, theirs, strict=True):
                if one != other and not (DAYS.search(name) and abs(one - other) == 1):
                    differing.setdefault((*table, name), (one, other))
    assert not differing, "\n".join(f"{place}: {values}" for place, values in differing.items())
    return compared


def times(pair: Pair, entity: str) -> dict[str, int]:
    """By partition of a master table when its files were written."""
    [folder] = (pair.warehouse.files / "master_store").glob(f"{entity}__*")
    return {each.parent.name: each.stat().st_mtime_ns for each in folder.glob("key_bucket=*/*.parquet")}


def test_spark_shows_the_same_as_duckdb_and_rewrites_what_changed(pair: Pair):
    """Of odd records, at first and behind changes and deletions; partitions without changes keep their files and times."""
    assert check_same(pair) > 500
    key = pair.sandbox.records("customers")[0]["id"]
    pair.sandbox.change("customers", key, name="Changed")
    pair.sandbox.delete("jobs", pair.sandbox.records("jobs")[-1]["id"])
    before = {entity: times(pair, entity) for entity in ("customers", "jobs", "estimates")}
    pair.land()
    assert check_same(pair) > 500
    after = {entity: times(pair, entity) for entity in before}
    written = {
        entity: {name for name, time in after[entity].items() if before[entity].get(name) != time} for entity in after
    }
    assert len(before["customers"]) > 5
    assert len(written["customers"]) == 1
    assert len(written["jobs"]) == 1
    assert written["estimates"] == set()
    assert all(before[entity].keys() <= after[entity].keys() for entity in before)
    assert pair.warehouse.fetch("SELECT COUNT(*) FROM master.customers WHERE name = 'Changed'") == [(1,)]
    assert pair.warehouse.fetch("SELECT COUNT(*) FROM audit.log WHERE operation = 'update'")[0][0] >= 1
    assert pair.warehouse.fetch("SELECT COUNT(*) FROM audit.quarantine")[0][0] > 1


def test_nothing_is_left_on_the_way(pair: Pair):
    """Neither half files nor folders of what was written elsewhere first."""
    files = pair.warehouse.files
    assert [*(files / "merging").glob("*")] == []
    assert [str(each) for each in Path(files).rglob("*.part")] == []
