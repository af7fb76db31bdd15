"""A lake: where it stands, what is said when it cannot be had, and that nothing is downloaded or shown that is secret."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store import lake, server
from store.exceptions import SettingsError, StoreMemoryError, StoreUnfitError, StoreUnreachableError
from store.lake import DuckLake, secret
from store.settings import Engine, Places, Settings, load
from store.warehouse import open_warehouse
from tests.inserting import insert

URL = "postgresql://lazi:hush@127.0.0.1:1/lazi"
TABLE = raw_table(CATALOG[0])


@pytest.fixture
def on_a_lake(postgres_url: str, tmp_path: Path) -> Settings:
    return Settings(postgres_url, tmp_path / "data", 3001, "warning", warehouse="ducklake")


@pytest.fixture
def made(on_a_lake: Settings) -> Iterator[DuckLake]:
    with closing(open_warehouse(on_a_lake)) as opened:
        assert isinstance(opened, DuckLake)
        opened.prepare([TABLE])
        yield opened


def row_of(key: int) -> list[object]:
    moment = "2026-03-01T00:00:00Z"
    return [1, key, '{"name": "Ada"}', moment, "hash", False, 0, "batch", moment, "load", None]


def test_processes_share_a_lake(made: DuckLake, on_a_lake: Settings):
    """Each sees what the other wrote, and its identity; the files stand below the data folder."""
    values = ", ".join("?" * len(row_of(1)))
    with closing(open_warehouse(on_a_lake)) as other:
        assert other.identity == made.identity
        for key in range(100):
            insert(made, f"INSERT INTO raw.{TABLE.name} VALUES ({values})", row_of(key))
        assert other.fetch(f"SELECT COUNT(*) FROM raw.{TABLE.name}") == [(100,)]
        other.root.execute(f"CALL ducklake_flush_inlined_data('{lake.CATALOG}')")
    assert [*Path(on_a_lake.lake_files).rglob("*.parquet")]
    assert Path(on_a_lake.lake_files) == (on_a_lake.data_dir / "lake").resolve()


def test_a_lake_is_prepared_again_without_a_change(made: DuckLake):
    """Every process prepares it at its start; that makes no snapshot."""
    before = made.fetch(f"SELECT MAX(snapshot_id) FROM ducklake_snapshots('{lake.CATALOG}')")
    made.prepare([TABLE])
    assert made.fetch(f"SELECT MAX(snapshot_id) FROM ducklake_snapshots('{lake.CATALOG}')") == before


@pytest.mark.usefixtures("made")
def test_files_elsewhere_are_refused(on_a_lake: Settings, tmp_path: Path):
    """The lake of a database has its files in one place."""
    with pytest.raises(SettingsError, match="LAZI_LAKE.*elsewhere"):
        open_warehouse(replace(on_a_lake, lake=str(tmp_path / "elsewhere")))


def test_a_catalog_that_does_not_answer_is_said_without_its_password(tmp_path: Path):
    """Nor is a folder made."""
    with pytest.raises(StoreUnreachableError) as caught:
        open_warehouse(Settings(URL, tmp_path / "data", 3001, "warning", warehouse="ducklake"))
    assert "hush" not in str(caught.value)
    assert not (tmp_path / "data").exists()


def test_a_catalog_that_goes_away_is_said_without_its_password(made: DuckLake):
    """DuckDB quotes the whole address wherever it connects anew."""
    with pytest.raises(StoreUnreachableError, match="Unable to connect") as caught, made.filling():
        made.cursor().execute(f"ATTACH '{URL}' AS away (TYPE postgres)")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "hushed"),
    [
        ('to "postgresql://u:p%40ss@h:1/x": no', 'to "postgresql://u:...@h:1/x": no'),
        ("postgres://h/x?user=u&password=pw&sslmode=require", "postgres://h/x?user=u&password=...&sslmode=require"),
        ("host=h password='p w' user=u", "host=h password=... user=u"),
        ("postgresql://u@h/x is at http://h:80/a@b", "postgresql://u@h/x is at http://h:80/a@b"),
    ],
)
def test_an_address_loses_its_password(said: str, hushed: str):
    """And nothing else."""
    assert server.hushed(said) == hushed


def test_an_extension_that_is_missing_is_named(on_a_lake: Settings, monkeypatch: pytest.MonkeyPatch):
    """With what installs it; DuckDB does not go and fetch it."""
    monkeypatch.setattr(lake, "find_spec", lambda _: None)
    with pytest.raises(StoreUnfitError, match=r"`ducklake`.*st-lazi\[lake\]"):
        open_warehouse(on_a_lake)


def test_catalogs_of_former_changes_do_not_fill_memory(on_a_lake: Settings):
    """DuckLake keeps one for each change of a table while there is room; what is worked on goes before them."""
    with closing(lake.open_lake(on_a_lake, 60_000_000)) as root:
        held = "SELECT CAST(SUM(memory_usage_bytes) AS BIGINT) FROM duckdb_memory()"
        columns = ", ".join(f"c{number} TEXT" for number in range(30))
        root.execute("BEGIN; CREATE SCHEMA IF NOT EXISTS raw")
        for number in range(60):
            root.execute(f"CREATE TABLE raw.t{number} ({columns})")
        root.execute("COMMIT")
        most = 0
        for number in range(80):
            root.execute(f"CREATE OR REPLACE VIEW raw.v AS SELECT {number} AS x")
            assert root.execute("SELECT * FROM raw.v").fetchall() == [(number,)]
            most = max(most, root.execute(held).fetchall()[0][0])
        assert 20_000_000 < most < 60_000_000
        rows = "SELECT REPEAT('x', 50) || i AS s, ROW_NUMBER() OVER (ORDER BY HASH(i)) AS r FROM RANGE(300000) AS t(i)"
        assert root.execute(f"SELECT MAX(s) FROM ({rows})").fetchall()[0][0].endswith("99999")


def test_a_load_that_needs_more_memory_gets_it(made: DuckLake):
    """It is told once, by an error of its own; tried again it has room, and so have later ones."""
    made.root.execute("SET GLOBAL memory_limit = '20MB'")
    large = "SELECT STRING_AGG(REPEAT(CHR(65 + CAST(i % 26 AS INTEGER)), 10000)) FROM RANGE(5000) AS t(i)"
    with pytest.raises(StoreMemoryError, match="at first"), made.sparing():
        made.fetch(large)
    with made.sparing():
        assert made.fetch(f"SELECT LENGTH(x) FROM ({large}) AS t(x)") == [(50_004_999,)]


def test_nothing_is_downloaded(made: DuckLake):
    """DuckDB would install extensions by itself."""
    assert made.fetch("SELECT current_setting('autoinstall_known_extensions')") == [(False,)]


def test_a_secret_of_an_object_store_is_made_of_the_usual_variables(monkeypatch: pytest.MonkeyPatch):
    """Also for one of one's own, at an address without TLS; what is missing is named."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        secret("s3://lazi/lake")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "it's")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    connection.execute(f"LOAD '{lake.extension('httpfs')}'")
    connection.execute(secret("s3://lazi/lake"))
    [(text,)] = connection.execute("SELECT secret_string FROM duckdb_secrets()").fetchall()
    assert "endpoint=127.0.0.1:9000" in text
    assert "use_ssl=false" in text
    assert "it's" not in text


def test_a_scheme_that_nobody_knows_is_refused():
    """With those that are known."""
    with pytest.raises(SettingsError, match="`ftp://files/lake`.*s3"):
        secret("ftp://files/lake")


@pytest.mark.parametrize(
    ("variables", "engine"),
    [
        ({}, Engine.DUCKDB),
        ({"LAZI_WAREHOUSE": "duckdb"}, Engine.DUCKDB),
        ({"DATABASE_URL": URL}, Engine.POSTGRES),
        ({"DATABASE_URL": URL, "LAZI_WAREHOUSE": "postgres"}, Engine.POSTGRES),
        ({"DATABASE_URL": URL, "LAZI_WAREHOUSE": "DuckLake"}, Engine.DUCKLAKE),
    ],
)
def test_the_engine_follows_from_the_settings(variables: dict[str, str], engine: Engine, tmp_path: Path):
    """Named, or from whether there is a database."""
    assert load(Places(variables, tmp_path)).engine is engine


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"LAZI_WAREHOUSE": "snowpark"}, "`snowpark`, allowed is `duckdb` or `postgres` or `ducklake`"),
        ({"LAZI_WAREHOUSE": "ducklake"}, "`DATABASE_URL` is not set"),
        ({"LAZI_WAREHOUSE": "postgres"}, "`DATABASE_URL` is not set"),
        ({"LAZI_WAREHOUSE": "duckdb", "DATABASE_URL": URL}, "`DATABASE_URL` is set"),
    ],
)
def test_an_engine_that_cannot_be_is_refused(variables: dict[str, str], said: str, tmp_path: Path):
    """With what goes together, and no password."""
    with pytest.raises(SettingsError) as caught:
        load(Places(variables, tmp_path))
    assert said in str(caught.value)
    assert "hush" not in str(caught.value)
