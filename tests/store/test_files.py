"""A warehouse of Parquet files: what stands in the folder, and what readers see of it."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from store import files
from store.exceptions import SettingsError, StoreUnfitError, StoreUnwritableError
from store.files import EMPTY, Shown, SparkFiles, erase, land_rows, landed_tables, note, show_functions
from store.pruning import prune
from store.raw import RawTable
from store.reader import open_reader
from store.settings import Engine, Places, Settings, load
from store.warehouse import open_warehouse

JOBS = RawTable("st_jobs", "bigint")
NOTES = RawTable("st_job_notes", "text")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
URL = "postgresql://lazi:hush@127.0.0.1:1/lazi"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(URL, tmp_path / "data", 3001, "warning", warehouse="spark")


@pytest.fixture
def made(settings: Settings) -> Iterator[SparkFiles]:
    with closing(open_warehouse(settings)) as opened:
        assert isinstance(opened, SparkFiles)
        opened.prepare([JOBS, NOTES])
        yield opened


def stamps(folder: Path) -> tuple[int, ...]:
    return tuple((folder / name).stat().st_mtime_ns for name in ("raw", "shown"))


def rows(*keys: int, batch: str = "batch") -> pa.Table:
    moment = pa.array([NOW] * len(keys), pa.timestamp("us", "UTC"))
    return pa.table(
        {
            "tenant_id": [1] * len(keys),
            "st_id": keys,
            "payload": ['{"name": "Ada"}'] * len(keys),
            "modified_on": moment,
            "payload_hash": ["hash"] * len(keys),
            "is_deleted": [False] * len(keys),
            "key_bucket": [0] * len(keys),
            "sync_batch_id": [batch] * len(keys),
            "synced_at": moment,
            "scope": pa.nulls(len(keys)),
        }
    )


def test_the_engine_is_named_and_needs_a_database(tmp_path: Path):
    """Operations stand in PostgreSQL."""
    assert load(Places({"DATABASE_URL": URL, "LAZI_WAREHOUSE": "spark"}, tmp_path)).engine is Engine.SPARK
    with pytest.raises(SettingsError, match="`DATABASE_URL` is not set"):
        load(Places({"LAZI_WAREHOUSE": "spark"}, tmp_path))


def test_an_address_is_refused(tmp_path: Path):
    """Partitions are put in place by renaming, which object stores do not know."""
    settings = Settings(URL, tmp_path / "data", 3001, "warning", warehouse="spark", lake="s3://lazi/lake")
    with pytest.raises(SettingsError, match="`s3://lazi/lake`.*folder.*ducklake"):
        open_warehouse(settings)


def test_what_lands_again_lands_once(made: SparkFiles):
    """The same rows of the same batch have the same file."""
    made.append(JOBS, rows(1, 2))
    made.append(JOBS, rows(1, 2))
    made.append(JOBS, rows(1, 2, batch="another"))
    assert made.fetch("SELECT COUNT(*) FROM raw.st_jobs") == [(4,)]
    assert landed_tables(made.files) == ["st_jobs"]


def test_another_process_sees_what_landed_and_the_identity(made: SparkFiles, settings: Settings):
    """As soon as a file has its name; types are those of other engines."""
    with closing(open_warehouse(settings)) as other:
        made.append(JOBS, rows(7))
        assert other.fetch("SELECT st_id, payload ->> '$.name', synced_at FROM raw.st_jobs") == [(7, "Ada", NOW)]
        assert other.identity == made.identity
    types = dict(
        made.fetch("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'st_job_notes'")
    )
    assert (types["st_id"], types["payload"], types["synced_at"]) == ("VARCHAR", "JSON", "TIMESTAMP WITH TIME ZONE")


def test_half_a_file_is_not_seen(made: SparkFiles, monkeypatch: pytest.MonkeyPatch):
    """One that a dying process left has no name that readers look for."""

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    folder = made.files / "raw" / JOBS.name
    with monkeypatch.context() as patch:
        patch.setattr("store.files.synced", dying)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            land_rows(rows(1), folder / "1.parquet")
    assert [each.suffix for each in folder.iterdir() if each.name != EMPTY] == [".part"]
    assert made.fetch("SELECT COUNT(*) FROM raw.st_jobs") == [(0,)]


def test_what_names_show_follows_what_is_written_down(made: SparkFiles, settings: Settings):
    """Also in a reader that was open before, whatever the order of names, and until it is forgotten."""
    reader = open_reader(settings)
    made.append(JOBS, rows(1, 2))
    show_functions(made.files, ["CREATE SCHEMA IF NOT EXISTS raw", "CREATE OR REPLACE MACRO raw.twice(v) AS 2 * v"])
    note(made.files, Shown("view", "crm", "a", "SELECT MAX(st_id) AS st_id FROM master.z", ""))
    note(made.files, Shown("view", "master", "z", "SELECT raw.twice(st_id) AS st_id FROM raw.st_jobs", ""))
    assert reader.fetch("SELECT st_id FROM crm.a") == [(4,)]
    note(made.files, Shown("view", "master", "z", "SELECT CAST(9 AS BIGINT) AS st_id", ""))
    assert reader.fetch("SELECT st_id FROM crm.a") == [(9,)]
    erase(made.files, "crm", "a")
    assert reader.fetch("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'crm'") == [(0,)]
    reader.close()


def test_a_reader_that_looks_in_between_sees_the_table_later(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A raw table has its columns when it has its name: who has settled the folder's time has not missed it."""
    write_empty, seen = files.write_empty, list[bool]()
    with closing(SparkFiles(settings)) as made, closing(SparkFiles(settings)) as reader:

        def looking(file: Path, types: dict[str, str]) -> None:
            reader.look()
            reader.seen = stamps(reader.files)  # as if a while had gone by
            seen.append((reader.files / "raw" / JOBS.name).exists())
            write_empty(file, types)

        monkeypatch.setattr(files, "write_empty", looking)
        os.utime(made.files / "raw", (0, 0))  # a folder's time moves by steps
        made.prepare([JOBS])
        assert seen == [False]
        assert reader.fetch("SELECT COUNT(*) FROM raw.st_jobs") == [(0,)]
        assert {each.name for each in made.files.iterdir()} == {"raw", "shown", "identity"}


@pytest.mark.parametrize("left", ["", "1.parquet", ".killed.part"])
def test_a_folder_without_columns_becomes_a_table(made: SparkFiles, left: str):
    """One that a killed process left, or another process was first with; readers look again."""
    folder = made.files / "raw" / "st_calls"
    folder.mkdir()
    if left:
        (folder / left).touch()
    os.utime(folder.parent, (0, 0))
    files.begin_table(folder, files.raw_types(JOBS))
    assert {each.name for each in folder.iterdir()} == {EMPTY, *([left] if left else [])}
    assert folder.parent.stat().st_mtime_ns > 0
    assert [*made.files.glob(".*")] == []


def test_a_name_that_is_erased_meanwhile_is_skipped(made: SparkFiles, monkeypatch: pytest.MonkeyPatch):
    """Between the look into the folder and the reading of its file."""
    for name in ("a", "b"):
        note(made.files, Shown("view", "crm", name, "SELECT 1 AS one", ""))
    found = files.what_shows

    def erasing(file: Path) -> Shown | None:
        erase(made.files, "crm", "a")
        return found(file)

    monkeypatch.setattr(files, "what_shows", erasing)
    assert [each.name for each in files.noted(made.files, "crm")] == ["b"]
    assert files.noted_as(made.files, "crm", "a") is None
    assert made.fetch("SELECT one FROM crm.b") == [(1,)]


def test_pruning_is_refused(made: SparkFiles):
    """Raw files are only ever added."""

    class Nothing:
        def run(self, *_: object, **__: object) -> list:
            return []

    with pytest.raises(StoreUnfitError, match="only ever added"):
        next(prune(made, Nothing(), [JOBS], NOW, dry=True))  # type: ignore[arg-type]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    """With its path."""
    (tmp_path / "lake").write_text("a file")
    with pytest.raises(StoreUnwritableError, match="lake"):
        open_warehouse(
            Settings(URL, tmp_path / "data", 3001, "warning", warehouse="spark", lake=str(tmp_path / "lake"))
        )
