"""Cut off anywhere and run again, a takeover comes to the same rows and the same counts."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as fewer
from hypothesis import strategies as st

from pipelines.legacy import database as sizes
from pipelines.legacy.database import Column, Database
from pipelines.legacy.exceptions import LegacyError
from pipelines.legacy.importing import Wishes, take_over
from pipelines.legacy.record import ROLES
from pipelines.legacy.report import TableReport
from pipelines.legacy.selecting import grouping, rows_of
from pipelines.legacy.spelling import Shape, record_shape
from store.settings import Settings
from tests.conftest import MakeDatabase
from tests.legacy.conftest import Heard, Takeover
from tests.legacy.original import TENANT, Original

ALL = (
    "SELECT tenant_id, st_id, CAST(payload AS TEXT), payload_hash, modified_on, synced_at, is_deleted FROM raw.st_zones "
    "ORDER BY 1, 2, 6"
)


class CutError(Exception):
    """The takeover was cut off."""


@dataclass
class Cutting(Heard):
    """An observer with which a takeover ends behind so many rows."""

    left: int = 0

    def progresses(self, rows: int) -> None:
        self.left -= rows
        if self.left < 0:
            raise CutError


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows at once, so that few rows have many places to be cut off at."""
    monkeypatch.setattr(sizes, "FIRST_FETCH", 3)
    monkeypatch.setattr(sizes, "LARGEST_FETCH", 7)


def filled(original: Original, chance: random.Random) -> None:
    """Rows of two tenants and none, with keys and without, of few names, with odd ones among them."""
    original.table("zones", "JSON")
    for _ in range(60):
        key = chance.choice([*range(6), None])
        name = chance.choice("ab")
        payload: Any = chance.choice(
            [{"id": key or 99, "name": name}, {"id": key or 99, "name": name}, {"name": name}, None, [1]]
        )
        day = chance.choice([None, *range(1, 9)])
        original.add(
            "zones", key, payload, f"2024-01-{day:02}" if day else None, tenant=chance.choice([TENANT, TENANT, 8, None])
        )


def counts(report: TableReport) -> Any:
    """What a run told of a table, but for which run landed it."""
    return report.tally, report.only_here


def test_cut_off_at_any_row_and_run_again_it_is_the_same(
    takeover: Takeover, make_database: MakeDatabase, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Again and again behind a few rows more, then whole: rows and counts are those of one that was never cut off."""
    filled(takeover.original, random.Random(5))  # noqa: S311  no secret
    url = make_database() if takeover.settings.database_url else ""
    folder, engine = tmp_path_factory.mktemp("whole"), takeover.settings.warehouse
    whole = Takeover(takeover.original, Settings(url, folder, 3001, "warning", warehouse=engine))
    expected = whole.table("zones")
    cuts = 0
    for rows in (2, 9, 17, 4, 30, 11):
        try:
            take_over(takeover.settings, takeover.original.url, Wishes(TENANT, with_models=False), Cutting(left=rows))
        except CutError:
            cuts += 1
    assert cuts >= 3
    assert counts(takeover.table("zones")) == counts(expected)
    assert undated(takeover) == undated(whole)


def undated(takeover: Takeover) -> list[tuple[Any, ...]]:
    """All rows; where the date is the takeover's beginning, which differs between two stores, only that it is."""
    [row] = takeover.operations("first_legacy_import")
    return [(*rest, at if at < row["started_at"] else None, gone) for *rest, at, gone in takeover.fetch(ALL)]


def test_rows_that_came_behind_a_place_are_found(takeover: Takeover) -> None:
    """The original still works: what comes before the place at which a takeover was cut off lands with the next run."""
    takeover.original.table("zones")
    for key in range(10, 30):
        takeover.original.add("zones", key, {"id": key}, "2024-01-01")
    with pytest.raises(CutError):
        take_over(takeover.settings, takeover.original.url, Wishes(TENANT, with_models=False), Cutting(left=12))
    takeover.original.add("zones", 1, {"id": 1}, "2024-01-01")
    found = takeover.table("zones")
    assert (found.tally.rows, found.tally.versions, found.tally.records) == (21, 21, 21)
    assert len(takeover.fetch(ALL)) == 21


@pytest.fixture(scope="module")
def keys(make_database: MakeDatabase) -> str:
    """A database with a table of keys, NULLs among them."""
    original = Original(make_database())
    original.run("CREATE TABLE raw.st_zones (tenant_id BIGINT, st_id TEXT, payload JSON, synced_at TIMESTAMPTZ)")
    original.run(
        "INSERT INTO raw.st_zones SELECT t, k, '{}', now() FROM (VALUES (1), (2), (NULL)) AS x (t), "
        "(VALUES ('1'), ('a'), ('B'), ('10'), (''), ('%'), (NULL)) AS y (k), generate_series(1, 2)"
    )
    return original.url


@given(place=st.integers(0, 20))
@fewer(max_examples=21, deadline=None)
def test_behind_every_place_stands_exactly_the_rest(keys: str, place: int) -> None:
    """Records behind a place and those up to it are all records, wherever NULL stands in it."""
    database = Database(keys)
    shape = record_shape(("raw", "st_zones"), database.tables["raw", "st_zones"])
    assert isinstance(shape, Shape)
    assert grouping(shape) == ("tenant", "key")
    every = records(database, shape, None)
    names = list(dict.fromkeys(every))
    assert len(names) == 21
    assert records(database, shape, names[place]) == every[2 * (place + 1) :]


def records(database: Database, shape: Shape, place: tuple[str | None, ...] | None) -> list[tuple[str | None, ...]]:
    """Tenant and key of the rows behind a place."""
    query, values = rows_of(shape, ROLES, place)
    with database.snapshot() as connection:
        return [row[:2] for some in database.stream(connection, query, values, 2) for row in some]


def test_identifiers_are_quoted(make_database: MakeDatabase) -> None:
    """A column may be called whatever PostgreSQL allows."""
    original = Original(make_database())
    original.run(
        'CREATE TABLE raw.st_zones ("Tenant_ID" BIGINT, "st_id" BIGINT, "Payload" JSON, "syncedAt" TIMESTAMPTZ)'
    )
    original.run("INSERT INTO raw.st_zones VALUES (1, 2, '{}', now())")
    database = Database(original.url)
    shape = record_shape(("raw", "st_zones"), database.tables["raw", "st_zones"])
    assert isinstance(shape, Shape)
    assert shape.roles["synced"] == Column("syncedAt", "timestamp with time zone")
    assert records(database, shape, ("0", "1")) == [("1", "2")]


def test_a_connection_that_is_lost_is_said_and_the_next_run_goes_on(takeover: Takeover) -> None:
    """The original's server ends our session in the middle: a message without a traceback, and nothing lost."""
    takeover.original.table("zones")
    for key in range(30):
        takeover.original.add("zones", key, {"id": key}, "2024-01-01")

    class Ending(Heard):
        def progresses(self, rows: int) -> None:
            self.rows += rows
            if self.rows > 10:
                takeover.original.run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'lazi import-legacy' AND datname = current_database()"
                )

    with pytest.raises(LegacyError, match="went away: .* goes on where it stopped"):
        take_over(takeover.settings, takeover.original.url, Wishes(TENANT, with_models=False), Ending())
    found = takeover.table("zones")
    assert (found.tally.rows, found.tally.versions) == (30, 30)
    assert 0 < found.landed_now < 30
    assert len(takeover.fetch(ALL)) == 30
