"""Looking after a lake: small files become large ones, and what nothing shows any more leaves the disk.

Each change is a snapshot of its own, so one that is cut off does no harm. Rows are never changed.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from pipelines.landing import innermost
from store.exceptions import StoreError
from store.lake import CATALOG, CATALOG_TABLES, DuckLake
from store.lock import held
from store.settings import Engine, Settings
from store.warehouse import open_warehouse

READING = timedelta(hours=1)  # that a query may take which still reads files that were replaced
WRITING = timedelta(days=1)  # that a transaction may take whose files no snapshot names yet
NOTHING = {
    Engine.DUCKDB: "A DuckDB file is looked after by DuckDB itself, at its checkpoints. Nothing is to be done.",
    Engine.POSTGRES: "PostgreSQL is looked after by its autovacuum. Nothing is to be done.",
    Engine.SPARK: "Spark leaves nothing behind that a model's next run does not clear away. Raw files are not merged.",
}


class MaintenanceError(StoreError):
    """A step of maintenance failed; those before it are done."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of maintenance: what is counted, how it is done and counted, and how it is counted only."""

    name: str
    does: str  # a statement; each of its rows is one, or stands for as many as its column `counted` says
    counts: str
    counted: int | None = None


STEPS = (
    Step(
        "rows written out of the catalog",
        f"CALL ducklake_flush_inlined_data('{CATALOG}')",
        "",
        2,
    ),
    Step(
        "files written anew without their deleted rows",
        f"CALL ducklake_rewrite_data_files('{CATALOG}')",
        f"""SELECT COUNT(*) FROM (
SELECT f.data_file_id FROM {CATALOG_TABLES}.ducklake_data_file AS f
INNER JOIN {CATALOG_TABLES}.ducklake_delete_file AS d ON d.data_file_id = f.data_file_id
WHERE f.end_snapshot IS NULL AND d.end_snapshot IS NULL AND d.delete_count > 0.95 * f.record_count)""",
        2,
    ),
    Step(
        "files merged into larger ones",
        f"CALL ducklake_merge_adjacent_files('{CATALOG}')",
        f"""SELECT COALESCE(SUM(files), 0) FROM (
SELECT COUNT(*) AS files FROM {CATALOG_TABLES}.ducklake_data_file AS f
WHERE f.end_snapshot IS NULL AND NOT EXISTS (
SELECT 1 FROM {CATALOG_TABLES}.ducklake_delete_file AS d WHERE d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL)
GROUP BY f.table_id, f.partition_id HAVING COUNT(*) > 1)""",
        2,
    ),
    Step(
        "snapshots expired",
        f"CALL ducklake_expire_snapshots('{CATALOG}', older_than => CAST('{{keep}}' AS TIMESTAMPTZ))",
        f"CALL ducklake_expire_snapshots('{CATALOG}', dry_run => TRUE, older_than => CAST('{{keep}}' AS TIMESTAMPTZ))",
    ),
    Step(
        "files deleted that no snapshot shows",
        f"CALL ducklake_cleanup_old_files('{CATALOG}', older_than => CAST('{{reading}}' AS TIMESTAMPTZ))",
        f"CALL ducklake_cleanup_old_files('{CATALOG}', dry_run => TRUE, older_than => CAST('{{reading}}' AS TIMESTAMPTZ))",
    ),
    Step(
        "files deleted that nothing names",
        f"CALL ducklake_delete_orphaned_files('{CATALOG}', older_than => CAST('{{writing}}' AS TIMESTAMPTZ))",
        f"CALL ducklake_delete_orphaned_files('{CATALOG}', dry_run => TRUE, older_than => CAST('{{writing}}' AS TIMESTAMPTZ))",
    ),
)
"""In this order: what one replaces, a later one deletes."""


def maintain(
    settings: Settings,
    keep: timedelta,
    *,
    dry: bool = False,
    waits: Callable[[str], None] = lambda _: None,
    now: datetime | None = None,
) -> dict[str, int]:
    """Look after a lake, or only count what would be done; how many of each. On other engines nothing is. Raises StoreError.

    Snapshots older than `keep` go. It waits for models and pruning, which delete rows; loads go on meanwhile.
    """
    if settings.engine is not Engine.DUCKLAKE:
        return {}
    now = now or datetime.now(UTC)
    moments = {"keep": now - keep, "reading": now - READING, "writing": now - WRITING}
    texts = {name: moment.isoformat() for name, moment in moments.items()}
    with closing(open_warehouse(settings)) as warehouse:
        assert isinstance(warehouse, DuckLake)  # noqa: S101  what this engine is
        if dry:
            return dict(done(warehouse, texts, dry=True))
        with (
            held(settings, "maintenance", waits),
            held(settings, "pruning", waits),
            held(settings, "the models", waits),
            warehouse.sparing(),
        ):
            return dict(done(warehouse, texts, dry=False))


def done(warehouse: DuckLake, moments: dict[str, str], *, dry: bool) -> Iterator[tuple[str, int]]:
    """Every step and how many it was. Raises MaintenanceError."""
    for step in STEPS:
        try:
            yield (
                step.name,
                waiting_rows(warehouse) if dry and not step.counts else number(warehouse, step, moments, dry=dry),
            )
        except (duckdb.Error, StoreError) as error:
            raise MaintenanceError(
                f"Maintenance stopped at `{step.name}`: {innermost(error)}. What was done before it stays; run it again."
            ) from error


def number(warehouse: DuckLake, step: Step, moments: dict[str, str], *, dry: bool) -> int:
    """Do a step, or count it; how many it was."""
    rows = warehouse.fetch((step.counts if dry else step.does).format(**moments))
    if dry and step.counted is not None:
        return int(rows[0][0])
    return len(rows) if step.counted is None else sum(int(row[step.counted]) for row in rows)


INLINED = f"""SELECT i.table_name FROM {CATALOG_TABLES}.ducklake_inlined_data_tables AS i
INNER JOIN {CATALOG_TABLES}.ducklake_table AS t ON t.table_id = i.table_id WHERE t.end_snapshot IS NULL"""
"""Tables of the catalog in which rows stand that have no file yet."""


def waiting_rows(warehouse: DuckLake) -> int:
    """How many rows have no file yet."""
    tables = [name for (name,) in warehouse.fetch(INLINED)]
    if not tables:
        return 0
    each = (f"SELECT COUNT(*) AS rows FROM {CATALOG_TABLES}.{name} WHERE end_snapshot IS NULL" for name in tables)
    return int(warehouse.fetch(f"SELECT SUM(rows) FROM ({' UNION ALL '.join(each)})")[0][0])
