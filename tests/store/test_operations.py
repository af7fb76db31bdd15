"""The operations store: the same behaviour on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from store.exceptions import SettingsError, StoreUnreachableError, StoreUnwritableError, TakenError
from store.operations import open_operations
from store.postgres_operations import bound_by_name
from store.session import connect
from store.settings import Settings
from store.sqlite_operations import for_sqlite

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


def started(batch: str, **changes: object) -> dict[str, object]:
    return {"sync_batch_id": batch, "tenant_id": 1, "entity": "jobs", "started_at": NOON, "feed": "export"} | changes


def batches(operations) -> set[str]:
    return {row["sync_batch_id"] for row in operations.run("batches_of_entity", entity="jobs")}


def test_several_are_run_in_one_transaction(settings: Settings):
    """The rows of each, in their order; nothing is run for none."""
    operations = open_operations(settings)
    assert operations.run_all("start_batch", [started(name) for name in "abc"]) == [[], [], []]
    assert batches(operations) == {"a", "b", "c"}
    found = operations.run_all("batches_of_entity", [{"entity": "jobs"}, {"entity": "leads"}])
    assert [len(rows) for rows in found] == [3, 0]
    assert found[0][0]["started_at"] == NOON
    assert operations.run_all("start_batch", []) == []


@pytest.mark.parametrize("bad", [{"sync_batch_id": "a"}, {"tenant_id": None}, {"feed": ...}], ids=str)
def test_of_several_all_are_kept_or_none(settings: Settings, bad: dict[str, object]):
    """Whatever is wrong with one of them; the connection is good for more."""
    operations = open_operations(settings)
    values = [started("a"), started("b"), started("c") | bad, started("d")]
    with pytest.raises(TakenError if bad == {"sync_batch_id": "a"} else Exception):
        operations.run_all("start_batch", values)
    assert batches(operations) == set()
    operations.run_all("start_batch", values[:2])
    assert batches(operations) == {"a", "b"}


def test_every_one_must_return_a_row_where_that_is_asked(settings: Settings):
    """One does not."""
    operations = open_operations(settings)
    start(operations, "a")
    asked = [{"entity": "jobs"}, {"entity": "leads"}]
    with pytest.raises(TakenError, match="1 of 2 returned no row"):
        operations.run_all("batches_of_entity", asked, every=True)
    assert len(operations.run_all("batches_of_entity", asked[:1], every=True)) == 1


def test_a_crash_half_way_keeps_none(settings: Settings):
    """What ends the process ends the transaction; another process sees nothing of it on the way."""
    operations, other = open_operations(settings), open_operations(settings)

    class Crash(BaseException):
        pass

    def values() -> Iterator[dict[str, object]]:
        yield started("a")
        assert batches(other) == set()
        raise Crash

    with pytest.raises(Crash):
        operations.run_all("start_batch", values())
    assert batches(operations) == set()


def test_two_in_opposite_order_do_not_wait_for_each_other(settings: Settings):
    """Whoever comes second fails or waits, and neither hinders the other for good."""
    operations, gate = open_operations(settings), threading.Barrier(2)
    values = [started(str(number)) for number in range(50)]
    ends: list[str] = []

    def run(each: list[dict[str, object]]) -> None:
        gate.wait()
        try:
            operations.run_all("start_batch", each)
            ends.append("done")
        except TakenError:
            ends.append("taken")
        operations.close()

    threads = [threading.Thread(target=run, args=(each,)) for each in (values, values[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["done", "taken"]
    assert len(batches(operations)) == 50


def test_a_landing_during_a_run_of_the_models_is_not_forgotten(settings: Settings):
    """An entity stays stale until the models show as many landings as there were."""
    operations = open_operations(settings)
    for name in ("jobs", "leads", "jobs"):
        operations.run("note_landed", entity=name, now=datetime.now(UTC))
    seen = [{"entity": row["entity"], "landings": row["landings"]} for row in operations.run("stale_entities")]
    assert seen == [{"entity": "jobs", "landings": 2}, {"entity": "leads", "landings": 1}]
    operations.run("note_landed", entity="jobs", now=datetime.now(UTC))
    operations.run_all("forget_stale", seen)
    assert [(row["entity"], row["landings"]) for row in operations.run("stale_entities")] == [("jobs", 3)]


def test_only_batches_that_have_not_ended_are_buried(settings: Settings):
    """Of one entity and tenant; they are told once, and have failed."""
    operations = open_operations(settings)
    start(operations, "a", "jobs")
    operations.run("finish_batch", sync_batch_id="a", finished_at=NOON, status="completed", appended=1, **ENDED)
    for batch, entity in (("b", "jobs"), ("c", "calls")):
        start(operations, batch, entity)
    died = {"tenant_id": 1, "entity": "jobs", "finished_at": NOON, "error": "died"}
    assert operations.run("bury_batches", **died | {"tenant_id": 2}) == []
    assert operations.run("bury_batches", **died) == [{"sync_batch_id": "b"}]
    assert operations.run("bury_batches", **died) == []
    assert [row["status"] for row in operations.run("batches_of_entity", entity="jobs")] == ["completed", "failed"]
    assert [row["status"] for row in operations.run("batches_of_entity", entity="calls")] == ["running"]


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
    with pytest.raises(SettingsError, match="DATABASE_URL") as caught:
        connect("postgresql://user:hush@127.0.0.1:port/db")
    assert "hush" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    """A file where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnwritableError, match="LAZI_DATA_DIR"):
        open_operations(Settings("", tmp_path / "file" / "data", 3001, "warning"))


def test_a_read_is_unsettled_until_one_is_completed_behind_it(settings: Settings):
    """Rows of one that died, or that the warehouse did not take, may still land; so may those of one that is under way."""
    operations, hour = open_operations(settings), timedelta(hours=1)

    def unsettled() -> list[datetime]:
        return [row["started_at"] for row in operations.run("oldest_unsettled", tenant_id=1, entity="jobs")]

    def end(batch: str, status: str) -> None:
        operations.run("finish_batch", sync_batch_id=batch, finished_at=NOON, status=status, appended=0, **ENDED)

    for number, name in enumerate(("died", "failed", "refused", "reconciled", "again", "other"), start=1):
        feed, entity = ("reconcile" if name == "reconciled" else "export"), ("calls" if name == "other" else "jobs")
        operations.run("start_batch", **started(name, started_at=NOON + number * hour, feed=feed, entity=entity))
        if name == "died":
            assert unsettled() == [NOON + hour]
            operations.run("bury_batches", tenant_id=1, entity="jobs", finished_at=NOON, error="died")
        elif name == "refused":
            operations.run("note_pending", sync_batch_id=name)
            end(name, "failed")
        elif name != "again":
            end(name, "failed" if name == "failed" else "completed")
        assert unsettled() == [NOON + hour]
    end("again", "unavailable")
    assert unsettled() == [NOON + hour]
    end("again", "completed")
    assert unsettled() == []
    start(operations, "next", at=NOON + 9 * hour)
    assert unsettled() == [NOON + 9 * hour]
    end("next", "failed")
    assert unsettled() == []
