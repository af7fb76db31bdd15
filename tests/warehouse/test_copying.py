"""A copy of raw from one warehouse to another is exact, can be cut off at any moment, and loses nothing."""

import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg2
import pytest

from pipelines import copying
from pipelines.copying import Compared, CopyError, check_kept, copy, other, units
from pipelines.landing import working_folder
from pipelines.sides import LakeSide, Mark, Piece, PostgresSide, Shape
from pipelines.sync import Report, Stores
from sources.servicetitan.reading import raw_table
from store.exceptions import SettingsError
from store.lake import METADATA, DuckLake
from store.lock import held
from store.pruning import note
from store.settings import Engine, Settings
from store.warehouse import Postgres, RawTable, open_warehouse
from tests.warehouse.conftest import FEW, TEXT_KEY, Site, run
from tests.warehouse.same import CURSORS, RAW, assert_same, rows

TABLE = TEXT_KEY.removeprefix("raw.")


def requests(report: Report) -> int:
    return sum(outcome.meter.requests for outcome in report.outcomes)


def appended(report: Report) -> int:
    return sum(outcome.tally.appended for outcome in report.outcomes)


FEW_TABLES = (*(f"raw.{raw_table(entity).name}" for entity in FEW), *RAW[-2:], CURSORS)


def assert_alike(site: Site) -> int:
    with closing(open_warehouse(site.postgres)) as here, closing(open_warehouse(site.lake)) as there:
        return assert_same(here, there, FEW_TABLES)


def test_a_copy_there_has_every_row_of_every_column(copied: Site):
    """As often as it stands here, NULL and the payload included; dlt's own tables too."""
    assert assert_alike(copied) > 100


def test_the_two_keep_identities_of_their_own(copied: Site):
    """So that none takes the working folder of the other."""
    with closing(open_warehouse(copied.postgres)) as here, closing(open_warehouse(copied.lake)) as there:
        assert here.identity != there.identity
    assert working_folder(copied.postgres) != working_folder(copied.lake)


def test_a_second_copy_has_nothing_to_do(copied: Site):
    """It finds both alike, and keeps the other one's identity."""
    with closing(open_warehouse(copied.lake)) as there:
        before = there.identity
    found = copy(copied.postgres, copied.lake)
    assert found.rows == 0
    assert sum(found.tables.values()) > 100
    with closing(open_warehouse(copied.lake)) as there:
        assert there.identity == before


CHANGES = {
    "tenant_id": "2",
    "st_id": "st_id || ' '",
    "modified_on": "TIMESTAMPTZ '2026-01-01 00:00:00.000001+00'",
    "payload_hash": "'other'",
    "is_deleted": "NOT is_deleted",
    "sync_batch_id": "sync_batch_id || 'x'",
    "synced_at": "synced_at + INTERVAL 1 MICROSECOND",
    "_dlt_load_id": "''",
    "scope": "CASE WHEN scope IS NULL THEN '' END",
}


@pytest.mark.parametrize("column", CHANGES)
def test_a_row_that_differs_in_one_column_is_seen(copied: Site, column: str):
    """The digests of both engines agree on every odd value, and on none once it is changed."""
    with closing(open_warehouse(copied.postgres)) as here, closing(open_warehouse(copied.lake)) as there:
        assert isinstance(here, Postgres)
        assert isinstance(there, DuckLake)
        shape = PostgresSide(here).shapes()[TABLE]
        expected, side = PostgresSide(here).marks(shape), LakeSide(there)
        assert side.marks(shape) == expected
        cursor = there.cursor()
        cursor.execute("BEGIN")
        cursor.execute(f"UPDATE {TEXT_KEY} SET {column} = {CHANGES[column]} WHERE payload_hash = 'h1'")
        changed = side.marks(shape)
        cursor.execute("ROLLBACK")
        assert {bucket for bucket in expected if changed[bucket] != expected[bucket]} == {1}
        assert sum(mark.rows for mark in changed.values()) == sum(mark.rows for mark in expected.values())


def test_a_copy_for_a_look_makes_nothing(site: Site):
    """No catalog, no folder; it tells how many rows there are."""
    found = copy(site.postgres, site.lake, dry=True)
    assert found.rows == sum(found.tables.values()) > 100
    assert not Path(site.lake.lake_files).exists()
    with closing(psycopg2.connect(site.postgres.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s)", (METADATA,))
        assert cursor.fetchone() == (None,)


def test_there_and_back_again(site: Site):
    """Cursors carry on in each; what landed there comes back; only that is copied; and nothing is landed twice."""
    usual = requests(site.sync(site.postgres))
    copy(site.postgres, site.lake)
    there = site.sync(site.lake)
    assert there.is_good
    assert appended(there) == 0
    assert requests(there) <= usual
    with closing(open_warehouse(site.lake)) as lake:
        lake.fetch(
            f"INSERT INTO {TEXT_KEY} SELECT * REPLACE ('new' AS payload_hash, now() AS synced_at) FROM {TEXT_KEY} "
            "WHERE payload_hash = 'h2'"
        )
    with pytest.raises(CopyError, match="rows that the present one lacks"):
        copy(site.postgres, site.lake)
    back = copy(site.lake, site.postgres)
    assert 0 < back.rows < sum(back.tables.values())
    assert_alike(site)
    again = site.sync(site.postgres)
    assert again.is_good
    assert appended(again) == 0
    assert requests(again) <= usual


@pytest.mark.slow
def test_what_was_pruned_here_goes_there_too(site: Site):
    """But not what landed there since, also where it landed before the last record here did."""
    run(
        site.postgres.database_url,
        f"""INSERT INTO {TEXT_KEY} (tenant_id, st_id, payload, payload_hash, is_deleted, key_bucket, sync_batch_id, synced_at,
        _dlt_load_id) SELECT tenant_id, st_id, payload, 'h5', FALSE, key_bucket, 'b', synced_at + INTERVAL '1 day', 'l'
        FROM {TEXT_KEY} WHERE payload_hash = 'h3' LIMIT 1""",
    )
    copy(site.postgres, site.lake)
    table = RawTable(TABLE, "text")
    with closing(open_warehouse(site.postgres)) as here:
        note(here, table)
    run(site.postgres.database_url, f"SET lazi.pruning = 'on'; DELETE FROM {TEXT_KEY} WHERE payload_hash = 'h3'")
    assert copy(site.postgres, site.lake).rows > 0
    assert_alike(site)
    with closing(open_warehouse(site.lake)) as lake:
        assert lake.fetch("SELECT entity FROM raw._lazi_pruned") == [(TABLE.removeprefix("st_"),)]
        lake.fetch(
            f"INSERT INTO {TEXT_KEY} SELECT * REPLACE (synced_at + INTERVAL 1 DAY AS synced_at) FROM {TEXT_KEY} "
            "WHERE payload_hash = 'h5'"
        )
    with pytest.raises(CopyError, match="landed there since"):
        copy(site.postgres, site.lake)


CHILD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from pipelines import copying
    from store.settings import Settings

    copying.MOST, copying.TOGETHER = 20, 1
    copying.CATALOG = [entity for entity in copying.CATALOG if entity.name in sys.argv[5].split(",")]

    def settings(engine):
        return Settings(sys.argv[1], Path(sys.argv[2]), 3001, "warning", "", engine)

    copying.copy(settings(sys.argv[3]), settings(sys.argv[4]), progress=lambda *_: print("piece", flush=True))
    print("whole", flush=True)
""")


LONGEST = 60.0  # seconds until a copy begins


def killed(here: Settings, there: Settings, pieces: int, seconds: float) -> bool:
    """Kill a copy a moment behind the beginning of one of its pieces; whether it was whole already."""
    command = [sys.executable, "-c", CHILD, here.database_url, str(here.data_dir), here.warehouse, there.warehouse]
    command.append(",".join(entity.name for entity in FEW))
    said = here.data_dir / "said"
    with said.open("w") as file, subprocess.Popen(command, stdout=file, stdin=subprocess.DEVNULL) as child:
        end = time.monotonic() + LONGEST
        while child.poll() is None and said.read_text().count("piece") < pieces and time.monotonic() < end:
            time.sleep(0.01)
        with suppress(subprocess.TimeoutExpired):
            child.wait(seconds)
        child.kill()
    assert "piece" in said.read_text()
    return "whole" in said.read_text()


@pytest.mark.parametrize("moments", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_a_copy_that_is_killed_is_gone_on_with(site: Site, monkeypatch: pytest.MonkeyPatch, moments: int):
    """At any moment, in both directions. Until it is whole the other warehouse has no cursors, so that nothing is left out."""
    chance = random.Random(moments)  # noqa: S311  any moments
    monkeypatch.setattr(copying, "MOST", 20)
    left = copy(site.postgres, site.lake, dry=True).rows
    for _ in range(moments):
        if killed(site.postgres, site.lake, chance.randint(1, 6), chance.random() / 2):
            break
        with closing(open_warehouse(site.lake)) as lake:
            has_cursors = lake.fetch(
                f"SELECT * FROM information_schema.tables WHERE table_name = '{CURSORS[4:]}'"
            ) and rows(lake, CURSORS)
        still = copy(site.postgres, site.lake, dry=True).rows
        assert still <= left
        assert not has_cursors or not still  # killed behind the last row
        left = still
    copy(site.postgres, site.lake)
    assert_alike(site)
    run(site.postgres.database_url, f"SET lazi.pruning = 'on'; DELETE FROM {TEXT_KEY}; DELETE FROM raw.st_jobs")
    for _ in range(moments // 2):
        killed(site.lake, site.postgres, chance.randint(1, 4), chance.random() / 4)
    copy(site.lake, site.postgres)
    assert_alike(site)


@pytest.mark.parametrize(
    "right", ["pipeline servicetitan_p1", "1 in servicetitan_p4", "the models", "what mutations changed", "pruning"]
)
def test_a_copy_is_refused_while_somebody_is_at_work(copied: Site, right: str):
    """Whoever reads, models, prunes or pushes; what that one holds is named."""
    with held(copied.postgres, right), pytest.raises(CopyError, match=f"at work on {right}"):
        copy(copied.postgres, copied.lake, tenants=[1])


def test_the_next_models_plan_and_look_at_all_that_was_copied(site: Site):
    """Else they would take what the former warehouse showed for what this one shows."""
    copy(site.postgres, site.lake)
    with closing(Stores.open(site.lake)) as stores:
        last = stores.operations.run("last_model_run")[0]
        stale = {row["entity"] for row in stores.operations.run("stale_entities")}
    assert last["fingerprint"] == "migrated"
    assert {"customers", "jobs", "capacity"} <= stale


@pytest.mark.slow
def test_what_an_engine_does_not_take_is_told(site: Site):
    """With its table; what was copied before stays, and the copy is whole when that is mended."""
    copy(site.postgres, site.lake)
    with closing(open_warehouse(site.lake)) as lake:
        lake.fetch(
            f"""INSERT INTO {TEXT_KEY} SELECT * REPLACE ('{{"a": "\\u0000"}}' AS payload, 'nul' AS payload_hash,
            now() AS synced_at) FROM {TEXT_KEY} WHERE payload_hash = 'h2'"""
        )
    with pytest.raises(CopyError, match=f"cut off in .*{TABLE}"):
        copy(site.lake, site.postgres)
    with closing(open_warehouse(site.lake)) as lake:
        lake.fetch(f"DELETE FROM {TEXT_KEY} WHERE payload_hash = 'nul'")
    copy(site.lake, site.postgres)
    assert_alike(site)


HERE = Settings("postgresql://nobody@localhost/none", Path("data"), 3001, "warning", "", "postgres")


@pytest.mark.parametrize(
    ("settings", "to", "lake", "error", "words"),
    [
        (HERE, Engine.POSTGRES, "", CopyError, "is `postgres` already"),
        (HERE, Engine.DUCKDB, "", CopyError, "installation of its own"),
        (replace(HERE, database_url="", warehouse=""), Engine.DUCKLAKE, "", CopyError, "Set `DATABASE_URL`"),
        (replace(HERE, warehouse="ducklake"), Engine.POSTGRES, "files", SettingsError, "Leave it out"),
    ],
)
def test_what_cannot_be_copied_to_is_refused(
    settings: Settings, to: Engine, lake: str, error: type[Exception], words: str
):
    """With what to do instead, and before anything is opened."""
    with pytest.raises(error, match=words):
        other(settings, to, lake)


def test_a_lake_may_be_named_for_the_copy():
    """Else it is where the settings say."""
    assert other(HERE, Engine.DUCKLAKE, "s3://bucket/lake").lake_files == "s3://bucket/lake"
    assert other(replace(HERE, lake="s3://other/lake"), Engine.DUCKLAKE).lake_files == "s3://other/lake"


SHAPE = Shape("st_x", ())


def test_large_tables_go_in_pieces_and_small_ones_together(monkeypatch: pytest.MonkeyPatch):
    """No more rows than set in a transaction, except where a bucket has more; the cursors alone at the end."""
    monkeypatch.setattr(copying, "MOST", 10)
    here = {0: Mark(6, 1), 1: Mark(4, 1), 2: Mark(1, 1), 3: Mark(50, 1), 4: Mark(1, 1)}
    pieces = list(Compared(SHAPE, here, {4: Mark(1, 1), 5: Mark(2, 2)}).pieces)
    assert [(piece.buckets, piece.rows, piece.replaces) for piece in pieces] == [
        ((0, 1), 10, False),
        ((2,), 1, False),
        ((3,), 50, False),
        ((5,), 0, True),
    ]
    cursors = Piece(Shape(copying.STATE, ()), (0,), 1, replaces=False)
    assert [len(unit) for unit in units([*pieces[1:2], *pieces[1:2], *pieces, cursors])] == [2, 1, 1, 1, 1, 1]


class Told:
    """A side that tells what a test says."""

    def __init__(self, digests: set[int], **latest: int) -> None:
        self.told, self.days = digests, latest

    def digests(self, *_: object) -> set[int]:
        return self.told

    def latest(self, *_: object) -> dict[tuple[int, str], datetime]:
        return {(1, key): datetime(2026, 1, day, tzinfo=UTC) for key, day in self.days.items()}


def refused(run: Callable[[], None]) -> bool:
    try:
        run()
    except CopyError:
        return True
    return False


@pytest.mark.parametrize(
    ("there", "is_pruned", "is_refused"),
    [
        (Told({1}, a=1), False, False),
        (Told({1, 3}, a=1), False, True),
        (Told({1, 3}, a=1), True, False),
        (Told({1, 3}, a=2, b=9), True, False),
        (Told({1, 3}, a=3), True, True),
        (Told({1, 3}, c=1), True, True),
    ],
)
def test_only_pruning_lets_rows_there_go(there: Told, is_pruned: bool, is_refused: bool):  # noqa: FBT001
    """Where a table was pruned here, those of records that landed no later there than here."""
    table = Compared(SHAPE, {0: Mark(2, 3)}, {0: Mark(1, 1)})
    here = Told({1, 2}, a=2, b=9)
    assert refused(lambda: check_kept(here, there, table, is_pruned=is_pruned)) is is_refused  # type: ignore[arg-type]


@pytest.mark.parametrize("table", RAW[:1])
def test_a_difference_fails_the_comparison_itself(copied: Site, table: str):
    """What these tests compare with sees one row too many."""
    with closing(open_warehouse(copied.postgres)) as here:
        found = rows(here, table)
        assert found != rows(here, TEXT_KEY)
