"""The warehouse: where raw tables stand and models are built. One DuckDB file, or PostgreSQL.

This module knows the raw envelope and both engines' way of keeping it append-only; it knows nothing of ServiceTitan's
entities beyond a table's name and its key's type. It never writes a row: dlt does.
"""

import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import duckdb

from store.exceptions import StoreLockedError, StoreMemoryError, StoreUnwritableError
from store.folder import prepare_folder
from store.operations import connect, locked, reachable
from store.settings import Settings

Key = int | str
LOADING_MEMORY = "600MB"  # for DuckDB's pages while records are loaded; the first sync of a million peaks at half then


@dataclass(frozen=True, slots=True)
class RawTable:
    """A raw table by its bare name in the schema `raw`, and the type of `st_id` in it: `bigint` or `text`."""

    name: str
    key_type: str
    is_scoped: bool = False  # whether its records are looked up by what they were read for


@dataclass(frozen=True, slots=True)
class Landed:
    """A record by its newest version, as far as reading on from it needs."""

    key: Key
    scope: str | None
    payload: str
    modified_on: datetime | None
    synced_at: datetime

    @property
    def place(self) -> str:
        """Where it stands in the order of landing, as text that `versions_behind` takes."""
        return f"{self.synced_at.astimezone(UTC).isoformat(timespec='microseconds')} {self.key}"


class Version(NamedTuple):
    """The version of a key that landed last, and how it stands among the key's other versions."""

    payload_hash: str
    is_deleted: bool
    height: datetime | None  # the latest `modified_on` of all the key's versions
    is_overtaken: bool  # an earlier one has a later `modified_on`, so that master shows that one


class Copy(NamedTuple):
    """The version of a key that master shows: the latest by `modified_on`, then by landing."""

    key: Key
    payload: str
    payload_hash: str
    modified_on: datetime | None
    scope: str | None


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
    ("scope", "TEXT", False),  # what the record was read for: its parent's key, or its window's first moment
)
"""Columns of every raw table: name, type in PostgreSQL's words, whether a value is demanded."""


class Warehouse(Protocol):
    """What both engines do. Safe to use from several threads."""

    dialect: str

    def sparing(self) -> AbstractContextManager[None]:
        """A time of bulk loads, for which little memory is mostly enough. Raises StoreMemoryError when it is not."""
        ...

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """Create the raw tables that are missing, append-only, and the warehouse's identity."""
        ...

    @property
    def identity(self) -> str:
        """A name that a prepared warehouse keeps for life: another file or database at the same address has another."""
        ...

    def newest_versions(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, Version]:
        """The version of each key that landed last; keys that never landed are left out."""
        ...

    def keys_present(self, table: RawTable, tenant_id: int, before: datetime) -> set[Key]:
        """The keys that master shows as not deleted, by a version that landed before a moment."""
        ...

    def copies(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> list[Copy]:
        """The version of each of these keys that master shows."""
        ...

    def versions_behind(self, table: RawTable, tenant_id: int, place: str, limit: int) -> list[Landed]:
        """The newest versions of living records that stand behind a place (see Landed), in order; all for an empty one."""
        ...

    def living(self, table: RawTable, tenant_id: int, scopes: Sequence[str]) -> list[tuple[str, Key]]:
        """Scope and key of the records that are in these scopes and not deleted, by the version that landed last."""
        ...

    def has_rows(self, table: RawTable, tenant_id: int) -> bool:
        """Whether anything of this tenant ever landed there."""
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


def behind(table: RawTable, payload: str, mark: str) -> str:
    """The query for `versions_behind`; `mark` stands for a value."""
    return (
        f"SELECT r.st_id, r.scope, {payload}, r.modified_on, r.synced_at FROM raw.{table.name} AS r "
        f"WHERE r.tenant_id = {mark} AND NOT r.is_deleted "
        f"AND (r.synced_at > CAST({mark} AS TIMESTAMPTZ) "
        f"OR (r.synced_at = CAST({mark} AS TIMESTAMPTZ) AND CAST(r.st_id AS TEXT) > {mark})) "
        f"AND NOT EXISTS (SELECT 1 FROM raw.{table.name} AS n WHERE n.tenant_id = r.tenant_id AND n.st_id = r.st_id "
        f"AND n.synced_at > r.synced_at) ORDER BY r.synced_at, CAST(r.st_id AS TEXT) LIMIT {mark}"
    )


def placed(query: str, tenant_id: int, place: str, limit: int) -> tuple[str, tuple[Any, ...]]:
    """A query of `behind` with its values."""
    moment, _, key = (place or f"{BEGINNING} ").partition(" ")
    return query, (tenant_id, moment, moment, key, limit)


def landed(rows: Iterable[tuple[Any, ...]]) -> list[Landed]:
    """Rows of key, scope, payload, modification and landing."""
    return [Landed(*row) for row in rows]


BEGINNING = "1970-01-01T00:00:00+00:00"
SHOWN_FIRST = "modified_on DESC NULLS LAST, synced_at DESC, payload_hash DESC"
"""The order of a key's versions as master takes them: the first one is shown."""

IDENTITY = "SELECT identity FROM raw._lazi_warehouse"


def identify() -> tuple[str, ...]:
    """The statements that give a warehouse its identity, once."""
    return (
        "CREATE TABLE IF NOT EXISTS raw._lazi_warehouse (identity TEXT NOT NULL)",
        f"INSERT INTO raw._lazi_warehouse SELECT '{uuid.uuid4().hex}' WHERE NOT EXISTS ({IDENTITY})",
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, what that came from, and so on."""
    while error:
        yield error
        error = error.__cause__ or error.__context__


@contextmanager
def filling(path: Path) -> Iterator[None]:
    """Turn a disk without room into a StoreUnwritableError."""
    try:
        yield
    except duckdb.IOException as error:
        raise StoreUnwritableError(
            f"The DuckDB file `{path}` cannot be written: {str(error).splitlines()[0]}. Is its disk full? Make room; the next "
            "run goes on where this one stopped."
        ) from error


class DuckDB:
    """A DuckDB file, held by this process alone. All threads and libraries go through one root connection."""

    dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises StoreLockedError or StoreUnwritableError."""
        prepare_folder(path.parent)
        self.path = path
        self.root = open_file(path)
        self.root.execute("SET GLOBAL TimeZone = 'UTC'")
        self.usual_memory = self.root.execute("SELECT memory_limit FROM pragma_database_size()").fetchall()[0][0]
        self.local = threading.local()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor on the root connection."""
        if not hasattr(self.local, "cursor"):
            self.local.cursor = self.root.cursor()
        return self.local.cursor  # type: ignore[no-any-return]

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """See Warehouse.sparing. DuckDB keeps all that it touched, up to four fifths of the machine's memory."""
        try:
            self.root.execute(f"SET GLOBAL memory_limit = '{LOADING_MEMORY}'")
            yield
        except Exception as error:
            if any(isinstance(cause, duckdb.OutOfMemoryException) for cause in causes(error)):
                raise StoreMemoryError(f"{LOADING_MEMORY} of memory are not enough for DuckDB to load this.") from error
            raise
        finally:  # RESET changes what is shown, not what holds
            self.root.execute(f"SET GLOBAL memory_limit = '{self.usual_memory}'")

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. DuckDB has no triggers: the file belongs to one process, which only appends."""
        with filling(self.path):
            self.create(tables)

    def create(self, tables: Iterable[RawTable]) -> None:
        """Create what is missing."""
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

    def newest_versions(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, Version]:
        """See Warehouse.newest_versions."""
        rows = self.fetch(
            "SELECT st_id, ARG_MAX(payload_hash, synced_at), ARG_MAX(is_deleted, synced_at), MAX(modified_on), "
            "ARG_MAX_NULL(modified_on, synced_at) IS DISTINCT FROM MAX(modified_on) "
            f"FROM raw.{table.name} WHERE tenant_id = ? AND st_id IN (SELECT UNNEST(?)) GROUP BY st_id",
            (tenant_id, list(keys)),
        )
        return {key: Version(*version) for key, *version in rows}

    def keys_present(self, table: RawTable, tenant_id: int, before: datetime) -> set[Key]:
        """See Warehouse.keys_present."""
        rows = self.fetch(
            f"SELECT st_id FROM (SELECT st_id, is_deleted, synced_at FROM raw.{table.name} WHERE tenant_id = ? "
            f"QUALIFY ROW_NUMBER() OVER (PARTITION BY st_id ORDER BY {SHOWN_FIRST}) = 1) "
            "WHERE NOT is_deleted AND synced_at < ?",
            (tenant_id, before),
        )
        return {key for (key,) in rows}

    def copies(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> list[Copy]:
        """See Warehouse.copies."""
        rows = self.fetch(
            f"SELECT st_id, CAST(payload AS TEXT), payload_hash, modified_on, scope FROM raw.{table.name} "
            "WHERE tenant_id = ? AND st_id IN (SELECT UNNEST(?)) "
            f"QUALIFY ROW_NUMBER() OVER (PARTITION BY st_id ORDER BY {SHOWN_FIRST}) = 1",
            (tenant_id, list(keys)),
        )
        return [Copy(*row) for row in rows]

    def versions_behind(self, table: RawTable, tenant_id: int, place: str, limit: int) -> list[Landed]:
        """See Warehouse.versions_behind."""
        return landed(self.fetch(*placed(behind(table, "CAST(r.payload AS TEXT)", "?"), tenant_id, place, limit)))

    def living(self, table: RawTable, tenant_id: int, scopes: Sequence[str]) -> list[tuple[str, Key]]:
        """See Warehouse.living."""
        query = (
            "SELECT scope, st_id FROM (SELECT st_id, ARG_MAX(scope, synced_at) AS scope, "
            f"ARG_MAX(is_deleted, synced_at) AS is_deleted FROM raw.{table.name} WHERE tenant_id = ? AND st_id IN "
            f"(SELECT st_id FROM raw.{table.name} WHERE tenant_id = ? AND scope IN (SELECT UNNEST(?))) GROUP BY st_id) "
            "WHERE NOT is_deleted AND scope IN (SELECT UNNEST(?))"
        )
        return self.fetch(query, (tenant_id, tenant_id, list(scopes), list(scopes)))

    def has_rows(self, table: RawTable, tenant_id: int) -> bool:
        """See Warehouse.has_rows."""
        return bool(
            self.fetch(f"SELECT EXISTS (SELECT 1 FROM raw.{table.name} WHERE tenant_id = ?)", (tenant_id,))[0][0]
        )

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        with filling(self.path):
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

    def sparing(self) -> AbstractContextManager[None]:
        """See Warehouse.sparing. The server sees to its own memory."""
        return nullcontext()

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. One process at a time; the database itself refuses UPDATE, DELETE and TRUNCATE."""
        with reachable(), locked(self.connection()) as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
            cursor.execute(REFUSE_CHANGE)
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'raw'")
            known = {name for (name,) in cursor.fetchall()}
            for table in tables:
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

    def versions_behind(self, table: RawTable, tenant_id: int, place: str, limit: int) -> list[Landed]:
        """See Warehouse.versions_behind."""
        return landed(self.fetch(*placed(behind(table, "CAST(r.payload AS TEXT)", "%s"), tenant_id, place, limit)))

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

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        with reachable(), self.connection().cursor() as cursor:
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
