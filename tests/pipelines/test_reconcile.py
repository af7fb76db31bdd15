"""Reconciliation on both stores: active, inactive and deleted stay three things, and nothing is marked in vain."""

from collections.abc import Iterator

import pytest

from pipelines.reconcile import Result, reconcile
from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import select
from sources.servicetitan.landing import tombstone_hash
from store.settings import Settings
from tests.pipelines.test_sync import QUICK, Town
from tests.whole import reach


@pytest.fixture
def town(settings: Settings) -> Iterator[Town]:
    with Sandbox(seed=5, customers=30, export_page_size=20) as sandbox:
        stores = Stores.open(settings)
        yield Town(sandbox, stores, reach(sandbox))
        stores.close()


def count(town: Town, *names: str, dry_run: bool = False) -> dict[str, Result]:
    report = reconcile(town.stores, town.connection, select(names), dry_run=dry_run, patience=QUICK)
    return {result.outcome.entity.name: result for result in report.results}


def marks(town: Town, entity: str, key: object) -> list[tuple]:
    """Active and deleted, of each version."""
    return [(version.get("active"), version["is_deleted"]) for version in town.versions(entity, key)]


def test_a_record_that_a_list_no_longer_shows_is_marked_and_may_come_back(town: Town):
    """The tombstone is a version of the same payload with a hash of its own, so that the same bytes are news again."""
    town.land("zones")
    key = town.sandbox.records("zones")[0]["id"]
    before = town.versions("zones", key)
    town.sandbox.purge("zones", key)
    found = count(town, "zones")["zones"]
    assert (found.status, found.findings.vanished, found.findings.marked_deleted) == ("completed", 1, 1)
    rows = town.stores.warehouse.fetch(
        f"SELECT payload_hash, modified_on, sync_batch_id FROM raw.st_zones WHERE st_id = {key} ORDER BY synced_at"
    )
    assert rows[1] == (tombstone_hash(rows[0][0]), rows[0][1], found.outcome.sync_batch_id)
    assert count(town, "zones")["zones"].findings.vanished == 0
    town.sandbox.restore("zones", key)
    again = count(town, "zones")["zones"].findings
    assert (again.reappeared, again.differing, again.missing_in_copy) == (1, 0, 0)
    assert town.versions("zones", key) == [*before, before[0] | {"is_deleted": True}, *before]


def test_active_inactive_and_deleted_are_three_things(town: Town):
    """An export with tombstones, an export and a list with `active`, and a list without: none takes one for another."""
    town.land("jobs", "customers", "campaigns", "project_statuses")
    job, customer, campaign, status = (
        town.sandbox.records(name)[0]["id"] for name in ("jobs", "customers", "campaigns", "project_statuses")
    )
    town.sandbox.merge_customers(customer, 1)
    town.sandbox.change("campaigns", campaign, active=False)
    town.land("jobs", "customers", "campaigns", "project_statuses")
    found = count(town, "jobs", "customers", "campaigns", "project_statuses")
    assert [one.findings.vanished for one in found.values()] == [0, 0, 0, 0]
    town.sandbox.delete("jobs", job)
    town.sandbox.delete("campaigns", campaign)
    town.sandbox.delete("project_statuses", status)
    found = count(town, "jobs", "customers", "campaigns", "project_statuses")
    assert {name: one.findings.marked_deleted for name, one in found.items()} == {
        "jobs": 0,  # the export itself told
        "customers": 0,
        "campaigns": 1,
        "project_statuses": 1,
    }
    assert marks(town, "jobs", job) == [(True, False), (False, True)]
    assert marks(town, "customers", customer)[-1] == (False, False)
    assert town.versions("customers", customer)[-1]["mergedToId"]
    assert marks(town, "campaigns", campaign)[-2:] == [(False, False), (False, True)]
    assert marks(town, "project_statuses", status) == [(None, False), (None, True)]


def test_what_the_copy_lacks_and_what_differs_is_fetched_in_the_same_pass(town: Town):
    """Also a record whose modification went back, which no cursor meets; it stands above the version that landed before."""
    town.land("jobs", "zones")
    keys = {name: town.sandbox.records(name)[0]["id"] for name in ("jobs", "zones")}
    made = {name: town.sandbox.create(name)["id"] for name in keys}
    for name, key in keys.items():
        town.sandbox.change(name, key, **{"summary" if name == "jobs" else "name": "earlier"}, modifiedOn="2001-01-01")
    for name, found in count(town, "jobs", "zones").items():
        assert (found.findings.missing_in_copy, found.findings.differing) == (1, 1)
        assert len(town.versions(name, made[name])) == 1
        moments = town.stores.warehouse.fetch(
            f"SELECT modified_on FROM raw.st_{name} WHERE st_id = {keys[name]} ORDER BY synced_at"
        )
        assert moments[0] == moments[1]
        assert town.versions(name, keys[name])[1]["modifiedOn"].startswith("2001-01-01")
    assert [one.outcome.tally.appended for one in count(town, "jobs", "zones").values()] == [0, 0]


def test_an_export_that_no_longer_holds_a_record_proves_it_gone(town: Town):
    """Deleted without a tombstone."""
    town.land("calls_v2")
    key = town.sandbox.records("calls_v2")[0]["id"]
    town.sandbox.purge("calls_v2", key)
    assert count(town, "calls_v2")["calls_v2"].findings.marked_deleted == 1
    assert [version["is_deleted"] for version in town.versions("calls_v2", key)] == [False, True]


def test_a_list_that_may_hide_inactive_records_proves_nothing(town: Town):
    """Teams have `active`, no filter for it and no `ids`: a team that is not shown is reported and left as it is."""
    town.land("teams")
    key = town.sandbox.records("teams")[0]["id"]
    town.sandbox.delete("teams", key)
    found = count(town, "teams")["teams"]
    assert (found.status, found.findings.vanished, found.findings.marked_deleted) == ("unproven", 1, 0)
    assert "inactive" in found.reason
    assert len(town.versions("teams", key)) == 1


def test_a_dry_run_counts_and_writes_nothing(town: Town):
    """Neither rows nor batches nor reconciliations."""
    town.land("zones")
    town.sandbox.purge("zones", 0)
    town.sandbox.create("zones", name="New")
    findings = count(town, "zones", dry_run=True)["zones"].findings
    assert (findings.marked_deleted, findings.missing_in_copy) == (1, 1)
    assert len(town.stores.operations.run("batches_of_entity", entity="zones")) == 1
    assert town.stores.operations.run("reconciliations_of_entity", entity="zones") == []
    assert count(town, "zones")["zones"].findings.marked_deleted == 1


def test_every_result_is_written_down(town: Town):
    """Completed, unproven, unavailable and skipped; with the batch of the rows that landed."""
    town.land("zones", "teams", "tasks")
    for name in ("zones", "teams"):
        town.sandbox.delete(name, 0)
    town.sandbox.hide("tasks")
    found = count(town, "zones", "teams", "tasks", "attributed_leads")
    rows = {name: town.stores.operations.run("reconciliations_of_entity", entity=name)[0] for name in found}
    assert {name: row["status"] for name, row in rows.items()} == {
        "zones": "completed",
        "teams": "unproven",
        "tasks": "unavailable",
        "attributed_leads": "skipped",
    }
    assert {name: bool(row["reason"]) for name, row in rows.items()} == {
        "zones": False,
        "teams": True,
        "tasks": True,
        "attributed_leads": True,
    }
    zones = rows["zones"]
    shown = len(town.sandbox.records("zones"))
    told = ("served", "in_copy", "vanished", "marked_deleted", "appended", "requests")
    assert [zones[name] for name in told] == [shown, shown + 1, 1, 1, 1, 2]
    assert (zones["proof"], zones["tenant_id"]) == ("totals agree with the keys", 1)
    batch = town.stores.operations.run("batches_of_entity", entity="zones")[-1]
    assert (batch["sync_batch_id"], batch["feed"], batch["appended"]) == (zones["reconciliation_id"], "reconcile", 1)


def test_a_reconciliation_moves_no_cursor(town: Town):
    """What a sync would have read it still reads: counted as unchanged, and nothing is skipped."""
    town.land("customers", "campaigns")
    for name in ("customers", "campaigns"):
        town.sandbox.change(name, 0, name="Changed")
    count(town, "customers", "campaigns")
    outcomes = town.land("customers", "campaigns").outcomes
    assert [(one.tally.fetched >= 1, one.tally.appended) for one in outcomes] == [(True, 0), (True, 0)]


@pytest.mark.parametrize(
    ("entity", "field"),
    [("customer_contacts", "value"), ("location_contacts", "value"), ("memberships", "memo"), ("contacts", "name")],
)
def test_contacts_and_memberships_are_polled_on_their_own(town: Town, entity: str, field: str):
    """Their change does not move the customer's `modifiedOn`: their own feed brings it, the customer's brings nothing."""
    names = ("customers", "locations", entity)
    town.land(*names)
    town.sandbox.change(entity, 0, **{field: "changed"})
    appended = {one.entity.name: one.tally.appended for one in town.land(*names).outcomes}
    assert appended == {"customers": 0, "locations": 0, entity: 1}
