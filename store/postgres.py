"""The warehouse on PostgreSQL, which several processes share."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

import psycopg2.extras

from store.envelope import COLUMNS, additions, by_table
from store.fitness import check_fit
from store.lending import Lender
from store.postgres_operations import locked
from store.raw import (
    IDENTITY,
    PUSHED,
    SHOWN_FIRST,
    Copy,
    Key,
    Landed,
    RawTable,
    Version,
    behind,
    create_table,
    identify,
    landed,
    newcomers,
    placed,
    with_load_id,
)
from store.server import reachable
from store.session import connect

if TYPE_CHECKING:
    import pyarrow as pa


class Postgres:
    """PostgreSQL, shared with other processes."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        """Connect, by an address that leads to sessions. Raises StoreUnreachableError, StoreSessionError."""
        self.url = url
        self.lender = Lender(self.connected)
        with self.lender.lent():
            pass

    def connected(self) -> Any:
        """A new connection. Raises StoreUnreachableError."""
        connection = connect(self.url)
        connection.autocommit = True
        return connection

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor of a connection that is lent meanwhile. Raises StoreUnreachableError."""
        with self.lender.lent() as connection, reachable(), connection.cursor() as cursor:
            yield cursor

    def sparing(self) -> AbstractContextManager[None]:
        """See Warehouse.sparing. The server sees to its own memory."""
        return nullcontext()

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. One process at a time; the database itself refuses UPDATE, DELETE and TRUNCATE."""
        with self.lender.lent() as connection, reachable(), locked(connection) as cursor:
            check_fit(cursor)
            cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
            cursor.execute(REFUSE_CHANGE)
            cursor.execute(COLUMNS)
            known, wanted = by_table(cursor.fetchall()), list(tables)
            for statement in additions(wanted, known, "JSONB"):
                cursor.execute(statement)
            for table in wanted:
                if table.name not in known:
                    cursor.execute(create_table(table, "JSONB"))
                    cursor.execute(GUARD.format(table=table.name))
                    if table.is_scoped:
                        cursor.execute(f"CREATE INDEX ON raw.{table.name} (tenant_id, scope)")
            for statement in identify():
                cursor.execute(statement)

    @property
    def identity(self) -> str:
        """See Warehouse.identity."""
        return str(self.fetch(IDENTITY)[0][0])

    def newest_versions(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, Version]:
        """See Warehouse.newest_versions."""
        rows = self.fetch(
            "SELECT DISTINCT ON (st_id) st_id, payload_hash, is_deleted, height, modified_on IS DISTINCT FROM height "
            "FROM (SELECT st_id, payload_hash, is_deleted, modified_on, synced_at, "
            f"MAX(modified_on) OVER (PARTITION BY st_id) AS height FROM raw.{table.name} "
            f"WHERE tenant_id = %s AND st_id = ANY(%s::{table.key_type}[])) AS v ORDER BY st_id, synced_at DESC",
            (tenant_id, list(keys)),
        )
        return {key: Version(*version) for key, *version in rows}

    def last_seen(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, datetime]:
        """The latest `synced_at` of each key; keys that never landed are left out."""
        rows = self.fetch(
            f"SELECT st_id, MAX(synced_at) FROM raw.{table.name} "
            f"WHERE tenant_id = %s AND st_id = ANY(%s::{table.key_type}[]) GROUP BY st_id",
            (tenant_id, list(keys)),
        )
        return dict(rows)

    def keys_present(self, table: RawTable, tenant_id: int, before: datetime) -> set[Key]:
        """See Warehouse.keys_present."""
        rows = self.fetch(
            f"SELECT st_id FROM (SELECT DISTINCT ON (st_id) st_id, is_deleted, synced_at FROM raw.{table.name} "
            f"WHERE tenant_id = %s ORDER BY st_id, {SHOWN_FIRST}) AS v WHERE NOT is_deleted AND synced_at < %s",
            (tenant_id, before),
        )
        return {key for (key,) in rows}

    def copies(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> list[Copy]:
        """See Warehouse.copies."""
        rows = self.fetch(
            "SELECT DISTINCT ON (st_id) st_id, CAST(payload AS TEXT), payload_hash, modified_on, scope "
            f"FROM raw.{table.name} WHERE tenant_id = %s AND st_id = ANY(%s::{table.key_type}[]) "
            f"ORDER BY st_id, {SHOWN_FIRST}",
            (tenant_id, list(keys)),
        )
        return [Copy(*row) for row in rows]

    def versions_behind(
        self, table: RawTable, tenant_id: int, place: str, limit: int, until: datetime | None = None
    ) -> list[Landed]:
        """See Warehouse.versions_behind."""
        query = behind(table, "CAST(r.payload AS TEXT)", "%s")
        return landed(self.fetch(*placed(query, tenant_id, place, limit, until)))

    def newcomers(self, table: RawTable, tenant_id: int, since: datetime) -> set[Key]:
        """See Warehouse.newcomers."""
        return {key for (key,) in self.fetch(newcomers(table, "%s"), (tenant_id, since))}

    def living(self, table: RawTable, tenant_id: int, scopes: Sequence[str]) -> list[tuple[str, Key]]:
        """See Warehouse.living."""
        query = (
            f"SELECT scope, st_id FROM (SELECT DISTINCT ON (st_id) st_id, scope, is_deleted FROM raw.{table.name} "
            f"WHERE tenant_id = %s AND st_id IN (SELECT st_id FROM raw.{table.name} WHERE tenant_id = %s AND scope = ANY(%s)) "
            "ORDER BY st_id, synced_at DESC) AS n WHERE NOT is_deleted AND scope = ANY(%s)"
        )
        return self.fetch(query, (tenant_id, tenant_id, list(scopes), list(scopes)))

    def has_rows(self, table: RawTable, tenant_id: int) -> bool:
        """See Warehouse.has_rows."""
        return bool(
            self.fetch(f"SELECT EXISTS (SELECT 1 FROM raw.{table.name} WHERE tenant_id = %s)", (tenant_id,))[0][0]
        )

    def append(self, table: RawTable, rows: "pa.Table") -> None:
        """See Warehouse.append."""
        values = [tuple(row[name] for name in PUSHED) for row in with_load_id(rows).to_pylist()]
        with self.cursor() as cursor:
            insert = f"INSERT INTO raw.{table.name} ({', '.join(PUSHED)}) VALUES %s"
            psycopg2.extras.execute_values(cursor, insert, values, page_size=len(values))

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        with self.cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall()  # type: ignore[no-any-return]

    def close(self) -> None:
        """See Warehouse.close."""
        self.lender.drop()


REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION raw.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('lazi.pruning', TRUE) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION 'raw.% is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING HINT = 'A record changes by a new version: INSERT it.';
END $$
"""

GUARD = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON raw.{table}
FOR EACH STATEMENT EXECUTE FUNCTION raw.refuse_change();
CREATE INDEX ON raw.{table} (tenant_id, st_id, modified_on DESC);
CREATE INDEX ON raw.{table} (synced_at);
"""
