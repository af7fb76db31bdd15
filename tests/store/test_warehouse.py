"""The warehouse: raw tables on both engines."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.exceptions import StoreLockedError, StoreMemoryError, StoreUnwritableError
from store.settings import Settings
from store.warehouse import ENVELOPE, DuckDB, Postgres, RawTable, SparkFiles, Version, open_warehouse
from tests.conftest import WITH_FILES, new_settings

JOBS = RawTable("st_jobs", "bigint")
CONTACTS = RawTable("st_contacts", "text")


@pytest.fixture(params=WITH_FILES)
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return new_settings(request, tmp_path, monkeypatch)


@pytest.fixture
def warehouse(settings: Settings):
    opened = open_warehouse(settings)
    opened.prepare([JOBS, CONTACTS])
    yield opened
    opened.close()


def insert(
    warehouse: DuckDB | Postgres,
    table: RawTable,
    key: object,
    hash_: str,
    at: str,
    tenant: int = 1,
    modified: str | None = None,
    scope: str | None = None,
    *,
    deleted: bool = False,
) -> None:
    values = (tenant, key, "{}", modified, hash_, deleted, 1, "batch", at, "load", scope)
    if isinstance(warehouse, SparkFiles):
        append(warehouse, table, values)
        return
    mark = "?" if isinstance(warehouse, DuckDB) else "%s"
    statement = f"INSERT INTO raw.{table.name} VALUES ({', '.join([mark] * len(values))})"
    if isinstance(warehouse, DuckDB):
        warehouse.cursor().execute(statement, list(values))
    else:
        with warehouse.cursor() as cursor:
            cursor.execute(statement, values)


def append(warehouse: SparkFiles, table: RawTable, values: tuple) -> None:
    """As a row of Arrow's."""
    named = dict(zip([name for name, _, _ in ENVELOPE], values, strict=True)) | {"sync_batch_id": values[8]}
    for name in ("modified_on", "synced_at"):
        named[name] = datetime.fromisoformat(named[name]) if named[name] else None
    rows = pa.table(
        {
            name: pa.array([value], pa.timestamp("us", "UTC") if name in {"modified_on", "synced_at"} else None)
            for name, value in named.items()
            if name != "_dlt_load_id"
        }
    )
    warehouse.append(table, rows)


@pytest.mark.parametrize(("table", "keys"), [(JOBS, [1, 2, 3]), (CONTACTS, ["a", "b", "c"])])
def test_the_newest_hash_is_the_one_that_landed_last(warehouse, table: RawTable, keys: list):
    """By landing time, for this tenant, and only for keys that were asked for and are there."""
    insert(warehouse, table, keys[0], "old", "2026-01-01T00:00:00Z")
    insert(warehouse, table, keys[0], "new", "2026-01-02T00:00:00Z")
    insert(warehouse, table, keys[1], "other", "2026-01-01T00:00:00Z", tenant=2)
    assert warehouse.newest_versions(table, 1, keys) == {keys[0]: Version("new", False, None, False)}


def test_a_table_has_rows_for_a_tenant_or_not(warehouse):
    """Another tenant's rows are none of one's own."""
    insert(warehouse, JOBS, 1, "one", "2026-01-01T00:00:00Z", tenant=2)
    assert [warehouse.has_rows(JOBS, tenant) for tenant in (1, 2)] == [False, True]
    assert not warehouse.has_rows(CONTACTS, 2)


@pytest.mark.parametrize(("table", "keys"), [(JOBS, [1, 2, 3]), (CONTACTS, ["a", "b", "c"])])
def test_newest_versions_are_gone_through_in_the_order_of_landing(warehouse, table: RawTable, keys: list):
    """Each living record once, by its newest version, from any place on; a tie of moments is told apart by the key."""
    insert(warehouse, table, keys[0], "old", "2026-01-01T00:00:00Z")
    insert(warehouse, table, keys[1], "one", "2026-01-02T00:00:00Z")
    insert(warehouse, table, keys[2], "two", "2026-01-02T00:00:00Z")
    insert(warehouse, table, keys[0], "new", "2026-01-03T00:00:00Z")
    insert(warehouse, table, keys[1], "elsewhere", "2026-01-01T00:00:00Z", tenant=2)
    found, place = [], ""
    while some := warehouse.versions_behind(table, 1, place, 1):
        found += some
        place = some[-1].place
    assert [version.key for version in found] == [keys[1], keys[2], keys[0]]
    until = [datetime(2026, 1, day, tzinfo=UTC) for day in (2, 3, 4)]
    behind = [[one.key for one in warehouse.versions_behind(table, 1, "", 9, moment)] for moment in until]
    assert behind == [[], [keys[1], keys[2]], [keys[1], keys[2], keys[0]]]
    insert(warehouse, table, keys[2], "gone", "2026-01-04T00:00:00Z", deleted=True)
    assert [version.key for version in warehouse.versions_behind(table, 1, "", 9)] == [keys[1], keys[0]]


@pytest.mark.parametrize(("table", "keys"), [(JOBS, [1, 2, 3]), (CONTACTS, ["a", "b", "c"])])
def test_newcomers_have_no_version_from_before(warehouse, table: RawTable, keys: list):
    """Not records that only changed since, and not another tenant's."""
    insert(warehouse, table, keys[0], "old", "2026-01-01T00:00:00Z")
    insert(warehouse, table, keys[0], "new", "2026-01-03T00:00:00Z")
    insert(warehouse, table, keys[1], "one", "2026-01-02T00:00:00Z")
    insert(warehouse, table, keys[2], "elsewhere", "2026-01-03T00:00:00Z", tenant=2)
    since = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    assert [warehouse.newcomers(table, 1, moment) for moment in since] == [{keys[0], keys[1]}, {keys[1]}, set()]


@pytest.mark.parametrize(("table", "keys"), [(JOBS, [1, 2, 3]), (CONTACTS, ["a", "b", "c"])])
def test_the_living_of_a_scope_are_known(warehouse, table: RawTable, keys: list):
    """Not those of other scopes and tenants, and not those whose newest version is a tombstone."""
    insert(warehouse, table, keys[0], "x", "2026-01-01T00:00:00Z", scope="s")
    insert(warehouse, table, keys[1], "x", "2026-01-01T00:00:00Z", scope="s")
    insert(warehouse, table, keys[1], "y", "2026-01-02T00:00:00Z", scope="s", deleted=True)
    insert(warehouse, table, keys[2], "x", "2026-01-01T00:00:00Z", scope="t")
    assert warehouse.living(table, 1, ["s"]) == [("s", keys[0])]
    assert sorted(warehouse.living(table, 1, ["s", "t", "u"])) == [("s", keys[0]), ("t", keys[2])]
    assert warehouse.living(table, 2, ["s"]) == []
    insert(warehouse, table, keys[2], "moved", "2026-01-05T00:00:00Z", scope="u")
    assert warehouse.living(table, 1, ["t"]) == []
    assert [copy.scope for copy in warehouse.copies(table, 1, [keys[2]])] == ["u"]


def test_a_version_knows_how_it_stands(warehouse):
    """What landed last may be deleted, and may be older by ServiceTitan's own time than what landed before it."""
    insert(warehouse, JOBS, 1, "new", "2026-01-01T00:00:00Z", modified="2026-01-01T00:00:00Z")
    insert(warehouse, JOBS, 1, "late", "2026-01-02T00:00:00Z", modified="2025-01-01T00:00:00Z", deleted=True)
    insert(warehouse, JOBS, 2, "untimed", "2026-01-01T00:00:00Z")
    insert(warehouse, JOBS, 3, "timed", "2026-01-01T00:00:00Z", modified="2026-01-01T00:00:00Z")
    insert(warehouse, JOBS, 3, "untimed", "2026-01-02T00:00:00Z")
    assert warehouse.newest_versions(JOBS, 1, [1, 2, 3]) == {
        1: Version("late", True, datetime(2026, 1, 1, tzinfo=UTC), True),
        2: Version("untimed", False, None, False),
        3: Version("untimed", False, datetime(2026, 1, 1, tzinfo=UTC), True),
    }


def test_what_is_present_is_what_master_shows(warehouse):
    """By modification, then by landing; deleted keys, other tenants and what landed since are left out."""
    insert(warehouse, JOBS, 1, "shown", "2026-01-01T00:00:00Z", modified="2026-01-01T00:00:00Z")
    insert(warehouse, JOBS, 1, "late", "2026-01-02T00:00:00Z", modified="2025-01-01T00:00:00Z", deleted=True)
    insert(warehouse, JOBS, 2, "gone", "2026-01-01T00:00:00Z", deleted=True)
    insert(warehouse, JOBS, 3, "young", "2026-02-01T00:00:00Z")
    insert(warehouse, JOBS, 4, "other", "2026-01-01T00:00:00Z", tenant=2)
    assert warehouse.keys_present(JOBS, 1, datetime(2026, 2, 1, tzinfo=UTC)) == {1}
    (copy,) = warehouse.copies(JOBS, 1, [1, 4])
    assert copy == (1, "{}", "shown", datetime(2026, 1, 1, tzinfo=UTC), None)


def test_preparing_again_changes_nothing(warehouse):
    """Tables with rows stay as they are."""
    insert(warehouse, JOBS, 1, "a", "2026-01-01T00:00:00Z")
    warehouse.prepare([JOBS, CONTACTS])
    assert warehouse.fetch("SELECT COUNT(*) FROM raw.st_jobs") == [(1,)]


@pytest.mark.parametrize(
    "change", ["UPDATE raw.st_jobs SET payload_hash = 'x'", "DELETE FROM raw.st_jobs", "TRUNCATE raw.st_jobs"]
)
def test_postgresql_itself_refuses_to_change_raw(postgres_url: str, change: str):
    """UPDATE, DELETE and TRUNCATE fail with a message that says what to do instead."""
    warehouse = Postgres(postgres_url)
    warehouse.prepare([JOBS])
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), warehouse.cursor() as cursor:
        cursor.execute(change)
    warehouse.close()


def test_a_held_file_names_its_holder(tmp_path: Path):
    """A second process is told which process holds the file, and what to do."""
    path = tmp_path / "lazi.duckdb"
    code = f"import duckdb, time\nc = duckdb.connect({str(path)!r})\nprint('held', flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLockedError, match=f"process {holder.pid}.*LAZI_DATA_DIR.*DATABASE_URL"):
            DuckDB(path)
        holder.kill()


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    """Not a traceback of the engine."""
    path = tmp_path / "lazi.duckdb"
    path.write_text("not a database, just text\n" * 400)
    with pytest.raises(StoreUnwritableError, match=r"lazi\.duckdb"):
        DuckDB(path)


def test_landing_is_sparing_with_memory(tmp_path: Path):
    """DuckDB's limit is low while records land, and high again afterwards, also after a failure; it does not drift."""
    warehouse = DuckDB(tmp_path / "lazi.duckdb")
    query = "SELECT memory_limit FROM pragma_database_size()"  # that holds; settings show another after RESET
    seen = []
    for _ in range(3):
        with pytest.raises(RuntimeError), warehouse.sparing():
            assert warehouse.fetch(query) == [("572.2 MiB",)]
            raise RuntimeError
        seen += warehouse.fetch(query)
    assert len(set(seen)) == 1
    assert seen[0] != ("572.2 MiB",)
    warehouse.close()


def test_little_stays_in_memory_alone(tmp_path: Path):
    """A load by dlt has DuckDB keep a gigabyte of changes in its log and in memory; behind it they are written as before."""
    path = tmp_path / "lazi.duckdb"
    warehouse, log = DuckDB(path), path.with_name("lazi.duckdb.wal")
    warehouse.fetch("CREATE TABLE t (x TEXT)")
    fill = "INSERT INTO t SELECT MD5(CAST(x AS TEXT)) FROM RANGE(100_000) AS r(x)"
    with warehouse.sparing():
        warehouse.fetch("SET GLOBAL checkpoint_threshold = '1GB'")  # as dlt does
        for _ in range(3):
            warehouse.fetch(fill)
        assert log.stat().st_size > 8_000_000
    warehouse.fetch(fill)
    assert not log.exists() or log.stat().st_size < 4_000_000
    warehouse.close()


def test_files_that_were_loaded_leave_memory(tmp_path: Path):
    """DuckDB would keep each of them until memory is short, and a service loads some every minute."""
    warehouse, rows = DuckDB(tmp_path / "lazi.duckdb"), 100_000
    loaded = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"x": [f"{row * 7919:032x}" for row in range(rows)]}), loaded)
    with warehouse.sparing():
        warehouse.fetch(f"CREATE TABLE t AS SELECT * FROM READ_PARQUET('{loaded}')")
    assert warehouse.fetch("SELECT COUNT(*) FROM t") == [(rows,)]
    kept = "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'EXTERNAL_FILE_CACHE'"
    assert warehouse.fetch(kept) == [(0,)]
    warehouse.close()


def test_too_little_memory_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By an error of its own; then the usual memory is back."""
    monkeypatch.setattr("store.embedded.LOADING_MEMORY", "2MB")
    warehouse = DuckDB(tmp_path / "lazi.duckdb")
    large = "SELECT STRING_AGG(REPEAT(CHR(65 + CAST(i % 26 AS INTEGER)), 10000)) FROM RANGE(5000) AS t(i)"
    with pytest.raises(StoreMemoryError, match="2MB"), warehouse.sparing():
        warehouse.fetch(large)
    assert warehouse.fetch("SELECT memory_limit FROM pragma_database_size()") != [("1.9 MiB",)]
    assert warehouse.fetch(f"SELECT LENGTH(x) FROM ({large}) AS t(x)") == [(50_004_999,)]
    warehouse.close()
