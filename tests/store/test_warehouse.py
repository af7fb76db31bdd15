"""The warehouse: raw tables on both engines."""

import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from store.exceptions import StoreLockedError, StoreUnwritableError
from store.settings import Settings
from store.warehouse import DuckDB, Postgres, RawTable, open_warehouse

JOBS = RawTable("st_jobs", "bigint")
CONTACTS = RawTable("st_contacts", "text")


@pytest.fixture
def warehouse(settings: Settings):
    opened = open_warehouse(settings)
    opened.prepare([JOBS, CONTACTS])
    yield opened
    opened.close()


def insert(warehouse: DuckDB | Postgres, table: RawTable, key: object, hash_: str, at: str, tenant: int = 1) -> None:
    values = (tenant, key, "{}", None, hash_, False, 1, "batch", at, "load")
    mark = "?" if isinstance(warehouse, DuckDB) else "%s"
    statement = f"INSERT INTO raw.{table.name} VALUES ({', '.join([mark] * len(values))})"
    if isinstance(warehouse, DuckDB):
        warehouse.cursor().execute(statement, list(values))
    else:
        with warehouse.connection().cursor() as cursor:
            cursor.execute(statement, values)


@pytest.mark.parametrize(("table", "keys"), [(JOBS, [1, 2, 3]), (CONTACTS, ["a", "b", "c"])])
def test_the_newest_hash_is_the_one_that_landed_last(warehouse, table: RawTable, keys: list):
    """By landing time, for this tenant, and only for keys that were asked for and are there."""
    insert(warehouse, table, keys[0], "old", "2026-01-01T00:00:00Z")
    insert(warehouse, table, keys[0], "new", "2026-01-02T00:00:00Z")
    insert(warehouse, table, keys[1], "other", "2026-01-01T00:00:00Z", tenant=2)
    assert warehouse.newest_hashes(table, 1, keys) == {keys[0]: "new"}
    assert warehouse.keys_landed_since(table, 1, "2026-01-02T00:00:00+00:00") == [keys[0]]


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
    with pytest.raises(psycopg2.errors.RaiseException, match="append-only"), warehouse.connection().cursor() as cursor:
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
