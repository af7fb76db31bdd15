"""Pruning: old versions leave raw, but never those that something still needs.

Of each record stay the version that is shown, the one that landed last, the one before it (with which the next change is
compared), every version that landed within the policy, and every one that a change is based on.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from store.exceptions import StoreUnfitError
from store.operations import Operations
from store.raw import SHOWN_FIRST, RawTable
from store.transaction import transaction
from store.warehouse import DuckDB, DuckLake, Postgres, SparkFiles

LANDED_LATELY = 2  # versions of each record that stay whatever their age
PARTS = 4  # in which a table is pruned, so that no statement is long

OLD = """
SELECT place FROM (
  SELECT {place} AS place, synced_at, payload_hash,
    DENSE_RANK() OVER (PARTITION BY tenant_id, st_id ORDER BY {shown}) AS shown,
    DENSE_RANK() OVER (PARTITION BY tenant_id, st_id ORDER BY synced_at DESC, payload_hash DESC) AS landed
  FROM raw.{table} WHERE key_bucket >= {mark} AND key_bucket < {mark}
) AS versions
WHERE shown > 1 AND landed > {lately} AND synced_at < {mark} AND {free}"""
"""Where the rows stand that may go. Rows that are the same are one version, and stay or go together."""
PLACES = {"duckdb": "rowid", "postgres": "ctid"}
BUCKETS = 64


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many versions of an entity's table went."""

    table: str
    versions: int


def prune(
    warehouse: DuckDB | Postgres, operations: Operations, tables: Iterable[RawTable], before: datetime, *, dry: bool
) -> Iterator[Pruned]:
    """Take away what landed before a moment and nothing needs; when `dry`, only count it. A table at a time.

    No model may run meanwhile: it would compare versions with what is left of those before them. Raises StoreUnfitError where
    an engine cannot.
    """
    if isinstance(warehouse, SparkFiles):
        raise StoreUnfitError(
            f"Nothing is taken away from the files in `{warehouse.files}`: raw files are only ever added."
        )
    hashes = [str(row["base_hash"]) for row in operations.run("mutation_bases")]
    width = BUCKETS // PARTS
    for table in tables:
        parts = [(first, first + width, before, hashes) for first in range(0, BUCKETS, width)]
        found = sum(counted(warehouse, table, values) for values in parts)
        if found and not dry:
            note(warehouse, table)  # first: it holds also when this is cut off
            found = sum(taken_away(warehouse, table, values) for values in parts)
        if found:
            yield Pruned(table.name, found)


def note(warehouse: DuckDB | Postgres, table: RawTable) -> None:
    """Write down that a table was pruned: the log of changes then knows why a version has no one before it."""
    entity = table.name.removeprefix("st_")
    known = f"SELECT 1 FROM raw._lazi_pruned WHERE entity = '{entity}'"
    for statement in (
        "CREATE TABLE IF NOT EXISTS raw._lazi_pruned (entity TEXT NOT NULL)",
        f"INSERT INTO raw._lazi_pruned SELECT '{entity}' WHERE NOT EXISTS ({known})",
    ):
        if isinstance(warehouse, DuckDB):
            warehouse.cursor().execute(statement)
        else:
            with warehouse.cursor() as cursor:
                cursor.execute(statement)


def old(warehouse: DuckDB | Postgres, table: RawTable) -> str:
    """The query of what may go: two buckets, the moment and the hashes to keep are its values."""
    mark = "%s" if warehouse.dialect == "postgres" else "?"
    free = f"NOT COALESCE(payload_hash = ANY(CAST({mark} AS TEXT[])), FALSE)"
    place = PLACES[warehouse.dialect]
    return OLD.format(place=place, shown=SHOWN_FIRST, table=table.name, mark=mark, lately=LANDED_LATELY, free=free)


def counted(warehouse: DuckDB | Postgres, table: RawTable, values: tuple[Any, ...]) -> int:
    """How many versions may go."""
    return int(warehouse.fetch(f"SELECT COUNT(*) FROM ({old(warehouse, table)}) AS old", values)[0][0])


def taken_away(warehouse: DuckDB | Postgres, table: RawTable, values: tuple[Any, ...]) -> int:
    """Take them away, in a transaction of its own; how many they were."""
    statement = f"DELETE FROM raw.{table.name} WHERE {PLACES[warehouse.dialect]} IN ({old(warehouse, table)})"
    if isinstance(warehouse, DuckDB):
        return int(warehouse.fetch(statement, values)[0][0])
    with warehouse.cursor() as cursor, transaction(cursor.execute):
        cursor.execute("SET LOCAL lazi.pruning = 'on'")  # which the tables' triggers look for
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def compact(warehouse: DuckDB | Postgres, tables: Iterable[str]) -> bool:
    """Give the room of what went back to the engine; whether it could be done now. DuckDB else does it by itself later.

    A lake's earlier snapshots still have what went; `lazi warehouse maintain` lets go of them.
    """
    if isinstance(warehouse, DuckLake):
        return True
    if isinstance(warehouse, DuckDB):
        try:
            warehouse.cursor().execute("CHECKPOINT")
        except duckdb.TransactionException:  # somebody is writing
            return False
        return True
    with warehouse.cursor() as cursor:
        for table in tables:
            cursor.execute(f"VACUUM (ANALYZE) raw.{table}")
    return True
