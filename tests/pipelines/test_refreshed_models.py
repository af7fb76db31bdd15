"""Models after a change: what landed is seen in master, crm and audit at the next refresh."""

import json

import pytest

from pipelines.modelling import Models, refresh
from pipelines.sync import land_all
from sources.servicetitan.catalog import select
from tests.whole import Whole


def test_changes_reach_master_crm_and_audit(whole: Whole):
    """A new name, a deletion and a value that fits no type: each is where it belongs, and only what changed was evaluated."""
    sandbox, warehouse = whole.sandbox, whole.stores.warehouse
    customer = sandbox.records("customers")[0]["id"]
    job = sandbox.records("jobs")[0]
    campaign = sandbox.records("campaigns")[0]["id"]
    sandbox.change("customers", customer, name="Renamed & Sons", balance="a lot")
    sandbox.delete("jobs", job["id"])
    sandbox.change("campaigns", campaign, name="New Campaign")
    land_all(whole.stores, whole.connection, select(("customers", "jobs", "campaigns")))
    assert refresh(whole.stores.settings, whole.stores.operations) == "refreshed"

    query = f"SELECT name, balance, bad_columns FROM master.customers WHERE st_id = {customer}"
    assert warehouse.fetch(query) == [("Renamed & Sons", None, "balance")]
    assert warehouse.fetch(f"SELECT is_deleted FROM master.jobs WHERE st_id = {job['id']}") == [(True,)]
    assert warehouse.fetch(f"SELECT name FROM crm.customer_360 WHERE customer_id = {customer}") == [("Renamed & Sons",)]

    bad = warehouse.fetch("SELECT entity, record_id, column_name, raw_text FROM audit.quarantine")
    assert bad == [("customers", str(customer), "balance", "a lot")]

    logged = warehouse.fetch(
        "SELECT operation, CAST(changes AS TEXT), previous_hash IS NOT NULL FROM audit.log "
        f"WHERE entity = 'customers' AND record_id = '{customer}' ORDER BY synced_at"
    )
    assert [row[0] for row in logged] == ["insert", "update"]
    changes = json.loads(logged[1][1])
    assert changes["name"]["new"] == "Renamed & Sons"
    assert changes["balance"]["new"] == "a lot"
    assert [
        row[0]
        for row in warehouse.fetch(
            f"SELECT operation FROM audit.log WHERE entity = 'jobs' AND record_id = '{job['id']}' ORDER BY synced_at"
        )
    ] == ["insert", "delete"]
    ((keys, rows),) = warehouse.fetch("SELECT COUNT(DISTINCT st_id), COUNT(*) FROM master.jobs")
    assert keys == rows
    assert refresh(whole.stores.settings, whole.stores.operations) == "unchanged"


@pytest.mark.slow
def test_a_late_and_a_repeated_row_are_harmless(whole: Whole):
    """An older version that lands later does not win, and a repeated one changes nothing."""
    warehouse = whole.stores.warehouse
    zone = whole.sandbox.records("zones")[0]["id"]
    ((before,),) = warehouse.fetch(f"SELECT payload_hash FROM master.zones WHERE st_id = {zone}")
    columns = "tenant_id, st_id, payload, key_bucket, sync_batch_id, _dlt_load_id, is_deleted"
    for modified, hash_ in (("TIMESTAMPTZ '2001-01-01 00:00:00+00'", "'older'"), ("modified_on", "payload_hash")):
        statement = (
            f"INSERT INTO raw.st_zones ({columns}, modified_on, payload_hash, synced_at) "
            f"SELECT {columns}, {modified}, {hash_}, synced_at + INTERVAL '1 second' FROM raw.st_zones "
            f"WHERE st_id = {zone} AND payload_hash = '{before}'"
        )
        if warehouse.dialect == "duckdb":
            warehouse.cursor().execute(statement)
        else:
            with warehouse.cursor() as cursor:
                cursor.execute(statement)
    whole.sandbox.change("zones", whole.sandbox.records("zones")[1]["id"], name="Elsewhere")
    land_all(whole.stores, whole.connection, select(("zones",)))
    refresh(whole.stores.settings, whole.stores.operations)
    assert warehouse.fetch(f"SELECT payload_hash FROM master.zones WHERE st_id = {zone}") == [(before,)]
    ((keys, rows),) = warehouse.fetch("SELECT COUNT(DISTINCT st_id), COUNT(*) FROM master.zones")
    assert keys == rows


@pytest.mark.slow
def test_a_living_process_loads_the_project_once(whole: Whole):
    """Later refreshes use the project that is loaded, and see what landed since."""
    operations, warehouse = whole.stores.operations, whole.stores.warehouse
    models, loaded = Models(whole.stores.settings), []
    key = whole.sandbox.records("zones")[0]["id"]
    for name in ("North", "South"):
        whole.sandbox.change("zones", key, name=name)
        land_all(whole.stores, whole.connection, select(("zones",)))
        assert models.refresh(operations) == "refreshed"
        assert warehouse.fetch(f"SELECT name FROM master.zones WHERE st_id = {key}") == [(name,)]
        loaded.append(models.context)
    assert models.refresh(operations) == "unchanged"
    assert loaded[0] is loaded[1]
    models.close()
    assert models.context is None
