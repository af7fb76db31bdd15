"""What is read for parents and as reports, over time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.sync import Report, Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan import reports
from sources.servicetitan.catalog import select
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
