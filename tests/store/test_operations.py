"""The operations store: the same behaviour on SQLite and PostgreSQL."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.exceptions import StoreUnreachableError, StoreUnwritableError
from store.operations import bound_by_name, connect, for_sqlite, open_operations
from store.settings import Settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
ENDED = dict.fromkeys(("fetched", "unchanged", "bytes", "requests", "retries", "repaired"), 0) | {"error": None}
ENDED |= {"pages": 1, "covered_from": "", "covered_to": "t"}


def start(operations, batch: str, entity: str = "jobs", at: datetime = NOON) -> None:
    operations.run("start_batch", sync_batch_id=batch, tenant_id=1, entity=entity, started_at=at, feed="export")


def test_a_batch_is_written_when_it_starts_and_when_it_ends(settings: Settings):
    """What is read back is what was written, moments in UTC."""
    operations = open_operations(settings)
    start(operations, "a")
    operations.run("finish_batch", sync_batch_id="a", finished_at=NOON, status="completed", appended=3, **ENDED)
    (row,) = operations.run("batches_of_entity", entity="jobs")
    assert row["started_at"] == NOON
    assert (row["status"], row["appended"]) == ("completed", 3)


def test_a_status_that_is_not_one_is_refused(settings: Settings):
    """The store itself knows the allowed states."""
    operations = open_operations(settings)
    start(operations, "a")
    with pytest.raises(Exception, match="(?i)check"):
        operations.run("finish_batch", sync_batch_id="a", finished_at=NOON, status="done", appended=0, **ENDED)


def test_changed_entities_are_those_that_appended_or_died(settings: Settings):
    """A batch that never finished counts as changed: its process may have appended."""
    operations = open_operations(settings)
    for batch, entity, appended in (("a", "jobs", 2), ("b", "leads", 0)):
        start(operations, batch, entity)
        operations.run(
            "finish_batch", sync_batch_id=batch, finished_at=NOON, status="completed", appended=appended, **ENDED
        )
    start(operations, "c", "calls")
    rows = operations.run("changed_entities", since=NOON, since_day=NOON - timedelta(days=1))
    assert {row["entity"] for row in rows} == {"jobs", "calls"}
    later = NOON + timedelta(hours=1)
    assert operations.run("changed_entities", since=later, since_day=later) == []


def test_opening_at_the_same_time_migrates_once(settings: Settings):
    """Several processes may prepare the store at once."""
    errors: list[Exception] = []

    def open_one() -> None:
        try:
            open_operations(settings).close()
        except Exception as error:  # noqa: BLE001  whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_queries_for_both_stores_come_from_one_text():
    """Schemas go for SQLite, named values are psycopg2's for PostgreSQL, casts and percent signs survive."""
    assert for_sqlite("UPDATE system.a SET x = outbound.b.y") == "UPDATE system_a SET x = outbound_b.y"
    assert bound_by_name("SELECT :a, b::text, '%'") == "SELECT %(a)s, b::text, '%%'"


def test_a_server_that_does_not_answer_is_named_without_the_password():
    """The message has the cause and the next step."""
    with pytest.raises(StoreUnreachableError, match="DATABASE_URL") as caught:
        connect("postgresql://user:hush@127.0.0.1:1/db")
    assert "hush" not in str(caught.value)


def test_an_address_that_cannot_be_read_is_named_without_the_password():
    """A malformed address is a message too."""
    with pytest.raises(StoreUnreachableError, match="DATABASE_URL") as caught:
        connect("postgresql://user:hush@127.0.0.1:port/db")
    assert "hush" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    """A file where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritableError, match="LAZI_DATA_DIR"):
        open_operations(Settings("", tmp_path / "file" / "data", 3001, "warning"))
