"""Raw rows of customers and jobs made by the engine itself, so that millions take seconds."""

from typing import Any

from pipelines.sync import Stores

ROWS = """
INSERT INTO raw.st_customers (
  tenant_id, st_id, payload, modified_on, payload_hash, is_deleted, key_bucket, sync_batch_id, synced_at, _dlt_load_id
)
SELECT
  1,
  k.key,
  CAST('{{"id":' || k.key || ',"active":true,"name":"Customer ' || k.key || ' {version}","type":"Residential",'
    || '"address":{{"street":"' || k.key || ' Main St","city":"Springfield","state":"OH","zip":"45501","country":"USA"}},'
    || '"balance":12.5,"customFields":[],"taxExempt":false,"createdOn":"2020-01-02T03:04:05.1234567Z",'
    || '"modifiedOn":"2024-01-02T03:04:05.1234567Z"}}' AS JSON),
  CURRENT_TIMESTAMP - INTERVAL '{hours_ago} hours',
  MD5(k.key || ' {version}'),
  FALSE,
  CAST(k.key % 64 AS SMALLINT),
  'bench',
  CURRENT_TIMESTAMP - INTERVAL '{hours_ago} hours' + k.key * INTERVAL '1 microsecond',
  'bench'
FROM GENERATE_SERIES(1, {keys}, {step}) AS k(key)
"""


JOBS = """
INSERT INTO raw.st_jobs (
  tenant_id, st_id, payload, modified_on, payload_hash, is_deleted, key_bucket, sync_batch_id, synced_at, _dlt_load_id
)
SELECT
  1,
  k.key,
  CAST('{{"id":' || k.key || ',"jobNumber":"' || k.key || '","projectId":null,"customerId":'
    || (k.key * CAST(7919 AS BIGINT)) % {keys} + 1
    || ',"locationId":' || k.key || ',"jobStatus":"' || CASE k.key % 4 WHEN 0 THEN 'Scheduled' WHEN 1 THEN 'Canceled'
    ELSE 'Completed' END || '","completedOn":"2024-02-03T04:05:06Z","businessUnitId":' || (k.key >> 2) % 12
    || ',"jobTypeId":7,"priority":"Normal","campaignId":3,"summary":"Replace the water heater in the basement",'
    || '"customFields":[],"tagTypeIds":[1,2],"noCharge":false,"total":' || k.key % 5000
    || '.25,"createdOn":"2024-01-02T03:04:05.1234567Z","modifiedOn":"2024-01-02T03:04:05.1234567Z"}}' AS JSON),
  CURRENT_TIMESTAMP - k.key * INTERVAL '1 second',
  MD5(k.key || ' job'),
  FALSE,
  CAST(k.key % 64 AS SMALLINT),
  'bench',
  CURRENT_TIMESTAMP - INTERVAL '48 hours' + k.key * INTERVAL '1 microsecond',
  'bench'
FROM GENERATE_SERIES(1, {keys}) AS k(key)
"""


def add_jobs(stores: Stores, keys: int) -> None:
    """So many jobs of as many customers."""
    execute(stores, JOBS.format(keys=keys))
    if stores.warehouse.dialect == "postgres":
        execute(stores, "ANALYZE raw.st_jobs")


def add(stores: Stores, *, keys: int, version: str, hours_ago: float, step: int = 1) -> None:
    """A version of every `step`th key, modified and landed so many hours ago; planner statistics are renewed for many."""
    execute(stores, ROWS.format(keys=keys, version=version, hours_ago=hours_ago, step=step))
    if step == 1 and stores.warehouse.dialect == "postgres":
        execute(stores, "ANALYZE raw.st_customers")


def execute(stores: Stores, statement: str) -> None:
    """Run a statement that returns nothing."""
    warehouse: Any = stores.warehouse
    if warehouse.dialect == "duckdb":
        warehouse.cursor().execute(statement)
        return
    with warehouse.cursor() as cursor:
        cursor.execute(statement)
