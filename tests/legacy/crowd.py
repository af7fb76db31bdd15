"""A million raw rows of the original's, made by its server; and what must be here of them, worked out another way."""

import hashlib
from collections.abc import Iterator

import psycopg2

from tests.legacy.original import TENANT, Original

TURNS = 8  # rows of each record: four versions, each of them twice
FILL = """
INSERT INTO raw.st_customers (tenant_id, st_id, payload, payload_hash, modified_on, synced_at, is_deleted)
SELECT
  {tenant}, key, payload, MD5(payload::TEXT), TIMESTAMPTZ '2023-12-01 00:00+00' + version * INTERVAL '1 day',
  TIMESTAMPTZ '2024-01-01 00:00+00' + turn * INTERVAL '6 hours' + key % 1000 * INTERVAL '1 second', turn = 7 AND key % 50 = 0
FROM (
  SELECT n / {turns} AS key, n % {turns} AS turn, n % {turns} / 2 AS version FROM generate_series(0, {rows} - 1) AS n
) AS numbers
CROSS JOIN LATERAL (
  SELECT JSONB_BUILD_OBJECT(
    'id', key, 'active', TRUE, 'name', 'customer ' || key, 'type', 'Residential', 'balance', (key * 7 + version) % 1000,
    'modifiedOn', TO_CHAR(TIMESTAMP '2023-12-01 00:00' + version * INTERVAL '1 day', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    'address', JSONB_BUILD_OBJECT('street', REPEAT('street ', 8), 'city', 'Reno', 'zip', '89501', 'country', 'USA'),
    'customFields', JSONB_BUILD_ARRAY(JSONB_BUILD_OBJECT('typeId', 5, 'name', 'note', 'value', REPEAT('x', 200)))
  ) AS payload
) AS made
ORDER BY turn, MD5(key::TEXT)
"""
ODD = """
INSERT INTO raw.st_customers (tenant_id, st_id, payload, synced_at)
SELECT {tenant}, -n, CASE WHEN n % 3 = 0 THEN '[1]'::JSONB END, NOW() FROM generate_series(1, {odd}) AS n
"""
ODD_ROWS = 1500

Version = tuple[int, int, str, bool]
"""Key, landing in microseconds, hash, whether it is deleted."""
LANDED = "SELECT st_id, CAST(EXTRACT(EPOCH FROM synced_at) * 1000000 AS BIGINT), payload_hash, is_deleted FROM raw.st_customers"


def fill(original: Original, rows: int) -> None:
    """So many rows, in the order in which eight reads would have brought them, and odd ones behind."""
    original.table("customers")
    original.run(FILL.format(tenant=TENANT, turns=TURNS, rows=rows))
    original.run(ODD.format(tenant=TENANT, odd=ODD_ROWS))


def expected(original: Original) -> Iterator[Version]:
    """What must be here: of each record the rows that differ from the one before."""
    connection = psycopg2.connect(original.url)
    with connection, connection.cursor("all") as cursor:
        cursor.itersize = 20_000
        cursor.execute(
            "SELECT st_id, (EXTRACT(EPOCH FROM synced_at) * 1000000)::BIGINT, payload::TEXT, is_deleted FROM raw.st_customers "
            "WHERE JSONB_TYPEOF(payload) = 'object' ORDER BY st_id, synced_at, id"
        )
        before: tuple[int, str, bool] | None = None
        for key, moment, payload, gone in cursor:
            if (key, payload, gone) != before:
                own = hashlib.blake2b(payload.encode(), digest_size=16).hexdigest()
                hash_ = hashlib.blake2b(f"deleted:{own}".encode(), digest_size=16).hexdigest() if gone else own
                yield key, moment, hash_, gone
            before = key, payload, gone
    connection.close()
