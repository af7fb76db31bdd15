"""What mutations changed, in raw: named by the mutation, once, in the shape of the feed that will bring it again."""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from outbound.body import required_example
from outbound.operations import BY_TITLE
from outbound.queue import Mutation
from pipelines import pushed as module
from pipelines.modelling import ModelError, finish
from pipelines.pushed import Pause, Pushed, content, grouped, overlaid
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.landing import Landing
from sources.servicetitan.page import Page
from sources.servicetitan.reading import raw_table
from store.exceptions import StoreError
from store.operations import Operations, Row
from store.rate_budget import open_budget_store
from store.raw import SHOWN_FIRST, RawTable
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.outbound.desk import Desk, desk
from tests.whole import reach

ENTITIES = ("customers", "teams", "zones")


@dataclass
class Copy:
    """A desk beside a copy of some entities."""

    office: Desk
    stores: Stores
    pushed: Pushed

    def sync(self) -> dict[str, int]:
        """Read again; the rows that were appended, by entity."""
        report = land_all(self.stores, reach(self.office.sandbox), [BY_NAME[name] for name in ENTITIES])
        assert report.is_good
        return {one.entity.name: one.tally.appended for one in report.outcomes}

    def append(self, name: str, texts: Iterable[bytes], asked_at: datetime | None = None) -> None:
        """Land records, asked for now or at a moment, without all that a sync does about it."""
        entity, records = BY_NAME[name], [msgspec.Raw(text) for text in texts]
        rows = Landing(entity, 1, "sync").rows(Page(records, asked_at or datetime.now(UTC)))
        self.stores.warehouse.append(raw_table(entity), rows)

    def versions(self, entity: str, key: object) -> list[tuple[str, dict[str, Any], bool]]:
        """A record's versions as they landed: what landed each, the record, whether it is gone."""
        rows = self.stores.warehouse.fetch(
            f"SELECT sync_batch_id, CAST(payload AS TEXT), is_deleted FROM raw.st_{entity} WHERE st_id = {key} ORDER BY synced_at"
        )
        return [(batch, json.loads(payload), gone) for batch, payload, gone in rows]

    def names(self, entity: str, key: object) -> list[str]:
        """The names that a record had, as its versions landed."""
        return [record["name"] for _, record, _ in self.versions(entity, key)]

    def shown(self, entity: str, key: object) -> tuple[str, bool]:
        """The name in the version that master shows, and whether it is gone."""
        [(name, gone)] = self.stores.warehouse.fetch(
            f"SELECT payload ->> 'name', is_deleted FROM raw.st_{entity} WHERE st_id = {key} ORDER BY {SHOWN_FIRST} LIMIT 1"
        )
        return name, gone

    def key(self, entity: str, place: int = 0) -> int:
        """The key of one of ServiceTitan's records."""
        key: int = self.office.sandbox.records(entity)[place]["id"]
        return key

    def rename(self, entity: str, name: str, place: int = 0) -> Mutation:
        """A mutation that gave a record another name, and has not landed."""
        title = {"zones": "zones:update-zone"}.get(entity, f"{entity}:update")
        mutation = self.office.push(title, self.key(entity, place), {"name": name})
        assert mutation.landing, mutation.error
        return mutation

    def has_landed(self, mutation: Mutation) -> bool:
        """Whether the outcome of a mutation is marked as landed."""
        return self.office.queue.get(mutation.mutation_id).landed_at is not None


@pytest.fixture
def copy(settings: Settings) -> Iterator[Copy]:
    """A small ServiceTitan and its copy."""
    with Sandbox(seed=4, customers=12) as sandbox, desk(settings, sandbox) as office:
        warehouse = open_warehouse(settings)
        warehouse.prepare(raw_table(BY_NAME[name]) for name in ENTITIES)
        stores = Stores(settings, warehouse, office.operations, open_budget_store(settings))
        made = Copy(office, stores, Pushed(office.queue, office.operations, warehouse, settings))
        for name in ENTITIES:
            made.append(name, sandbox.texts(name))
        yield made
        stores.close()


@pytest.fixture
def retell(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[Any]], list[Any]]], None]:
    """Has the queue tell another `landing` of each mutation."""

    def wrap(other: Callable[[list[Any]], list[Any]]) -> None:
        told = copy.office.queue.landable
        monkeypatch.setattr(
            copy.office.queue,
            "landable",
            lambda most: [{**row, "landing": other(row["landing"])} for row in told(most)],
        )

    return wrap


@dataclass
class Gate:
    """The way of rows into the warehouse."""

    tried: list[str]
    refuses: Callable[[RawTable, pa.Table], bool]
    error: Exception


@pytest.fixture
def gate(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Notes which tables are appended to, and refuses customers with a StoreError."""
    append = copy.stores.warehouse.append
    made = Gate([], lambda table, _: table.name == "st_customers", StoreError("the disk is full"))

    def passed(table: RawTable, rows: pa.Table) -> None:
        made.tried.append(table.name)
        if made.refuses(table, rows):
            raise made.error
        append(table, rows)

    monkeypatch.setattr(copy.stores.warehouse, "append", passed)
    return made


@dataclass
class Screens:
    """Models that fail so often."""

    failures: int
    runs: int = 0

    def refresh(self, _: Operations) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise ModelError("an audit finds bad rows")


def run_models(operations: Operations) -> None:
    """Write down that models ran."""
    operations.run("start_model_run", model_run_id="m", started_at=datetime.now(UTC), fingerprint="f")
    finish(operations, "m", "completed", None)


def test_a_changed_record_lands_once_and_names_its_mutation(copy: Copy):
    """With all fields of the export and the new values; landing again, and reading again, add nothing but the same."""
    record = copy.office.sandbox.records("customers")[0]
    mutation = copy.office.push("customers:update", record["id"], {"name": "Ada"})
    assert copy.pushed.land() == 1
    assert copy.pushed.land() == 0
    before, after = copy.versions("customers", record["id"])
    assert after[0] == f"mutation:{mutation.mutation_id}:Ann"
    assert after[1] == copy.office.listed("customers", record["id"])
    assert before[1].keys() == after[1].keys()
    assert copy.office.queue.get(mutation.mutation_id).landed_at
    assert copy.sync()["customers"] <= 1
    assert copy.versions("customers", record["id"])[-1][1] == after[1]


def test_a_removed_record_is_marked_as_gone(copy: Copy):
    """By a new version of the same payload."""
    team = copy.office.sandbox.records("teams")[0]
    copy.office.push("teams:delete", team["id"])
    copy.pushed.land()
    before, after = copy.versions("teams", team["id"])
    assert (before[2], after[2]) == (False, True)
    assert after[1] == before[1]


def test_a_made_record_lands(copy: Copy):
    """Under the id that ServiceTitan gave it."""
    mutation = copy.office.push(
        "zones:create", None, required_example(BY_TITLE["zones:create-zone"]) | {"name": "South"}
    )
    assert mutation.new_id, mutation.error
    copy.pushed.land()
    [(_, record, _)] = copy.versions("zones", mutation.new_id)
    assert record["name"] == "South"


def test_several_changes_of_one_record_land_in_order(copy: Copy):
    """Each as a version of its own mutation where they landed one by one, and the newest wins."""
    key = copy.office.sandbox.records("customers")[1]["id"]
    for name in ("One", "Two", "Three"):
        copy.office.push("customers:update", key, {"name": name})
    copy.pushed.land()
    assert [record["name"] for _, record, _ in copy.versions("customers", key)][1:] == ["One", "Two", "Three"]


@pytest.mark.parametrize("parts", [4, 5])
@pytest.mark.parametrize("entity", ["customers", "zones"])
def test_a_late_change_does_not_go_over_what_a_sync_landed_since(copy: Copy, retell: Any, entity: str, parts: int):
    """Of an export and of a list, also where the row does not say when it was read back; it counts as landed."""
    mutation, key = copy.rename(entity, "Ours"), copy.key(entity)
    copy.office.sandbox.change(entity, key, name="Theirs")
    assert copy.sync()[entity] == 1
    retell(lambda landing: [part[:parts] for part in landing])
    assert copy.pushed.land() == 1
    assert copy.shown(entity, key) == ("Theirs", False)
    assert "Ours" not in copy.names(entity, key)
    assert copy.has_landed(mutation)
    assert copy.sync()[entity] == 0


def test_a_late_tombstone_does_not_go_over_what_a_sync_landed_since(copy: Copy):
    """A record that came back stays."""
    key = copy.key("teams")
    copy.office.push("teams:delete", key)
    copy.office.sandbox.restore("teams", key)
    assert copy.sync()["teams"] == 1
    assert copy.pushed.land() == 1
    assert not copy.shown("teams", key)[1]
    assert [gone for _, _, gone in copy.versions("teams", key)] == [False, False]


def test_a_change_stands_at_the_moment_at_which_its_record_was_asked_for(copy: Copy):
    """Whatever a sync asked for before and lands afterwards does not go over it."""
    mutation, key = copy.rename("zones", "Ours"), copy.key("zones")
    assert mutation.landing
    read_at = datetime.fromisoformat(mutation.landing[0][4])
    copy.pushed.land()
    (synced_at,) = max(copy.stores.warehouse.fetch(f"SELECT synced_at FROM raw.st_zones WHERE st_id = {key}"))
    assert abs(synced_at - read_at) <= timedelta(microseconds=1)
    assert copy.shown("zones", key) == ("Ours", False)


@pytest.mark.parametrize("entity", ["customers", "zones"])
def test_what_the_copy_shows_already_is_no_news(copy: Copy, entity: str):
    """A sync that asked between the change and its reading back landed the same record; its version stays, byte by byte."""
    mutation, key = copy.rename(entity, "Ours"), copy.key(entity)
    assert mutation.landing
    read_at = datetime.fromisoformat(mutation.landing[0][4])
    copy.append(entity, [copy.office.sandbox.texts(entity)[0]], read_at - timedelta(milliseconds=5))
    before = copy.versions(entity, key)
    assert copy.pushed.land() == 1
    assert copy.versions(entity, key) == before
    assert copy.shown(entity, key) == ("Ours", False)
    assert copy.has_landed(mutation)


@pytest.mark.parametrize(("entity", "shown"), [("customers", "Ours"), ("zones", "Earlier")])
def test_only_an_export_lags(copy: Copy, entity: str, shown: str):
    """What it shows later is earlier when ServiceTitan modified it earlier; what a list shows later is later."""
    key = copy.key(entity)
    before = copy.office.listed(entity, key)
    copy.rename(entity, "Ours")
    copy.append(entity, [json.dumps({**(before or {}), "name": "Earlier"}).encode()])
    assert copy.pushed.land() == 1
    assert copy.shown(entity, key) == (shown, False)


def test_landing_again_after_a_crash_keeps_the_newest(copy: Copy, monkeypatch: pytest.MonkeyPatch):
    """Several changes of a record, and a removal, that landed and were not marked: nothing lands twice."""
    key, team = copy.key("customers"), copy.key("teams")
    for name in ("One", "Two", "Three"):
        copy.rename("customers", name)
    copy.office.push("teams:delete", team)

    def crash(*_: object) -> None:
        raise StoreError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(copy.office.queue, "mark_landed", crash)
        with pytest.raises(StoreError):
            copy.pushed.land()
    assert copy.pushed.land() == 4
    assert copy.names("customers", key)[1:] == ["One", "Two", "Three"]
    assert copy.shown("customers", key) == ("Three", False)
    assert [gone for _, _, gone in copy.versions("teams", team)] == [False, True]


def test_a_record_that_is_changed_and_then_removed_is_gone(copy: Copy):
    """Also when both land together: the tombstone holds the changed record, and is the one that is shown."""
    key = copy.key("zones")
    copy.rename("zones", "Ours")
    copy.office.push("zones:delete-zone", key)
    assert copy.pushed.land() == 2
    assert [(name, gone) for _, record, gone in copy.versions("zones", key) for name in [record["name"]]][1:] == [
        ("Ours", False),
        ("Ours", True),
    ]
    assert copy.shown("zones", key) == ("Ours", True)


def test_a_record_that_is_made_and_then_removed_is_gone(copy: Copy):
    """Also when both land together."""
    body = required_example(BY_TITLE["zones:create-zone"]) | {"name": "South"}
    made = copy.office.push("zones:create", None, body)
    copy.office.push("zones:delete-zone", int(made.new_id or 0))
    assert copy.pushed.land() == 2
    assert copy.shown("zones", made.new_id) == ("South", True)


def test_changes_are_gone_through_as_they_were_read_back():
    """A mutation that was tried again may be older and read back later; without a moment its end counts."""
    days = ["2026-01-03T00:00:00Z"], [], ["2026-01-01T00:00:00+00:00"]
    rows: list[Row] = [
        {"mutation_id": number, "tenant_id": 1, "initiated_by": "Ann", "landing": [["zones", None, text, False, *day]]}
        for number, text, day in zip((1, 2, 3), "abc", days, strict=True)
    ]
    changes = grouped(rows, lambda _: datetime(2026, 1, 2, tzinfo=UTC))[1, "zones"]
    assert [(change.text, change.read_at.day) for change in changes] == [("c", 1), ("b", 2), ("a", 3)]


@pytest.mark.parametrize("at_once", [1, 500])
def test_changes_that_are_days_late_land_in_order(
    copy: Copy, retell: Any, gate: Gate, monkeypatch: pytest.MonkeyPatch, at_once: int
):
    """Dated back half a day at most, where models still look; also when not all of them land together."""
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    body = required_example(BY_TITLE["zones:create-zone"]) | {"name": "South"}
    made = copy.office.push("zones:create", None, body)
    copy.office.push("zones:update-zone", int(made.new_id or 0), {"name": "North"})
    days = timedelta(days=2)
    retell(lambda landing: [[*part[:4], str(datetime.fromisoformat(part[4]) - days)] for part in landing])
    gate.refuses, gate.error = lambda _, rows: "North" in str(rows["payload"].to_pylist()), ValueError("not now")
    assert copy.pushed.land() == 1
    gate.refuses = lambda *_: False
    assert copy.pushed.land() == 1
    assert copy.names("zones", made.new_id) == ["South", "North"]
    assert copy.shown("zones", made.new_id) == ("North", False)
    [(oldest,)] = copy.stores.warehouse.fetch(f"SELECT MIN(synced_at) FROM raw.st_zones WHERE st_id = {made.new_id}")
    assert datetime.now(UTC) - oldest < timedelta(hours=13)


def test_a_change_that_is_days_late_does_not_go_over_a_sync_of_yesterday(copy: Copy, retell: Any):
    """Though its row would be dated after the sync's."""
    body = required_example(BY_TITLE["zones:create-zone"]) | {"name": "Ours"}
    made, day = copy.office.push("zones:create", None, body), timedelta(days=1)
    retell(lambda landing: [[*part[:4], str(datetime.fromisoformat(part[4]) - 2 * day)] for part in landing])
    listed = copy.office.listed("zones", made.new_id) or {}
    copy.append("zones", [json.dumps({**listed, "name": "Theirs"}).encode()], datetime.now(UTC) - day)
    assert copy.pushed.land() == 1
    assert copy.names("zones", made.new_id) == ["Theirs"]


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ValueError("what is this")])
def test_an_entity_that_cannot_be_landed_keeps_no_other_from_it(
    copy: Copy, gate: Gate, caplog: pytest.LogCaptureFixture, error: Exception
):
    """It is named in the log, its mutations are not marked, and they land once they can."""
    gate.error = error
    customer, zone = copy.rename("customers", "Ours"), copy.rename("zones", "Ours")
    assert copy.pushed.land() == 1
    assert [copy.has_landed(mutation) for mutation in (customer, zone)] == [False, True]
    [told] = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "`customers`" in told.getMessage()
    assert str(error) in told.getMessage()
    gate.refuses = lambda *_: False
    assert copy.pushed.land() == 1
    assert copy.has_landed(customer)
    assert copy.shown("customers", copy.key("customers")) == ("Ours", False)


def test_a_record_that_no_store_takes_keeps_no_other_from_landing(copy: Copy, gate: Gate):
    """Everything else of its entity lands."""
    mutations = [copy.rename("customers", "Ours", place) for place in range(5)]
    bad = copy.key("customers", 2)
    gate.refuses, gate.error = lambda _, rows: bad in rows["st_id"].to_pylist(), ValueError("what is this")
    assert copy.pushed.land() == 4
    assert [copy.has_landed(mutation) for mutation in mutations] == [True, True, False, True, True]
    assert copy.shown("customers", bad)[0] != "Ours"


def test_a_mutation_has_landed_when_all_of_it_has(copy: Copy, gate: Gate, retell: Any):
    """What landed of it already does not land again."""
    zone, key = copy.office.sandbox.records("zones")[0] | {"name": "Ours"}, copy.key("zones")
    mutation = copy.rename("customers", "Ours")
    retell(lambda landing: [*landing, ["zones", None, json.dumps(zone), False, landing[0][4]]])
    assert copy.pushed.land() == 0
    assert copy.shown("zones", key) == ("Ours", False)
    assert not copy.has_landed(mutation)
    gate.refuses = lambda *_: False
    assert copy.pushed.land() == 1
    assert len(copy.versions("zones", key)) == len(copy.versions("customers", copy.key("customers"))) == 2


def test_what_keeps_failing_starves_nothing_behind_it(copy: Copy, gate: Gate, monkeypatch: pytest.MonkeyPatch):
    """Even when it alone fills all that is landed together."""
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for place in range(5):
        copy.rename("customers", "Ours", place)
    zones = [copy.rename("zones", "Ours", place) for place in range(3)]
    assert copy.pushed.land() == 3
    assert all(map(copy.has_landed, zones))
    assert gate.tried.count("st_customers") == 3


def test_what_fails_is_left_alone_for_longer_and_longer(copy: Copy, gate: Gate):
    """Turn after turn, while others land at once; the last turn tries all."""
    seconds = 0.0
    copy.pushed.landing_pause.clock = lambda: seconds
    copy.rename("customers", "Ours")
    for seconds, tried in ((0.0, 1), (0.0, 1), (0.9, 1), (1.0, 2), (2.9, 2), (3.0, 3), (6.9, 3), (7.0, 4)):  # noqa: B007
        copy.pushed.turn()
        assert gate.tried.count("st_customers") == tried
    zone = copy.rename("zones", "Ours")
    copy.pushed.turn()
    assert copy.has_landed(zone)
    assert gate.tried.count("st_customers") == 4
    is_over = threading.Event()
    is_over.set()
    gate.refuses = lambda *_: False
    copy.pushed.run(threading.Event(), is_over)
    assert copy.shown("customers", copy.key("customers")) == ("Ours", False)


def test_a_pause_doubles_up_to_a_minute_and_begins_anew():
    """So that a store that comes back is not waited for much longer than it was away."""
    pause = Pause()
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        pause.lengthen()
        assert pause.seconds == seconds
    pause.end()
    assert pause.is_over
    pause.lengthen()
    assert pause.seconds == 1


def test_models_that_failed_are_refreshed_though_nothing_more_lands(copy: Copy):
    """Until they went well once."""
    copy.pushed.models = screens = Screens(failures=2)  # type: ignore[assignment]
    assert copy.pushed.land() == 0
    assert screens.runs == 0
    mutation = copy.rename("zones", "Ours")
    for _ in range(2):
        with pytest.raises(ModelError):
            copy.pushed.land()
    assert copy.has_landed(mutation)
    assert [copy.pushed.land(), copy.pushed.land()] == [0, 0]
    assert screens.runs == 3


def test_models_that_keep_failing_are_left_alone_for_longer_and_longer(copy: Copy):
    """Turn after turn, whatever lands meanwhile."""
    seconds = 0.0
    copy.pushed.models = screens = Screens(failures=99)  # type: ignore[assignment]
    copy.pushed.models_pause.clock = lambda: seconds
    for place, (seconds, runs) in enumerate(((0.0, 1), (0.9, 1), (1.0, 2), (2.9, 2))):  # noqa: B007
        mutation = copy.rename("zones", "Ours", place)
        copy.pushed.safely(copy.pushed.turn)
        assert copy.has_landed(mutation)
        assert screens.runs == runs


def test_a_new_process_refreshes_models_that_ran_before(copy: Copy):
    """Once: a former one may have landed something and ended before it could. Models that never ran are left alone."""
    queue, stores = copy.office.queue, copy.stores
    for runs in (0, 1):
        screens: Any = Screens(failures=0)
        made = Pushed(queue, stores.operations, stores.warehouse, stores.settings, screens)
        assert [made.land(), made.land()] == [0, 0]
        assert screens.runs == runs
        if not runs:
            run_models(stores.operations)


def test_processes_that_land_take_turns(copy: Copy, settings: Settings, caplog: pytest.LogCaptureFixture):
    """The second one finds nothing left to do. The embedded store belongs to one process."""
    if settings.is_embedded:
        return
    caplog.set_level(logging.INFO)
    key, landed, entered, go_on = copy.key("customers"), [], threading.Event(), threading.Event()
    copy.rename("customers", "Ours")
    stores = Stores.open(settings)
    other = Pushed(copy.office.queue, stores.operations, stores.warehouse, settings)
    append = copy.stores.warehouse.append

    def slowly(table: RawTable, rows: pa.Table) -> None:
        entered.set()
        assert go_on.wait(20)
        append(table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copy.stores.warehouse, "append", slowly)
        threads = [
            threading.Thread(target=lambda who=who: landed.append(who.land()), daemon=True)
            for who in (copy.pushed, other)
        ]
        threads[0].start()
        assert entered.wait(20)
        threads[1].start()
        while threads[1].is_alive() and "another task is at work" not in caplog.text:
            threads[1].join(0.02)
        go_on.set()
        for thread in threads:
            thread.join(20)
    stores.close()
    assert landed == [1, 0]
    assert len(copy.versions("customers", key)) == 2


def test_a_list_lends_an_export_its_values_alone():
    """Fields that only the export shows stay, fields that only the list shows do not come in, digits are kept."""
    export = b'{"id":1,"total":12.50,"active":true,"big":12345678901234567890}'
    assert overlaid(export, b'{"id":1,"total":13.00,"extra":[1]}') == (
        b'{"id":1,"total":13.00,"active":true,"big":12345678901234567890}'
    )


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ('{"a":1,"b":{"c":2,"d":3}}', '{"b":{"d":3,"c":2},"a":1}', True),
        ('{"a":true}', '{"a":1}', False),
        ('{"a":false}', '{"a":0}', False),
        ('{"a":"1.5"}', '{"a":1.5}', False),
        ('{"a":[1,2]}', '{"a":[2,1]}', False),
        ('{"a":null}', "{}", False),
        ('{"a":0.12345678901234567891}', '{"a":0.12345678901234567892}', False),
    ],
)
def test_records_are_compared_by_content(one: str, other: str, *, is_same: bool):
    """Whatever the order of their fields; no value is taken for another of another type or in its last digit."""
    assert (content(one) == content(other)) is is_same
