"""A database of the original ST-LAZI on a real PostgreSQL, with the schema that `pipelines.legacy` assumes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.extras

RAW = """
CREATE TABLE raw.st_{name} (
  id BIGSERIAL PRIMARY KEY,
  tenant_id BIGINT,
  st_id BIGINT,
  payload {kind},
  payload_hash TEXT,
  modified_on TIMESTAMPTZ,
  synced_at TIMESTAMPTZ,
  is_deleted BOOLEAN NOT NULL DEFAULT FALSE,
  sync_batch_id TEXT
)
"""
MUTATIONS = """
CREATE TABLE outbound.mutations (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id BIGINT NOT NULL,
  entity_type TEXT NOT NULL,
  entity_id BIGINT,
  operation TEXT NOT NULL,
  payload JSONB,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  error TEXT,
  initiated_by TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ
)
"""
MASTER = """
CREATE TABLE master.customers (st_id BIGINT PRIMARY KEY, name TEXT, balance NUMERIC(18,2), active BOOLEAN, full_data JSONB);
CREATE TABLE master.contacts (st_id BIGINT PRIMARY KEY, value TEXT);
CREATE VIEW master.opportunities AS SELECT 1::BIGINT AS st_id;
CREATE TABLE master.zones (st_id BIGINT PRIMARY KEY, name TEXT, active TEXT);
"""
TENANT = 7


@dataclass
class Original:
    """One such database."""

    url: str
    made: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.run(
            "CREATE SCHEMA raw; CREATE SCHEMA outbound; CREATE SCHEMA master; CREATE SCHEMA crm; "
            + MUTATIONS
            + ";"
            + MASTER
        )

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement."""
        connection = psycopg2.connect(self.url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def table(self, name: str, kind: str = "JSONB") -> None:
        """Make a raw table."""
        if name not in self.made:
            self.made.add(name)
            self.run(RAW.format(name=name, kind=kind))

    def add(
        self,
        name: str,
        key: Any,
        payload: Any,
        synced_at: str | None,
        *,
        modified_on: str | None = None,
        is_deleted: bool = False,
        tenant: int | None = TENANT,
    ) -> None:
        """A row; a payload that is no text is written as JSON."""
        text = payload if payload is None or isinstance(payload, str) else json.dumps(payload, separators=(",", ":"))
        self.run(
            f"INSERT INTO raw.st_{name} (tenant_id, st_id, payload, payload_hash, modified_on, synced_at, is_deleted) "
            "VALUES (%s, %s, %s, md5(%s), %s, %s, %s)",
            (tenant, key, text, text, modified_on, synced_at, is_deleted),
        )

    def history(self, name: str, versions: Iterable[tuple[int, Any, str]]) -> None:
        """Rows of key, payload and moment."""
        for key, payload, synced_at in versions:
            self.add(name, key, payload, synced_at)

    def mutation(self, entity: str, operation: str, record: int | None, payload: Any, status: str, **more: Any) -> str:
        """A change; its id."""
        values = {
            "tenant_id": TENANT,
            "entity_type": entity,
            "operation": operation,
            "entity_id": record,
            "payload": None if payload is None else json.dumps(payload),
            "status": status,
            **more,
        }
        names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        [(made,)] = self.run(
            f"INSERT INTO outbound.mutations ({names}) VALUES ({marks}) RETURNING id::text", list(values.values())
        )
        return str(made)
