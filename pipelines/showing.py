"""What a warehouse is and holds, as far as its engine tells that without counting. Nothing here shows a password."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from pipelines.engines import ENGINES
from pipelines.maintaining import waiting_rows
from store.lake import CATALOG_TABLES, METADATA, DuckLake
from store.operations import open_operations
from store.server import parts
from store.serving import served
from store.settings import Engine, Settings
from store.warehouse import DuckDB, Postgres, SparkFiles, open_warehouse

SCHEMAS = ("raw", "master", "crm", "audit")


@dataclass(frozen=True, slots=True)
class Holding:
    """What stands in a schema and in that of its models' tables. None: the engine does not tell."""

    tables: int
    rows: int  # about
    bytes: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A warehouse."""

    engine: str
    place: str
    lacks: tuple[str, ...]
    schemas: dict[str, Holding]
    lake: dict[str, int] = field(default_factory=dict)
    served: list[dict[str, Any]] = field(default_factory=list)  # what PostgreSQL serves of it; see `store.serving`


def show(settings: Settings) -> Shown:
    """What the warehouse of these settings is and holds. Raises StoreError."""
    with closing(open_warehouse(settings)) as warehouse:
        held = dict(holdings(warehouse))
        lake = lake_facts(warehouse) if isinstance(warehouse, DuckLake) else {}
    return Shown(
        str(settings.engine), place(settings), ENGINES[settings.engine].lacks, held, lake, [*published(settings)]
    )


def published(settings: Settings) -> Iterator[dict[str, Any]]:
    """Each table and view that PostgreSQL serves of another warehouse, and how far it is."""
    if not settings.serves:
        return
    operations = open_operations(settings)
    try:
        for one in served(operations):
            yield {**asdict(one), **{name: stamp(getattr(one, name)) for name in ("modeled_until", "behind_since")}}
    finally:
        operations.close()


def stamp(moment: datetime | None) -> str | None:
    """A moment as text."""
    return moment.isoformat(timespec="seconds") if moment else None


def place(settings: Settings) -> str:
    """Where the warehouse stands."""
    if settings.is_embedded:
        return str(settings.data_dir.resolve() / "lazi.duckdb")
    server = parts(settings.session_url)
    name = server.get("dbname", server.get("user", ""))
    database = f"database `{name}` of PostgreSQL at {server.get('host', 'localhost')}:{server.get('port', '5432')}"
    if settings.engine is Engine.SPARK:
        return f"files in {settings.lake_files}, operations in {database}"
    if settings.engine is Engine.DUCKLAKE:
        return f"files in {settings.lake_files}, catalog in the schema `{METADATA}` of {database}"
    return database


def holdings(warehouse: DuckDB | Postgres) -> Iterator[tuple[str, Holding]]:
    """Each of our schemas that is there."""
    if isinstance(warehouse, SparkFiles):
        for schema in SCHEMAS:
            if there := warehouse.held(schema):
                yield schema, Holding(len(there), *(sum(numbers) for numbers in zip(*there.values(), strict=True)))
        return
    query = POSTGRES if isinstance(warehouse, Postgres) else LAKE if isinstance(warehouse, DuckLake) else DUCKDB
    rows: dict[str, list[tuple[Any, ...]]] = {}
    for schema, *numbers in warehouse.fetch(query):
        rows.setdefault(schema.removesuffix("_store"), []).append(tuple(numbers))
    for schema in SCHEMAS:
        if schema in rows:
            tables, found, size, files = (summed(values) for values in zip(*rows[schema], strict=True))
            yield schema, Holding(tables or 0, found or 0, size, files)


def summed(values: tuple[Any, ...]) -> int | None:
    """The sum of what is known."""
    known = [int(value) for value in values if value is not None]
    return sum(known) if known else None


OURS = "('raw', 'master', 'master_store', 'crm', 'crm_store', 'audit', 'audit_store')"
DUCKDB = f"""SELECT schema_name, COUNT(*), SUM(estimated_size), NULL, NULL FROM duckdb_tables()
WHERE schema_name IN {OURS} GROUP BY schema_name"""
POSTGRES = f"""SELECT n.nspname, COUNT(*), SUM(GREATEST(c.reltuples, 0)), SUM(pg_total_relation_size(c.oid)), NULL
FROM pg_class AS c INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname IN {OURS} GROUP BY n.nspname"""
LAKE = f"""SELECT s.schema_name, COUNT(*), SUM(COALESCE(r.record_count, 0)), SUM(COALESCE(f.size, 0)), SUM(COALESCE(f.files, 0))
FROM {CATALOG_TABLES}.ducklake_table AS t
INNER JOIN {CATALOG_TABLES}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN {CATALOG_TABLES}.ducklake_table_stats AS r ON r.table_id = t.table_id
LEFT JOIN (
  SELECT table_id, SUM(file_size_bytes) AS size, COUNT(*) AS files FROM {CATALOG_TABLES}.ducklake_data_file
  WHERE end_snapshot IS NULL GROUP BY table_id
) AS f ON f.table_id = t.table_id
WHERE t.end_snapshot IS NULL AND s.schema_name IN {OURS} GROUP BY s.schema_name"""

COUNTED = f"""SELECT
  (SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_snapshot),
  (SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_data_file WHERE end_snapshot IS NULL),
  (SELECT COALESCE(SUM(file_size_bytes), 0) FROM {CATALOG_TABLES}.ducklake_data_file WHERE end_snapshot IS NULL),
  (SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_delete_file WHERE end_snapshot IS NULL),
  (SELECT COALESCE(SUM(file_size_bytes), 0) FROM {CATALOG_TABLES}.ducklake_delete_file WHERE end_snapshot IS NULL),
  (SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_data_file WHERE end_snapshot IS NOT NULL),
  (SELECT COUNT(*) FROM {CATALOG_TABLES}.ducklake_files_scheduled_for_deletion)"""
FACTS = (
    "snapshots",
    "data_files",
    "data_bytes",
    "delete_files",
    "delete_bytes",
    "files_of_older_snapshots",
    "files_to_be_deleted",
)


def lake_facts(warehouse: DuckLake) -> dict[str, int]:
    """A lake's snapshots and files, and rows that have no file yet."""
    counted = warehouse.fetch(COUNTED)[0]
    return {**dict(zip(FACTS, map(int, counted), strict=True)), "inlined_rows": waiting_rows(warehouse)}
