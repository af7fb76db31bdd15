"""Maintenance of a lake lets go of what nothing shows, and changes no row."""

import os
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.maintaining import MaintenanceError, maintain
from pipelines.showing import show
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.reading import raw_table
from store.lock import held
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.warehouse.same import rows

TABLE = raw_table(BY_NAME["tag_types"])
WEEK = timedelta(days=7)
FEW_ROWS, MANY_ROWS = 3, 400


@pytest.fixture
def lake(postgres_url: str, tmp_path: Path) -> Settings:
    """A lake with many small files, one of them mostly deleted, rows without a file, and files that nothing names."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning", "", "ducklake")
    with closing(open_warehouse(settings)) as warehouse:
        warehouse.prepare([TABLE])
        for first, number in ((0, MANY_ROWS), (1000, 50), (2000, 50), (3000, FEW_ROWS)):
            warehouse.fetch(
                f"""INSERT INTO raw.{TABLE.name} SELECT 1, i, '{{}}', NULL, 'h' || i, FALSE, i % 64, 'b', now(), 'l', NULL
                FROM range({first}, {first + number}) AS r(i)"""
            )
        warehouse.fetch(f"DELETE FROM raw.{TABLE.name} WHERE st_id BETWEEN 5 AND {MANY_ROWS}")
    folder = Path(settings.lake_files) / "raw" / TABLE.name
    for name, days in (("old", 2), ("new", 0)):
        (folder / f"{name}.parquet").write_bytes(b"cut off")
        moment = time.time() - days * 86_400
        os.utime(folder / f"{name}.parquet", (moment, moment))
    return settings


def test_maintenance_does_what_was_counted_and_keeps_every_row(lake: Settings):
    """Rows get files, files are written anew and merged, snapshots go, and what they alone had leaves the disk."""
    with closing(open_warehouse(lake)) as warehouse:
        before = rows(warehouse, f"raw.{TABLE.name}")
    folder = Path(lake.lake_files) / "raw" / TABLE.name
    now, there = datetime.now(UTC) + timedelta(hours=2), len(list(folder.rglob("*.parquet")))
    counted = maintain(lake, timedelta(), dry=True, now=now)
    assert len(list(folder.rglob("*.parquet"))) == there
    assert counted["rows written out of the catalog"] == FEW_ROWS + 1
    assert counted["files written anew without their deleted rows"] == 1
    assert counted["files merged into larger ones"] == 2
    assert counted["files deleted that nothing names"] == 1
    done = maintain(lake, timedelta(), now=now)
    for name in ("rows written out of the catalog", "files written anew without their deleted rows"):
        assert done[name] == counted[name]
    assert done["files merged into larger ones"] >= counted["files merged into larger ones"]
    assert done["snapshots expired"] >= counted["snapshots expired"] > 0
    assert done["files deleted that no snapshot shows"] > 0
    assert not (folder / "old.parquet").exists()
    assert (folder / "new.parquet").exists()
    with closing(open_warehouse(lake)) as warehouse:
        assert rows(warehouse, f"raw.{TABLE.name}") == before
    facts = show(lake).lake
    assert facts["snapshots"] == 1
    assert facts["inlined_rows"] == facts["delete_files"] == facts["files_of_older_snapshots"] == 0
    assert facts["files_to_be_deleted"] == 0
    assert not any(maintain(lake, timedelta(), dry=True, now=now).values())


def test_young_snapshots_and_files_that_may_be_read_stay(lake: Settings):
    """Within --keep the past can be asked for; what was replaced just now is not deleted."""
    with closing(open_warehouse(lake)) as warehouse:
        newest = warehouse.fetch("SELECT MAX(snapshot_id) FROM ducklake_snapshots('lake')")[0][0]
        before = rows(warehouse, f"raw.{TABLE.name}")
    done = maintain(lake, WEEK)
    assert done["files merged into larger ones"] > 0
    assert done["snapshots expired"] == done["files deleted that no snapshot shows"] == 0
    with closing(open_warehouse(lake)) as warehouse:
        then = warehouse.fetch(f"SELECT COUNT(*) FROM raw.{TABLE.name} AT (VERSION => {newest})")[0][0]
    assert then == sum(before.values())


def test_maintenance_waits_for_the_models(lake: Settings):
    """They delete rows of files that it would replace."""
    told: list[str] = []

    class Waited(Exception):  # noqa: N818  no error
        pass

    def waits(text: str) -> None:
        told.append(text)
        raise Waited

    for right in ("the models", "pruning", "maintenance"):
        with elsewhere(lake, right), pytest.raises(Waited):
            maintain(lake, WEEK, waits=waits)
        assert right in told.pop()


def elsewhere(settings: Settings, right: str):
    """A right that another process has, as this one sees it."""
    return held(Settings(settings.database_url, settings.data_dir, 3001, "warning", settings.database_url + "&"), right)


def test_a_step_that_fails_is_named(lake: Settings):
    """With what the engine says."""
    with closing(open_warehouse(lake)) as warehouse:
        warehouse.fetch("UPDATE __ducklake_metadata_lake.lake_catalog.ducklake_data_file SET path = 'gone.parquet'")
    with pytest.raises(MaintenanceError, match="Maintenance stopped at `files written anew"):
        maintain(lake, WEEK)


def test_other_engines_need_none(postgres_url: str, tmp_path: Path):
    """And are not even opened."""
    for url, engine in (("", "duckdb"), (postgres_url, "postgres")):
        settings = Settings(url, tmp_path / engine, 3001, "warning", "", engine)
        assert maintain(settings, WEEK) == {}
        assert not settings.data_dir.exists()
