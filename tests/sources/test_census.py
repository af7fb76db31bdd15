"""A census: what proves a read whole, and that nothing is marked without a proof."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.sync import Silence
from sources.servicetitan.catalog import BY_NAME, CATALOG, Feed
from sources.servicetitan.census import Census, doubt, why_not
from sources.servicetitan.reading import Outcome, raw_table
from store.warehouse import DuckDB
from tests.sources.odd_server import Answer, OddServer, serving
from tests.sources.test_client import client

ZONES, JOB_TYPES, JOBS = BY_NAME["zones"], BY_NAME["job_types"], BY_NAME["jobs"]  # without `ids`, with them, an export
TENANT = 7


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[DuckDB]:
    opened = DuckDB(tmp_path / "lazi.duckdb")
    opened.prepare(map(raw_table, (ZONES, JOB_TYPES, JOBS)))
    yield opened
    opened.close()


def page(*ids: int, total: int | None = None, more: bool = False, token: str | None = None) -> Answer:
    data = [{"id": key} for key in ids]
    return Answer(body={"hasMore": more, "totalCount": total, "continueFrom": token, "data": data})


def holds(warehouse: DuckDB, table: str, *ids: int, at: str = "2026-01-01") -> None:
    for key in ids:
        row = [TENANT, key, f'{{"id": {key}}}', None, f"hash {key}", False, 1, "batch", at, "load", None]
        warehouse.cursor().execute(f"INSERT INTO raw.{table} VALUES ({', '.join('?' * len(row))})", row)


def count(server: OddServer, warehouse: DuckDB, entity) -> tuple[Census, list[int]]:
    """The census, and the keys that it marked."""
    outcome = Outcome(entity, TENANT, "batch", datetime.now(UTC))
    census = Census(outcome, client(server.url, attempts=1), warehouse, Silence())
    rows = [row for table in census.tables({}) for row in table.to_pylist()]
    assert outcome.status == "completed", outcome.error
    return census, sorted(row["st_id"] for row in rows if row["is_deleted"])


@pytest.mark.parametrize(
    ("totals", "served", "text"),
    [
        ([3, 3], 3, ""),
        ([3], 3, ""),
        ([None], 3, "no total"),
        ([3, None], 3, "no total"),
        ([3, 4], 4, "from 3 to 4"),
        ([3, 3], 2, "is 3 and it shows 2"),
    ],
)
def test_totals_and_keys_must_agree(totals: list, served: int, text: str):
    """The first page, the last one and the number of different keys; anything else is a reason for doubt."""
    assert text in doubt(totals, served)
    assert bool(doubt(totals, served)) == bool(text)


def test_what_a_proven_list_does_not_show_twice_is_marked(warehouse: DuckDB):
    """A list without `ids` is read again before anything is marked."""
    holds(warehouse, "st_zones", 1, 2, 3)
    with serving(page(1, 2, total=2)) as server:
        census, marked = count(server, warehouse, ZONES)
    assert marked == [3]
    assert {asked["includeTotal"] for asked in server.asked} == {"true"}
    assert len(server.asked) == 2
    assert (census.findings.vanished, census.findings.marked_deleted, census.findings.reason) == (1, 1, "")


def test_a_record_that_slipped_between_two_pages_is_not_marked(warehouse: DuckDB):
    """One left, one came: totals and keys agree although record 3 moved over the page's edge. The second read finds it."""
    holds(warehouse, "st_zones", 1, 2, 3, 4)
    slipped = (page(1, 2, total=4, more=True), page(4, 5, total=4))
    whole = (page(2, 3, total=4, more=True), page(4, 5, total=4))
    with serving(*slipped, *whole) as server:
        census, marked = count(server, warehouse, ZONES)
    assert marked == []
    assert census.findings.vanished == 1


def test_a_list_that_keeps_changing_proves_nothing(warehouse: DuckDB):
    """Three reads, then it says so; what was found lands, nothing is marked."""
    holds(warehouse, "st_zones", 1, 9)
    answers = [page(1, 2, total=2 + n + last, more=not last) for n in range(3) for last in (False, True)]
    with serving(*answers) as server:
        census, marked = count(server, warehouse, ZONES)
    assert marked == []
    assert len(server.asked) >= 6
    assert "It was read 3 times; nothing is marked" in census.findings.reason
    assert (census.findings.vanished, census.findings.missing_in_copy, census.findings.proof) == (1, 1, "")


def test_without_totals_two_reads_in_a_row_must_show_the_same(warehouse: DuckDB):
    """1 and 2, then 1 and 3, then 1 and 3 again: proven."""
    holds(warehouse, "st_zones", 1, 9)
    with serving(page(1, 2), page(1, 3), page(1, 3)) as server:
        census, marked = count(server, warehouse, ZONES)
    assert marked == [9]
    assert census.findings.proof == "two reads in a row show the same keys"
    with serving(page(1), page(1, 2), page(1)) as server:
        census, marked = count(server, warehouse, ZONES)
    assert (marked, census.findings.proof) == ([], "")


def test_suspects_that_ids_still_show_are_not_marked(warehouse: DuckDB):
    """Fifty at once; only what is not shown there either is gone."""
    holds(warehouse, "st_job_types", *range(1, 71))
    with serving(page(70, total=1), page(1), page()) as server:
        census, marked = count(server, warehouse, JOB_TYPES)
    asked = [one["ids"].split(",") for one in server.asked if "ids" in one]
    assert [len(ids) for ids in asked] == [50, 19]
    assert marked == list(range(2, 70))
    assert (census.findings.vanished, census.findings.marked_deleted) == (69, 68)


def test_what_an_export_lacks_is_looked_for_twice(warehouse: DuckDB):
    """By `ids` in the list, whose records do not land, and by a second reading of the export."""
    holds(warehouse, "st_jobs", 1, 2, 3, 4)
    with serving(page(1, token="a"), page(2), page(1, 3, token="b")) as server:
        census, marked = count(server, warehouse, JOBS)
    assert [asked.get("ids") for asked in server.asked] == [None, "2,3,4", None]
    assert marked == [4]
    assert (census.findings.vanished, census.outcome.tally.fetched) == (3, 3)


def test_a_tenant_without_the_export_is_counted_by_the_list(warehouse: DuckDB):
    """As a sync reads it there."""
    holds(warehouse, "st_jobs", 1, 2)
    with serving(Answer(404, {}), page(1, total=1), page()) as server:
        _, marked = count(server, warehouse, JOBS)
    assert marked == [2]
    assert server.asked[1]["includeTotal"] == "true"


def test_what_landed_since_the_census_began_is_never_suspected(warehouse: DuckDB):
    """Another process may land while this one reads."""
    holds(warehouse, "st_zones", 1)
    holds(warehouse, "st_zones", 2, at="2100-01-01")
    with serving(page(1, total=1)) as server:
        census, marked = count(server, warehouse, ZONES)
    assert (marked, census.findings.in_copy, census.findings.vanished) == ([], 1, 0)


@pytest.mark.parametrize("entity", CATALOG, ids=lambda entity: entity.name)
def test_every_entity_is_counted_or_says_why_not(entity):
    """Lists, snapshots and exports are counted."""
    is_countable = entity.feed in {Feed.EXPORT, Feed.LIST, Feed.SNAPSHOT}
    assert is_countable is (not why_not(entity))
