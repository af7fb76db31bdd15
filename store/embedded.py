"""The embedded warehouse: a DuckDB file, which belongs to one process at a time."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from store.envelope import COLUMNS, additions, by_table
from store.exceptions import StoreLockedError, StoreMemoryError, StoreUnwritableError
from store.folder import prepare_folder
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

if TYPE_CHECKING:
    import pyarrow as pa

RESTORING = ".restore"  # a folder beside it while a backup is put in its place
LOADING_MEMORY = "600MB"  # for DuckDB's pages while records are loaded; the first sync of a million peaks at half then
UNWRITTEN = "4MB"  # of changes that stand only in the log and in memory; with dlt's gigabyte a service would fill both
BLOCK = 65_536  # bytes. Each column of some 700 tables takes a block of its own: DuckDB's 256 KiB suit few large ones


class DuckDB:
    """A DuckDB file, held by this process alone. All threads and libraries go through one root connection."""

    dialect = "duckdb"

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises StoreLockedError or StoreUnwritableError."""
        prepare_folder(path.parent)
        self.path = path
        self.settle(open_file(path))

    def settle(self, root: duckdb.DuckDBPyConnection) -> None:
        """Go through this connection from now on."""
        self.root = root
        root.execute("SET GLOBAL TimeZone = 'UTC'")
        self.usual_memory = root.execute("SELECT memory_limit FROM pragma_database_size()").fetchall()[0][0]
        self.local = threading.local()

    def look(self) -> None:
        """See what other processes have made since, where an engine does not show that by itself."""

    def session(self) -> duckdb.DuckDBPyConnection:
        """A new cursor on the root connection."""
        return self.root.cursor()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """This thread's cursor on the root connection."""
        if not hasattr(self.local, "cursor"):
            self.local.cursor = self.session()
        return self.local.cursor  # type: ignore[no-any-return]

    def filling(self) -> AbstractContextManager[None]:
        """Turn a disk without room into a StoreUnwritableError."""
        return filling(self.path)

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
            self.root.execute(f"SET GLOBAL checkpoint_threshold = '{UNWRITTEN}'")  # which each load by dlt changes
            self.root.execute(f"SET GLOBAL memory_limit = '{self.usual_memory}'")

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. DuckDB has no triggers: the file belongs to one process, which only appends."""
        with self.filling():
            self.create(tables)

    def create(self, tables: Iterable[RawTable]) -> None:
        """Create what is missing, and columns that tables of an earlier version lack."""
        cursor, wanted = self.cursor(), list(tables)
        cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
        known = by_table(self.fetch(COLUMNS))
        for table in wanted:
            if table.name not in known:
                cursor.execute(create_table(table, "JSON"))
        for statement in additions(wanted, known, "JSON"):
            cursor.execute(statement)
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

    def last_seen(self, table: RawTable, tenant_id: int, keys: Sequence[Key]) -> dict[Key, datetime]:
        """The latest `synced_at` of each key; keys that never landed are left out."""
        rows = self.fetch(
            f"SELECT st_id, MAX(synced_at) FROM raw.{table.name} "
            "WHERE tenant_id = ? AND st_id IN (SELECT UNNEST(?)) GROUP BY st_id",
            (tenant_id, list(keys)),
        )
        return dict(rows)

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

    def versions_behind(
        self, table: RawTable, tenant_id: int, place: str, limit: int, until: datetime | None = None
    ) -> list[Landed]:
        """See Warehouse.versions_behind."""
        query = behind(table, "CAST(r.payload AS TEXT)", "?")
        return landed(self.fetch(*placed(query, tenant_id, place, limit, until)))

    def newcomers(self, table: RawTable, tenant_id: int, since: datetime) -> set[Key]:
        """See Warehouse.newcomers."""
        return {key for (key,) in self.fetch(newcomers(table, "?"), (tenant_id, since))}

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

    def append(self, table: RawTable, rows: "pa.Table") -> None:
        """See Warehouse.append."""
        names, cursor = ", ".join(PUSHED), self.session()
        with self.filling():
            cursor.register("pushed", with_load_id(rows))
            cursor.execute(f"INSERT INTO raw.{table.name} ({names}) SELECT {names} FROM pushed")
        cursor.close()

    def fetch(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See Warehouse.fetch."""
        with self.filling():
            return self.cursor().execute(query, list(values)).fetchall()

    def close(self) -> None:
        """See Warehouse.close."""
        self.root.close()


def open_file(path: Path) -> duckdb.DuckDBPyConnection:
    """A DuckDB file opened for writing. Raises StoreLockedError that names the holder, or StoreUnwritableError."""
    try:
        if not path.exists():
            make_file(path)
        return frugal(duckdb.connect(path))
    except duckdb.IOException as error:
        text = str(error)
        if "Could not set lock" not in text:
            reason = text.splitlines()[0].partition(": ")[2].removeprefix("Cannot open file ")
            advice = "Is it a DuckDB file, and is its folder writable and not full?"
            if (path.parent / RESTORING).exists():
                advice = "A restore was cut off here: run `lazi restore` again."
            raise StoreUnwritableError(f"The DuckDB file `{path}` cannot be opened: {reason}. {advice}") from None
        holder = re.search(r"held in (.+?) \(PID (\d+)\)", text)
        who = f"process {holder[2]} ({holder[1]})" if holder else "another process"
        raise StoreLockedError(
            f"The DuckDB file `{path}` is held by {who}. A DuckDB file belongs to one process at a time: wait for that "
            "process or end it, use another `LAZI_DATA_DIR`, or set `DATABASE_URL` to work on PostgreSQL, which "
            "several processes share."
        ) from None


def frugal(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same one, with little in memory that a service would gather for ever, such as each file that dlt had it load."""
    connection.execute(f"SET GLOBAL checkpoint_threshold = '{UNWRITTEN}'")
    return connection.execute("SET GLOBAL enable_external_file_cache = false")


def make_file(path: Path) -> None:
    """Create the file, with its size of blocks: a setting of the connection would have to be every library's too."""
    target = str(path).replace("'", "''")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{target}' AS made (BLOCK_SIZE {BLOCK})")


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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, what that came from, and so on."""
    while error:
        yield error
        error = error.__cause__ or error.__context__
