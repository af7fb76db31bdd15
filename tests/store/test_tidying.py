"""What the operations store forgets, and what it never does."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from store.chain import chain_of
from store.operations import Operations, open_operations
from store.settings import Settings
from store.tidying import KEPT, tidy

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBERS = count()


@pytest.fixture
def operations(settings: Settings) -> Iterator[Operations]:
    with closing(open_operations(settings)) as opened:
        yield opened


def read(operations: Operations, entity: str, at: datetime, status: str, covered: tuple[str, str | None]) -> None:
    """A read that moved a cursor from one place to another, or stayed."""
    ident = f"{entity}{at}"
    operations.run("start_batch", sync_batch_id=ident, tenant_id=7, entity=entity, started_at=at, feed="export")
    counts = dict.fromkeys(("fetched", "unchanged", "bytes", "requests", "retries", "repaired", "pages"), 0)
    moved = covered[0] != covered[1] and status == "completed"
    places = {"covered_from": covered[0], "covered_to": covered[1], "appended": int(moved)}
    operations.run("finish_batch", sync_batch_id=ident, finished_at=at, status=status, error=None, **counts, **places)


@rules(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(moves=st.lists(st.sampled_from(["moved", "idle", "failed"]), min_size=1, max_size=40))
def test_a_chain_of_reads_is_as_whole_as_before(operations: Operations, moves: list[str]):
    """Whatever reads found: what is left reaches from the beginning to the present, and the newest good read is there."""
    entity, place = f"e{next(NUMBERS)}", ""
    for turn, move in enumerate(moves):
        at = NOW - (len(moves) - turn) * 5 * DAY
        if move == "failed":
            read(operations, entity, at, "failed", (place, None))
            continue
        after = f"{turn}" if move == "moved" or not place else place
        read(operations, entity, at, "completed", (place, after))
        place = after
    before = operations.run("batches_of_entity", entity=entity)
    tidy(operations, NOW)
    left = operations.run("batches_of_entity", entity=entity)
    assert chain_of(left).is_whole == chain_of(before).is_whole
    good = [row for row in before if row["status"] == "completed"]
    assert not good or good[-1] in left
    assert [row for row in before if row["appended"]] == [row for row in left if row["appended"]]
    idle = [row for row in left if row["status"] == "completed" and not row["appended"] and row is not left[-1]]
    assert all(row["finished_at"] >= NOW - KEPT["forget_idle_batches"] or row == good[-1] for row in idle)


def test_what_models_rely_on_stays(operations: Operations):
    """The last run that ended well, however old, and what is newer."""
    for ident, ago, status in (("a", 90, "completed"), ("b", 80, "completed"), ("c", 70, "failed"), ("d", 1, "failed")):
        at = NOW - ago * DAY
        operations.run("start_model_run", model_run_id=ident, started_at=at, fingerprint="x")
        operations.run("finish_model_run", model_run_id=ident, finished_at=at, status=status, error=None)
    tidy(operations, NOW)
    assert [row["started_at"] for row in operations.run("last_model_runs")] == [
        NOW - days * DAY for days in (1, 70, 80)
    ]
    assert operations.run("last_model_run")[0]["started_at"] == NOW - 80 * DAY
