"""A year of operations is what a service would have written."""

import random
from contextlib import closing
from datetime import UTC, datetime, timedelta

from bench import year
from sources.servicetitan.catalog import CATALOG
from store.operations import open_operations
from store.settings import Settings
from store.timetable import INTERVALS

DAY = timedelta(days=1)


def test_there_is_a_read_for_each_entity_and_interval():
    """Each has its own id, and ended before now."""
    now, chance = datetime.now(UTC), random.Random(1)  # noqa: S311  not for cryptography
    rows = [dict(zip(year.BATCHES, row, strict=True)) for row in year.batches(now, 1, chance)]
    assert len(rows) == sum(DAY // INTERVALS[entity.priority] for entity in CATALOG)
    assert len({row["sync_batch_id"] for row in rows}) == len(rows)
    assert all(row["started_at"] < row["finished_at"] < now for row in rows)
    assert {row["status"] for row in rows} == {"completed", "failed", "unavailable"}
    assert all(row["appended"] + row["unchanged"] == row["fetched"] for row in rows)


def test_a_store_takes_it(settings: Settings):
    """Both kinds, and what the overview asks for finds it."""
    with closing(open_operations(settings)) as operations:
        number = year.add(settings, 2)
        since = datetime.now(UTC) - 3 * DAY
        found = operations.run("reads_by_hour", tenant_id=year.TENANT, since=since)
        assert number == 2 * sum(DAY // INTERVALS[entity.priority] for entity in CATALOG)
        assert sum(int(row["requests"]) for row in found) >= number
        assert len(operations.run("last_reads", tenant_id=year.TENANT, stopped="")) == len(CATALOG)
        assert operations.run("count_mutations", tenant_id=year.TENANT)
        assert operations.run("reconciliations_of_tenant", tenant_id=year.TENANT)
