"""What is read for parents and as reports, over time."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from pipelines import landing
from pipelines.landing import LandingError
from pipelines.sync import Report, Stores, begin, bury, land_all, written
from sandbox.server import Sandbox
from sources.servicetitan import reports
from sources.servicetitan.catalog import BY_NAME, select
from sources.servicetitan.reading import raw_table
from store.raw import PUSHED
from store.settings import Settings
from tests.whole import reach


@dataclass
class Town:
    """A sandbox and an empty store."""

    sandbox: Sandbox
    stores: Stores

    def land(self, *names: str) -> Report:
        report = land_all(self.stores, reach(self.sandbox), select(names))
        assert [outcome.error for outcome in report.outcomes] == [""] * len(names)
        return report

    def rows(self, entity: str, columns: str) -> list[tuple[Any, ...]]:
        return self.stores.warehouse.fetch(f"SELECT {columns} FROM raw.st_{entity} ORDER BY synced_at")


@pytest.fixture(params=[True, False], ids=["queries", "older way"])
def town(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setattr(reports, "RUNS_A_SECOND", 100.0)
    monkeypatch.setattr(reports, "PAUSE", 0.01)
    with Sandbox(seed=5, customers=30, report_interval=0, report_queries=request.param) as sandbox:
        stores = Stores.open(settings)
        yield Town(sandbox, stores)
        stores.close()


@pytest.mark.parametrize("town", [True], indirect=True)
def test_a_child_that_is_gone_from_its_parent_is_deleted(town: Town):
    """When the parent changed, its children are read again: a new one, a changed one, a deleted one and nothing else."""
    names = ("customers", "customer_notes")
    town.land(*names)
    customer = town.sandbox.records("customers")[0]["id"]
    gone, changed = town.sandbox.records("customer_notes")[:2]
    town.sandbox.delete("customer_notes", gone["id"])
    town.sandbox.change("customer_notes", changed["id"], text="Changed")
    made = town.sandbox.create("customer_notes", under=customer, text="New")
    town.sandbox.change("customers", customer, name="Changed")
    notes = next(one for one in town.land(*names).outcomes if one.entity.name == "customer_notes")
    assert (notes.tally.appended, notes.tally.vanished, notes.meter.requests) == (3, 1, 1)
    last = town.rows("customer_notes", "st_id, is_deleted, scope")[-3:]
    assert sorted(last) == sorted((one["id"], one is gone, str(customer)) for one in (gone, changed, made))


def put(town: Town, key: int, number: int, moment: datetime) -> None:
    """Another version of a customer, as if ServiceTitan had been asked for it at a moment."""
    names = [name for name in PUSHED if name != "_dlt_load_id"]
    columns = ", ".join("CAST(payload AS TEXT)" if name == "payload" else name for name in names)
    [row] = town.stores.warehouse.fetch(f"SELECT {columns} FROM raw.st_customers WHERE st_id = {key}")
    version = dict(zip(names, row, strict=True)) | {"payload_hash": f"{number:064x}", "synced_at": moment}
    town.stores.warehouse.append(raw_table(BY_NAME["customers"]), pa.Table.from_pylist([version]))


@pytest.mark.parametrize("town", [True], indirect=True)
def test_a_parent_that_lands_behind_a_later_one_is_not_passed_over(town: Town):
    """While a read of the parents is under way, children wait for what it may still land; other parents are asked for."""
    town.land("customers", "customer_notes")
    first, second, third = (customer["id"] for customer in town.sandbox.records("customers")[:3])
    [tenant] = reach(town.sandbox).tenants
    put(town, first, 1, datetime.now(UTC))
    under_way = begin(town.stores.operations, tenant, BY_NAME["customers"])
    asked_at = datetime.now(UTC)
    put(town, second, 2, datetime.now(UTC))  # by a mutation
    requests = [town.land("customer_notes").outcomes[0].meter.requests]
    put(town, third, 3, asked_at)
    under_way.end("completed")
    town.stores.operations.run("finish_batch", **written(under_way))
    requests += [town.land("customer_notes").outcomes[0].meter.requests for _ in range(2)]
    assert requests == [1, 2, 0]


OF_SCHEDULERS = ("scheduler_sessions", "scheduler_performance", "segment_items", "reports")


@pytest.mark.parametrize("town", [True], indirect=True)
def test_children_that_were_read_before_their_parents_are_not_lost(town: Town):
    """Workers read by priorities, and children may come first: what their parents had before is read once these have landed."""
    towards = town.land(*OF_SCHEDULERS)
    assert sum(outcome.tally.fetched for outcome in towards.outcomes) == 0
    town.land("schedulers", "segments", "report_categories")
    town.land(*OF_SCHEDULERS)
    found = {name: len({key for (key,) in town.rows(name, "st_id")}) for name in OF_SCHEDULERS}
    with closing(Stores.open(Settings("", town.stores.settings.data_dir / "other", 3001, "warning"))) as stores:
        other = Town(town.sandbox, stores)
        other.land("schedulers", "segments", "report_categories", *OF_SCHEDULERS)
        assert found == {name: len({key for (key,) in other.rows(name, "st_id")}) for name in OF_SCHEDULERS}
    assert all(found.values()), found
    assert [one.tally.appended for one in town.land(*OF_SCHEDULERS).outcomes] == [0] * len(OF_SCHEDULERS)


class Killed(BaseException):
    """The process ends here."""


def interrupt(town: Town, monkeypatch: pytest.MonkeyPatch, name: str, how: str) -> None:
    """Have an entity's rows read and not loaded: its process is killed and its batch closed, or the warehouse takes none."""

    def refused(*_: object) -> None:
        raise Killed if how == "killed" else LandingError("the disk is full")

    [tenant] = reach(town.sandbox).tenants
    with monkeypatch.context() as patch:
        patch.setattr(landing, "load_extracted", refused)
        if how == "killed":
            with pytest.raises(Killed):
                town.land(name)
            bury(town.stores, tenant, select([name]))
        else:
            report = land_all(town.stores, reach(town.sandbox), select([name]))
            assert [outcome.error for outcome in report.outcomes] == ["the disk is full"]
    landing.LOOKED_AT.clear()  # as a new process has it


@pytest.mark.parametrize("how", ["killed", "refused"])
@pytest.mark.parametrize("town", [True], indirect=True)
def test_parents_that_wait_in_a_working_folder_land_with_their_children(
    town: Town, monkeypatch: pytest.MonkeyPatch, how: str
):
    """Children that are read meanwhile do not go past the moment at which their parents were asked for."""
    interrupt(town, monkeypatch, "schedulers", how)
    assert [one.tally.fetched for one in town.land("scheduler_sessions", "scheduler_performance").outcomes] == [0, 0]
    report = town.land("schedulers", "scheduler_sessions", "scheduler_performance")
    asked_at = [moment for (moment,) in town.rows("schedulers", "synced_at")]
    assert asked_at
    assert max(asked_at) < min(outcome.started_at for outcome in report.outcomes)  # they waited
    kept = {key for (key,) in town.rows("scheduler_sessions", "st_id")}
    assert kept == {session["id"] for session in town.sandbox.records("scheduler_sessions")}
    assert town.rows("scheduler_performance", "st_id")


@pytest.mark.parametrize("how", ["killed", "refused"])
@pytest.mark.parametrize("town", [True], indirect=True)
def test_a_place_among_parents_does_not_pass_one_that_waits(town: Town, monkeypatch: pytest.MonkeyPatch, how: str):
    """What a mutation changed lands behind a row that waits in a working folder: the children of both are asked for."""
    town.land("customers", "customer_notes")
    first, second = (customer["id"] for customer in town.sandbox.records("customers")[:2])
    note = town.sandbox.create("customer_notes", under=first, text="New")
    town.sandbox.change("customers", first, name="Changed")
    interrupt(town, monkeypatch, "customers", how)
    put(town, second, 2, datetime.now(UTC))  # by a mutation
    requests = [town.land("customer_notes").outcomes[0].meter.requests]
    town.land("customers")
    requests += [town.land("customer_notes").outcomes[0].meter.requests for _ in range(2)]
    assert requests == [0, 2, 0]
    assert town.rows("customer_notes", "st_id")[-1] == (note["id"],)


def test_reports_land_in_both_ways(town: Town):
    """A tenant without the newer way is asked in the older one."""
    town.land("report_data")
    names = [name for (name,) in town.rows("report_data", "scope")]
    assert names == [f"{row['category']}/{row['id']}" for row in town.sandbox.report_rows()]
    town.land("report_data")
    assert len(town.rows("report_data", "scope")) == len(names)


@pytest.mark.parametrize("town", [True], indirect=True)
def test_each_set_that_a_report_names_is_kept_apart(town: Town):
    """Two sets of one report are two records; one that several reports name is one."""
    town.land("report_categories", "reports", "report_definitions", "dynamic_value_sets")
    keys = sorted(key for (key,) in town.rows("dynamic_value_sets", "st_id"))
    assert keys == ["business-units:1", "campaigns:1", "technicians:1"]
