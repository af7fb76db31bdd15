"""Housekeeping: what pruning leaves, that a backup is the store, and that a running service does both."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from cli import housekeeping
from pipelines import errands
from pipelines.backup import BackupError
from pipelines.errands import KINDS, ErrandError, Errands, asked, do_prune, make_backup, make_export
from pipelines.modelling import refresh
from pipelines.restoring import restore
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store.exceptions import StoreUnwritableError
from store.exporting import of_postgres
from store.operations import Operations
from store.pruning import LANDED_LATELY, prune
from store.reader import PostgresReader
from store.settings import Settings
from store.warehouse import Postgres, open_warehouse
from tests.inserting import insert
from tests.whole import reach

TABLE = raw_table(BY_NAME["tag_types"])
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stores(settings: Settings) -> Iterator[Stores]:
    with closing(Stores.open(settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12) as made:
        yield made


Versions = list[tuple[int, int, int]]
"""Key, days ago it landed, days ago it was modified."""


def fill(stores: Stores, versions: Versions) -> None:
    """Raw rows in place of those that are there; each hash tells which one it is."""
    warehouse = stores.warehouse
    mark = "?" if warehouse.dialect == "duckdb" else "%s"
    if warehouse.dialect == "duckdb":
        warehouse.cursor().execute(f"DELETE FROM raw.{TABLE.name}")
    else:
        with warehouse.cursor() as cursor:
            cursor.execute(f"ALTER TABLE raw.{TABLE.name} DISABLE TRIGGER append_only")
            cursor.execute(f"DELETE FROM raw.{TABLE.name}")
            cursor.execute(f"ALTER TABLE raw.{TABLE.name} ENABLE TRIGGER append_only")
    rows = [
        [
            1,
            key,
            "{}",
            NOW - timedelta(days=modified),
            f"h{number}",
            False,
            key % 64,
            "b",
            at(number, landed),
            "l",
            None,
        ]
        for number, (key, landed, modified) in enumerate(versions)
    ]
    if rows:
        places = ", ".join(f"({', '.join([mark] * len(row))})" for row in rows)
        values = [value for row in rows for value in row]
        insert(warehouse, f"INSERT INTO raw.{TABLE.name} VALUES {places}", values)


def at(number: int, days: int) -> datetime:
    """When a version landed: no two at once."""
    return NOW - timedelta(days=days, seconds=-number)


def left(stores: Stores) -> set[str]:
    return {digest for (digest,) in stores.warehouse.fetch(f"SELECT payload_hash FROM raw.{TABLE.name}")}


@limits(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    versions=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 20), st.integers(0, 20)), max_size=14),
    based=st.sets(st.integers(0, 13), max_size=3),
    days=st.integers(0, 21),
)
def test_pruning_takes_what_nothing_needs_and_nothing_else(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, versions: Versions, based: set[int], days: int
):
    """The shown version, those that landed lately, those within the policy and those of changes stay; a dry run counts."""
    fill(stores, versions)
    run = stores.operations.run
    bases = [{"tenant_id": 1, "base_hash": f"h{number}"} for number in based]
    monkeypatch.setattr(
        stores.operations, "run", lambda query, **v: bases if query == "mutation_bases" else run(query, **v)
    )
    before = NOW - timedelta(days=days)
    kept = {f"h{number}" for number in based}
    for key in {key for key, _, _ in versions}:
        own = [
            (at(number, landed), NOW - timedelta(days=modified), f"h{number}")
            for number, (other, landed, modified) in enumerate(versions)
            if other == key
        ]
        kept |= {digest for landed, _, digest in own if landed >= before}
        kept |= {digest for *_, digest in sorted(own, key=lambda v: (v[0], v[2]))[-LANDED_LATELY:]}
        kept.add(max(own, key=lambda v: (v[1], v[0], v[2]))[2])
    there = left(stores)
    counted = sum(one.versions for one in prune(stores.warehouse, stores.operations, [TABLE], before, dry=True))
    assert left(stores) == there
    assert (
        sum(one.versions for one in prune(stores.warehouse, stores.operations, [TABLE], before, dry=False)) == counted
    )
    assert left(stores) == there & kept
    assert not list(prune(stores.warehouse, stores.operations, [TABLE], before, dry=False))


def test_versions_that_landed_more_than_once_stay_or_go_together(stores: Stores):
    """However often: neither a record's only version goes, nor the one before the last, nor a part of one."""
    fill(stores, [(1, 9, 9), (2, 9, 9), (2, 8, 8), (2, 7, 7)])
    copy = f"INSERT INTO raw.{TABLE.name} SELECT * FROM raw.{TABLE.name}"
    insert(stores.warehouse, copy)
    insert(stores.warehouse, copy)
    assert [one.versions for one in prune(stores.warehouse, stores.operations, [TABLE], NOW, dry=True)] == [4]
    assert [one.versions for one in prune(stores.warehouse, stores.operations, [TABLE], NOW, dry=False)] == [4]
    rows = stores.warehouse.fetch(f"SELECT payload_hash, COUNT(*) FROM raw.{TABLE.name} GROUP BY 1 ORDER BY 1")
    assert rows == [("h0", 4), ("h2", 4), ("h3", 4)]


def test_pruning_succeeds_beside_somebody_who_writes(stores: Stores):
    """On DuckDB the room is given back later, and that is said."""
    fill(stores, [(1, 9, 9), (1, 8, 8), (1, 7, 7)])
    arguments = {"before": NOW.isoformat(), "dry": False}
    if not stores.settings.is_embedded:
        assert do_prune(stores, arguments)["compact"]
        return
    with closing(stores.warehouse.session()) as other:
        other.execute("BEGIN")
        other.execute("CREATE TABLE raw.written (x INTEGER)")
        found = do_prune(stores, arguments)
        other.execute("ROLLBACK")
    assert found["versions"] == {TABLE.name: 1}
    assert not found["compact"]
    fill(stores, [(1, 9, 9), (1, 8, 8), (1, 7, 7)])
    assert do_prune(stores, arguments)["compact"]


@pytest.mark.parametrize("is_compact", [True, False])
def test_the_command_says_whether_room_was_given_back(monkeypatch: pytest.MonkeyPatch, is_compact: bool):  # noqa: FBT001
    """And succeeds either way."""
    found = {"before": NOW.isoformat(), "dry": False, "versions": {TABLE.name: 3}, "compact": is_compact}
    monkeypatch.setattr(housekeeping, "errand", lambda *_, **__: found)
    result = CliRunner().invoke(housekeeping.prune, [])
    assert result.exit_code == 0
    assert "3 versions are gone" in result.output
    assert ("not given back yet" in result.output) != is_compact


def test_postgresql_still_refuses_to_lose_rows(postgres_url: str, tmp_path: Path):
    """Whoever does not prune."""
    with closing(Stores.open(Settings(postgres_url, tmp_path, 3001, "warning"))) as stores:
        fill(stores, [(1, 1, 1)])
        with pytest.raises(Exception, match="append-only"), stores.warehouse.cursor() as cursor:
            cursor.execute(f"DELETE FROM raw.{TABLE.name}")


@pytest.mark.slow
def test_models_show_the_same_after_pruning(stores: Stores, sandbox: Sandbox):
    """Master, crm and the audit of what landed before; and what lands next is told as a change of what was there."""
    entity, reached = BY_NAME["tag_types"], reach(sandbox)
    for version in range(5):
        sandbox.change("tag_types", 0, name=f"Tag {version}")
        land_all(stores, reached, (entity,))
    refresh(stores.settings, stores.operations)
    audit = (
        "SELECT record_id, operation, payload_hash FROM audit.log WHERE entity = 'tag_types' ORDER BY 1, synced_at, 3"
    )
    before, shown = (
        stores.warehouse.fetch(audit),
        stores.warehouse.fetch("SELECT * FROM master.tag_types ORDER BY st_id"),
    )
    pruned = list(prune(stores.warehouse, stores.operations, [TABLE], datetime.now(UTC), dry=False))
    assert [one.versions for one in pruned] == [3]
    sandbox.change("tag_types", 1, name="Another")
    sandbox.change("tag_types", 0, name="The last")
    land_all(stores, reached, (entity,))
    refresh(stores.settings, stores.operations)
    after = stores.warehouse.fetch(audit)
    assert set(before) <= set(after)
    assert [row[1] for row in after if row not in before] == ["update", "update"]
    now = stores.warehouse.fetch("SELECT * FROM master.tag_types ORDER BY st_id")
    assert len(now) == len(shown)
    assert sum(row != other for row, other in zip(now, shown, strict=True)) == 2


@pytest.mark.slow
def test_a_backup_is_the_store_and_goes_back(sandbox: Sandbox, tmp_path: Path):
    """Also of a store that another process has: it does it. What is put back is whole, and a sync catches up."""
    settings = Settings("", tmp_path / "data", 3001, "warning")
    entity, reached, query = BY_NAME["tag_types"], reach(sandbox), f"SELECT COUNT(*) FROM raw.{TABLE.name}"
    with closing(Stores.open(settings)) as stores:
        land_all(stores, reached, (entity,))
        refresh(settings, stores.operations)
        rows = stores.warehouse.fetch(query)
        service = Errands(stores)
        service.start()
        found = asked(settings, "backup", {"folder": str(tmp_path / "copy")})
        service.stop()
        assert {"lazi.duckdb", "lazi-state.duckdb", "lazi-ops.sqlite"} <= set(found["files"])
        with pytest.raises(BackupError, match="not empty"):
            make_backup(stores, {"folder": str(tmp_path / "copy")})
        sandbox.change("tag_types", 0, name="After the backup")
        land_all(stores, reached, (entity,))
    gc.collect()  # the connections of threads that landed, which else are this process's until some later time
    aside = restore(settings, tmp_path / "copy")
    assert aside is not None
    assert (aside / "lazi.duckdb").exists()
    with closing(Stores.open(settings)) as stores:
        assert stores.warehouse.fetch(query) == rows
        assert refresh(settings, stores.operations) == "unchanged"
        [outcome] = land_all(stores, reached, (entity,)).outcomes
        assert outcome.tally.appended == 1
        assert refresh(settings, stores.operations) == "refreshed"


def test_a_broken_backup_is_not_put_back(tmp_path: Path):
    """A missing manifest, a file that was changed: nothing moves."""
    settings = Settings("", tmp_path / "data", 3001, "warning")
    with closing(Stores.open(settings)) as stores:
        make_backup(stores, {"folder": str(tmp_path / "copy")})
    before = {path.name: path.stat().st_size for path in settings.data_dir.iterdir()}
    with pytest.raises(BackupError, match="no readable"):
        restore(settings, tmp_path)
    with (tmp_path / "copy" / "lazi.duckdb").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BackupError, match="Nothing was restored"):
        restore(settings, tmp_path / "copy")
    assert {path.name: path.stat().st_size for path in settings.data_dir.iterdir()} == before


def test_an_errand_that_nobody_does_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With what to do; one that fails says why."""
    monkeypatch.setattr(errands, "PATIENCE", 0.5)
    settings = Settings("", tmp_path / "data", 3001, "warning")
    with closing(Stores.open(settings)) as stores:
        with pytest.raises(ErrandError, match="did not begin"):
            asked(settings, "backup", {"folder": str(tmp_path / "copy")})
        monkeypatch.setattr(errands, "PATIENCE", 30.0)
        service = Errands(stores)
        service.start()
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "x").touch()
        with pytest.raises(ErrandError, match="not empty"):
            asked(settings, "backup", {"folder": str(tmp_path / "full")})
        service.stop()
        assert not (tmp_path / "copy").exists()


def ask(operations: Operations, kind: str = "export") -> int:
    """Ask for an errand, and do not wait."""
    [row] = operations.run("ask_errand", kind=kind, arguments="{}", now=datetime.now(UTC))
    return int(row["errand_id"])


def outcome(operations: Operations, errand_id: int) -> tuple[str | None, str | None]:
    """Result and error of an errand."""
    [row] = operations.run("errand", errand_id=errand_id)
    return row["result"], row["error"]


def test_an_errand_of_a_service_that_died_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever asked notices when signs of life stop, and the next service says so at its start; those that come go on."""
    monkeypatch.setattr(errands, "PATIENCE", 0.5)
    monkeypatch.setattr(errands, "LOOK_EVERY", 0.05)
    settings = Settings("", tmp_path / "data", 3001, "warning")
    with closing(Stores.open(settings)) as stores, ThreadPoolExecutor() as pool:
        waiting = pool.submit(asked, settings, "export", {})
        while not stores.operations.run("take_errand", now=datetime.now(UTC), since=NOW):
            pass
        with pytest.raises(ErrandError, match="not been heard of"):
            waiting.result(10)
        left = ask(stores.operations)
        stores.operations.run("take_errand", now=datetime.now(UTC), since=NOW)
        service = Errands(stores)
        service.start()
        assert outcome(stores.operations, left) == (None, errands.ENDED)
        monkeypatch.setattr(errands, "BEAT", 0.05)
        monkeypatch.setitem(KINDS, "export", lambda *_: {"waited": threading.Event().wait(2)})
        assert asked(settings, "export", {}) == {"waited": False}
        service.stop()


def test_errands_are_done_and_told_whatever_fails_on_the_way(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    """The store of operations comes back: the thread lives, and what was done is told, not done again."""
    run, failing, done = stores.operations.run, {"take_errand", "end_errand"}, []

    def once(query: str, **values: Any) -> Any:
        if query in failing:
            failing.remove(query)
            raise StoreUnwritableError("disk full")
        return run(query, **values)

    def export(*_: object) -> dict[str, int]:
        done.append(1)
        return {"done": len(done)}

    monkeypatch.setattr(stores.operations, "run", once)
    monkeypatch.setattr(errands, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(errands, "BEAT", 0.01)
    monkeypatch.setitem(KINDS, "export", export)
    errand, service = ask(stores.operations), Errands(stores)
    service.thread.start()
    wait_for(lambda: outcome(stores.operations, errand)[0])
    assert outcome(stores.operations, errand) == ('{"done": 1}', None)
    assert not failing
    service.stop()
    assert not service.thread.is_alive()


def test_a_service_ends_in_time_whatever_it_does(stores: Stores, monkeypatch: pytest.MonkeyPatch):
    """Whoever asked is told, and a result that comes later changes nothing."""
    ends = threading.Event()
    monkeypatch.setattr(errands, "LOOK_EVERY", 0.01)
    monkeypatch.setitem(KINDS, "export", lambda *_: {"waited": ends.wait(30)})
    errand, service = ask(stores.operations), Errands(stores)
    assert service.thread.daemon
    service.thread.start()
    wait_for(lambda: stores.operations.run("errand", errand_id=errand)[0]["taken_at"])
    begun = time.monotonic()
    service.stop(0.2)
    assert time.monotonic() - begun < 5
    assert outcome(stores.operations, errand) == (None, errands.ENDED)
    ends.set()
    service.thread.join(10)
    assert outcome(stores.operations, errand) == (None, errands.ENDED)


def wait_for(is_so: Callable[[], Any]) -> None:
    """Until it is so, at most ten seconds."""
    over = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < over
        time.sleep(0.02)


def test_exported_groups_of_rows_are_large(postgres_url: str, tmp_path: Path):
    """PostgreSQL hands over a few hundred rows at a time; a file of such groups is slow to read and large."""
    with closing(open_warehouse(Settings(postgres_url, tmp_path, 3001, "warning"))) as warehouse:
        assert isinstance(warehouse, Postgres)
        with warehouse.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE public.many AS SELECT n, CAST(n AS TEXT) AS t FROM GENERATE_SERIES(1, 120000) AS n"
            )
    with closing(PostgresReader(postgres_url)) as reader:
        assert of_postgres(reader, "public", "many", tmp_path / "many.parquet") == 120_000
    found = pq.ParquetFile(tmp_path / "many.parquet").metadata
    assert [found.row_group(n).num_rows for n in range(found.num_row_groups)] == [50_000, 50_000, 20_000]
    assert pq.read_table(tmp_path / "many.parquet")["n"].to_pylist() == list(range(1, 120_001))


@pytest.mark.slow
def test_exported_files_hold_every_row(stores: Stores, sandbox: Sandbox, tmp_path: Path):
    """Each table and view of master and crm, with its types, as any reader of Parquet sees it."""
    land_all(stores, reach(sandbox), (BY_NAME["tag_types"], BY_NAME["customers"]))
    refresh(stores.settings, stores.operations)
    found = make_export(stores, {"folder": str(tmp_path)})["tables"]
    assert {"master.tag_types", "crm.customer_360"} <= set(found)
    for name, rows in found.items():
        schema, _, table = name.partition(".")
        assert pq.read_metadata(tmp_path / schema / f"{table}.parquet").num_rows == rows
        assert stores.warehouse.fetch(f"SELECT COUNT(*) FROM {name}") == [(rows,)]
    sql = f"SELECT st_id, name, balance, modified_on FROM '{tmp_path}/master/customers.parquet' ORDER BY st_id"
    reader = duckdb.connect()
    reader.execute("SET TimeZone = 'UTC'")
    exported = reader.execute(sql).fetchall()
    assert exported == stores.warehouse.fetch(
        "SELECT st_id, name, balance, modified_on FROM master.customers ORDER BY st_id"
    )
