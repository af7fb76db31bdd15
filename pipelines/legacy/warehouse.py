"""What is asked of our raw tables, and how many rows are appended to them at once: by COPY on PostgreSQL."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg2
import pyarrow as pa
import pyarrow.csv

from pipelines.legacy.timeline import Entry, Timeline, micros
from store.raw import PUSHED, Key, RawTable, with_load_id
from store.warehouse import DuckDB, Postgres

REFUSED = (duckdb.ConversionException, duckdb.InvalidInputException, psycopg2.DataError)
"""What an engine raises for values that it does not take."""

CASTS = {"duckdb": "CAST(? AS JSON)", "postgres": "CAST(%s AS JSONB)"}


def timelines(
    warehouse: DuckDB | Postgres, table: RawTable, tenant_id: int, keys: Sequence[Key]
) -> dict[Key, Timeline]:
    """All versions of these records."""
    found: dict[Key, list[Entry]] = {key: [] for key in keys}
    query = (
        f"SELECT st_id, synced_at, payload_hash, modified_on FROM raw.{table.name} WHERE {of_keys(warehouse, table)}"
    )
    for key, synced_at, hash_, modified_on in warehouse.fetch(query, (tenant_id, list(keys))):
        found[key].append(Entry(micros(synced_at), hash_, modified_on and modified_on.astimezone(UTC)))
    return {key: Timeline.of(entries) for key, entries in found.items()}


def of_keys(warehouse: DuckDB | Postgres, table: RawTable) -> str:
    """The condition for the versions of some of a tenant's records."""
    if warehouse.dialect == "postgres":
        return f"tenant_id = %s AND st_id = ANY(%s::{table.key_type}[])"
    return "tenant_id = ? AND st_id IN (SELECT UNNEST(?))"


def records(warehouse: DuckDB | Postgres, table: RawTable, tenants: Sequence[int]) -> int:
    """How many records of these tenants there are."""
    marks = ", ".join(["%s" if warehouse.dialect == "postgres" else "?"] * len(tenants))
    distinct = f"SELECT DISTINCT tenant_id, st_id FROM raw.{table.name} WHERE tenant_id IN ({marks})"
    return int(warehouse.fetch(f"SELECT COUNT(*) FROM ({distinct}) AS r", tuple(tenants))[0][0])


def version_at(
    warehouse: DuckDB | Postgres, table: RawTable, tenant_id: int, key: Key, moment: datetime
) -> tuple[str, str] | None:
    """Payload and hash of a record as it was known at a moment: the newest version of then, else the first one there is."""
    mark = "%s" if warehouse.dialect == "postgres" else "?"
    base = (
        f"SELECT CAST(payload AS TEXT), payload_hash FROM raw.{table.name} WHERE tenant_id = {mark} AND st_id = {mark}"
    )
    known = warehouse.fetch(f"{base} AND synced_at <= {mark} ORDER BY synced_at DESC LIMIT 1", (tenant_id, key, moment))
    found = known or warehouse.fetch(f"{base} ORDER BY synced_at LIMIT 1", (tenant_id, key))
    return (found[0][0], found[0][1]) if found else None


def append(warehouse: DuckDB | Postgres, table: RawTable, rows: pa.Table) -> None:
    """Append rows in one transaction."""
    if isinstance(warehouse, DuckDB):
        warehouse.append(table, rows)
        return
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False)
    pyarrow.csv.write_csv(with_load_id(rows).select(list(PUSHED)), sink, options)
    with warehouse.cursor() as cursor:
        cursor.copy_expert(
            f"COPY raw.{table.name} ({', '.join(PUSHED)}) FROM STDIN (FORMAT csv)",
            pa.BufferReader(sink.getvalue()),
        )


def takes(warehouse: DuckDB | Postgres, payload: Any) -> bool:
    """Whether the engine takes a payload."""
    try:
        warehouse.fetch(f"SELECT {CASTS[warehouse.dialect]} IS NULL", (payload,))
    except REFUSED:
        return False
    return True
