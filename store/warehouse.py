"""The warehouse: where raw tables stand and models are built. One DuckDB file, or PostgreSQL.

This module knows the raw envelope and both engines' way of keeping it append-only; it knows nothing of ServiceTitan's
entities beyond a table's name and its key's type. It never writes a row: dlt does.
"""

import re
import threading
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from store.exceptions import StoreLockedError, StoreUnwritableError
from store.folder import prepare_folder
from store.operations import connect, locked
from store.settings import Settings

Key = int | str


@dataclass(frozen=True, slots=True)
class RawTable:
    """A raw table by its bare name in the schema `raw`, and the type of `st_id` in it: `bigint` or `text`."""

    name: str
    key_type: str


ENVELOPE: tuple[tuple[str, str, bool], ...] = (
    ("tenant_id", "BIGINT", True),
    ("st_id", "", True),  # the table's key type
    ("payload", "JSONB", True),
    ("modified_on", "TIMESTAMPTZ", False),
    ("payload_hash", "TEXT", True),
    ("is_deleted", "BOOLEAN", True),
    ("key_bucket", "SMALLINT", True),
    ("sync_batch_id", "TEXT", True),
    ("synced_at", "TIMESTAMPTZ", True),
    ("_dlt_load_id", "TEXT", True),
)
"""Columns of every raw table: name, type in PostgreSQL's words, whether a value is demanded."""


class Warehouse(Protocol):
    """What both engines do. Safe to use from several threads."""

    dialect: str

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """Create the raw tables that are missing, append-only, and the warehouse's identity."""
        ...

    @property
    def identity(self) -> str:
        """A name that a prepared warehouse keeps for life: another file or database at the same address has another."""
        ...

    def newest_hashes(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, str]:
        """The payload hash of the version of each key that landed last; keys that never landed are left out."""
        ...

    def keys_landed_since(self, table: RawTable, tenant_id: int, since: str) -> list[Key]:
        """The distinct keys of versions landed at or after a moment (ISO text), in order."""
        ...

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query in the engine's own dialect and parameter style."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


def create_table(table: RawTable, json_type: str) -> str:
    """The statement that creates a raw table."""
    types = {"": table.key_type.upper(), "JSONB": json_type}
    lines = [f'"{name}" {types.get(kind, kind)}{" NOT NULL" if demanded else ""}' for name, kind, demanded in ENVELOPE]
    return f"CREATE TABLE IF NOT EXISTS raw.{table.name} ({', '.join(lines)})"


IDENTITY = "SELECT identity FROM raw._lazi_warehouse"


def identify() -> tuple[str, ...]:
    """The statements that give a warehouse its identity, once."""
    return (
        "CREATE TABLE IF NOT EXISTS raw._lazi_warehouse (identity TEXT NOT NULL)",
        f"INSERT INTO raw._lazi_warehouse SELECT '{uuid.uuid4().hex}' WHERE NOT EXISTS ({IDENTITY})",
    )


class DuckDB:
    """A DuckDB file, held by this process alone. All threads and libraries go through one root connection."""

    dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises StoreLockedError or StoreUnwritableError."""
        prepare_folder(path.parent)
        self.path = path
        self.root = open_file(path)
        self.root.execute("SET GLOBAL TimeZone = 'UTC'")
        self.local = threading.local()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor on the root connection."""
        if not hasattr(self.local, "cursor"):
            self.local.cursor = self.root.cursor()
        return self.local.cursor  # type: ignore[no-any-return]

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. DuckDB has no triggers: the file belongs to one process, which only appends."""
        cursor = self.cursor()
        cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
        known = {name for (name,) in self.fetch("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'")}
        for table in tables:
            if table.name not in known:
                cursor.execute(create_table(table, "JSON"))
        for statement in identify():
            cursor.execute(statement)

    @property
    def identity(self) -> str:
        """See Warehouse.identity."""
        return str(self.fetch(IDENTITY)[0][0])

    def newest_hashes(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, str]:
        """See Warehouse.newest_hashes."""
        return dict(
            self.fetch(
                f"SELECT st_id, ARG_MAX(payload_hash, synced_at) FROM raw.{table.name} "
                "WHERE tenant_id = ? AND st_id IN (SELECT UNNEST(?)) GROUP BY st_id",
                (tenant_id, list(keys)),
            )
        )

    def keys_landed_since(self, table: RawTable, tenant_id: int, since: str) -> list[Key]:
        """See Warehouse.keys_landed_since."""
        rows = self.fetch(
            f"SELECT DISTINCT st_id FROM raw.{table.name} WHERE tenant_id = ? AND synced_at >= ?::TIMESTAMPTZ ORDER BY 1",
            (tenant_id, since),
        )
        return [key for (key,) in rows]

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        return self.cursor().execute(query, list(values)).fetchall()

    def close(self) -> None:
        """See Warehouse.close."""
        self.root.close()


class Postgres:
    """PostgreSQL, shared with other processes."""

    dialect = "postgres"

    def __init__(self, url: str) -> None:
        """Connect. Raises StoreUnreachableError."""
        self.url, self.local = url, threading.local()
        self.connection()

    def connection(self) -> Any:
        """This thread's connection; a new one when the server closed it."""
        connection = getattr(self.local, "connection", None)
        if connection is None or connection.closed:
            connection = self.local.connection = connect(self.url)
            connection.autocommit = True
        return connection

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. One process at a time; the database itself refuses UPDATE, DELETE and TRUNCATE."""
        with locked(self.connection()) as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
            cursor.execute(REFUSE_CHANGE)
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'raw'")
            known = {name for (name,) in cursor.fetchall()}
            for table in tables:
                if table.name not in known:
                    cursor.execute(create_table(table, "JSONB"))
                    cursor.execute(GUARD.format(table=table.name))
            for statement in identify():
                cursor.execute(statement)

    @property
    def identity(self) -> str:
        """See Warehouse.identity."""
        return str(self.fetch(IDENTITY)[0][0])

    def newest_hashes(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, str]:
        """See Warehouse.newest_hashes."""
        return dict(
            self.fetch(
                f"SELECT DISTINCT ON (st_id) st_id, payload_hash FROM raw.{table.name} "
                f"WHERE tenant_id = %s AND st_id = ANY(%s::{table.key_type}[]) ORDER BY st_id, synced_at DESC",
                (tenant_id, list(keys)),
            )
        )

    def keys_landed_since(self, table: RawTable, tenant_id: int, since: str) -> list[Key]:
        """See Warehouse.keys_landed_since."""
        rows = self.fetch(
            f"SELECT DISTINCT st_id FROM raw.{table.name} WHERE tenant_id = %s AND synced_at >= %s::TIMESTAMPTZ ORDER BY 1",
            (tenant_id, since),
        )
        return [key for (key,) in rows]

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        with self.connection().cursor() as cursor:
            cursor.execute(query, values or None)
            return cursor.fetchall()  # type: ignore[no-any-return]

    def close(self) -> None:
        """See Warehouse.close. Connections of other threads close with their threads."""
        if connection := self.local.__dict__.pop("connection", None):
            connection.close()


REFUSE_CHANGE = """
CREATE OR REPLACE FUNCTION raw.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
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


def open_warehouse(settings: Settings) -> DuckDB | Postgres:
    """The warehouse of these settings."""
    if settings.is_embedded:
        return DuckDB(settings.data_dir / "lazi.duckdb")
    return Postgres(settings.database_url)


def open_file(path: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB file opened for writing. Raises StoreLockedError that names the holder, or StoreUnwritableError."""
    try:
        return duckdb.connect(path)
    except duckdb.IOException as error:
        text = str(error)
        if "Could not set lock" not in text:
            reason = text.splitlines()[0].partition(": ")[2].removeprefix("Cannot open file ")
            raise StoreUnwritableError(
                f"The DuckDB file `{path}` cannot be opened: {reason}. Is it a DuckDB file, and is its folder writable "
                "and not full?"
            ) from None
        holder = re.search(r"held in (.+?) \(PID (\d+)\)", text)
        who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
        raise StoreLockedError(
            f"The DuckDB file `{path}` is held by {who}. A DuckDB file belongs to one process at a time: wait for that "
            "process or end it, use another `LAZI_DATA_DIR`, or set `DATABASE_URL` to work on PostgreSQL, which "
            "several processes share."
        ) from None
