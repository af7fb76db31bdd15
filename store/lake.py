"""The warehouse as a lake: Parquet files in a folder or an object store, of which PostgreSQL keeps the catalog (DuckLake).

A DuckDB in memory reads and writes it, so any number of processes and hosts do so side by side. Each change is a snapshot:
whole or not there. DuckDB's extensions come from wheels and are never downloaded.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from store.embedded import DuckDB, causes, frugal
from store.envelope import COLUMNS, additions, by_table
from store.exceptions import (
    SettingsError,
    StoreMemoryError,
    StoreUnfitError,
    StoreUnreachableError,
    StoreUnwritableError,
)
from store.fitness import check_fit
from store.folder import prepare_folder
from store.postgres_operations import locked
from store.raw import RawTable, create_table, identify
from store.server import hushed, reachable
from store.session import connect
from store.settings import LAKE, Settings
from store.transaction import transaction

CATALOG = "lake"  # as DuckDB calls it
METADATA = "lake_catalog"  # PostgreSQL's schema of it
CATALOG_TABLES = f"__ducklake_metadata_{CATALOG}.{METADATA}"  # as DuckDB calls them
ALIKE = f"USE {CATALOG}"  # what every cursor begins with
RETRIES = 100  # of a commit: others write other tables, and all of them write the catalog
PAUSE, LONGER = (
    50,
    1.05,
)  # milliseconds before the first one, and how many times as long before each next: 6.3 s at the last
MEMORY = 600_000_000
"""Bytes for a process's DuckDB. DuckLake keeps the catalog as it was before each change of any table, 7 MB of 300 tables, while
there is room, and a first build of the models makes hundreds: the process comes to about twice as much."""
BUILDING = 2_000_000_000
"""Of one that builds models, until it turns out that a model needs more (`more_room`)."""
BUCKETS = ("s3", "s3a", "s3n", "gs", "gcs", "r2")
"""Schemes of object stores that speak S3."""


class DuckLake(DuckDB):
    """A lake, by a DuckDB in memory of this process. All threads and libraries go through one root connection."""

    def __init__(self, settings: Settings) -> None:
        """Open the lake, or begin one. Raises StoreError."""
        self.url, self.files = settings.session_url, settings.lake_files
        self.path = Path(self.files)
        self.settle(open_lake(settings))

    def session(self) -> duckdb.DuckDBPyConnection:
        """See DuckDB.session: a cursor of DuckDB's begins in the memory, not in the lake."""
        return self.root.cursor().execute(ALIKE)

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """See Warehouse.sparing. Little memory is usual here; from the first load that needs more on, there is more."""
        try:
            yield
        except Exception as error:
            if any(isinstance(cause, duckdb.OutOfMemoryException) for cause in causes(error)):
                self.root.execute(f"SET GLOBAL memory_limit = '{memory_of_machine()}B'")
                raise StoreMemoryError(
                    "The memory that a lake has at first is not enough for DuckDB to load this."
                ) from error
            raise

    def filling(self) -> AbstractContextManager[None]:
        """See DuckDB.filling."""
        return lake_told(self.files)

    def prepare(self, tables: Iterable[RawTable]) -> None:
        """See Warehouse.prepare. One process at a time, and all in one snapshot."""
        wanted = list(tables)
        with closing(connect(self.url)) as connection, reachable(), locked(connection) as cursor:
            check_fit(cursor)
            with self.filling(), transaction(self.cursor().execute):
                self.create(wanted)

    def create(self, tables: Iterable[RawTable]) -> None:
        """See DuckDB.create. A tenant's rows stand in files of their own."""
        cursor, wanted = self.cursor(), list(tables)
        cursor.execute("CREATE SCHEMA IF NOT EXISTS raw")
        known = by_table(cursor.execute(COLUMNS).fetchall())
        for table in wanted:
            if table.name not in known:
                cursor.execute(create_table(table, "JSON"))
                cursor.execute(f"ALTER TABLE raw.{table.name} SET PARTITIONED BY (tenant_id)")
        for statement in [*additions(wanted, known, "JSON"), *identify()]:
            cursor.execute(statement)


def open_lake(settings: Settings, memory: int = MEMORY) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, of which it has so many bytes, with the lake attached and in use.

    Raises StoreError, which shows no password.
    """
    with closing(connect(settings.session_url)):  # whose errors tell more
        pass
    extensions = ["ducklake", "postgres_scanner"]
    is_folder = "://" not in settings.lake_files
    if is_folder:
        prepare_folder(Path(settings.lake_files))
    else:
        extensions.append("httpfs")
    spilled = prepare_folder(settings.data_dir / "spilled").resolve()
    root = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False, "temp_directory": str(spilled)})
    for name in extensions:
        root.execute(f"LOAD '{quoted(str(extension(name)))}'")
    root.execute(f"SET GLOBAL ducklake_max_retry_count = {RETRIES}")
    root.execute(f"SET GLOBAL ducklake_retry_wait_ms = {PAUSE}")
    root.execute(f"SET GLOBAL ducklake_retry_backoff = {LONGER}")
    root.execute("SET GLOBAL TimeZone = 'UTC'")
    root.execute(f"SET GLOBAL memory_limit = '{min(memory, memory_of_machine())}B'")
    if not is_folder:
        root.execute(secret(settings.lake_files))
    address, files = quoted(settings.session_url), quoted(settings.lake_files)
    try:
        root.execute(
            f"ATTACH 'ducklake:postgres:{address}' AS {CATALOG} (DATA_PATH '{files}', METADATA_SCHEMA '{METADATA}')"
        )
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(settings.session_url, "the address")
        if "DATA_PATH" in str(error) or "data path" in str(error):
            raise SettingsError(
                f"`{LAKE.name}` is `{settings.lake_files}`, but the lake of this database has its files elsewhere: {said}. "
                "Correct it where it is set, or use another database."
            ) from None
        raise StoreUnreachableError(f"The lake cannot be opened: {said}") from None
    return frugal(root.execute(ALIKE))


class Room:
    """How much memory models have on a lake in this process."""

    bytes = BUILDING


def more_room() -> bool:
    """Let models have all that the machine has, from the next time on that they open the lake; whether that is more."""
    before, Room.bytes = Room.bytes, max(Room.bytes, memory_of_machine())
    return Room.bytes > before


def memory_of_machine() -> int:
    """Bytes that DuckDB takes when it is left alone: four fifths of what the machine or the container has."""
    with duckdb.connect() as connection:
        [(found,)] = connection.execute("SELECT parse_formatted_bytes(current_setting('memory_limit'))").fetchall()
    return int(found)


def extension(name: str) -> Path:
    """The file of one of DuckDB's extensions. Raises StoreUnfitError."""
    found = find_spec(f"duckdb_extension_{name}")
    if found is not None and found.origin:
        path = Path(found.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if path.exists():
            return path
    raise StoreUnfitError(
        f"DuckDB's extension `{name}` for version {duckdb.__version__} is not installed, which a lake needs. Install it: `pip "
        "install 'st-lazi[lake]'`."
    )


def secret(files: str) -> str:
    """The statement by which DuckDB may use an object store, from the variables that all tools of it know.

    Raises SettingsError.
    """
    scheme = urlsplit(files).scheme
    if scheme not in BUCKETS:
        raise SettingsError(
            f"`{LAKE.name}` is `{files}`, of which the scheme is not known. Allowed are a folder and {', '.join(BUCKETS)}."
        )
    names = {"KEY_ID": "AWS_ACCESS_KEY_ID", "SECRET": "AWS_SECRET_ACCESS_KEY", "SESSION_TOKEN": "AWS_SESSION_TOKEN"}
    names["REGION"] = "AWS_REGION"
    values = {option: os.environ[name] for option, name in names.items() if os.environ.get(name)}
    if missing := [names[option] for option in ("KEY_ID", "SECRET") if option not in values]:
        raise SettingsError(f"`{LAKE.name}` is `{files}`, but {' and '.join(missing)} are not set in the environment.")
    listed = [f"{option} '{quoted(value)}'" for option, value in values.items()]
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        place = urlsplit(endpoint)
        listed += [f"ENDPOINT '{quoted(place.netloc)}'", "URL_STYLE 'path'", f"USE_SSL {place.scheme == 'https'}"]
    return f"CREATE SECRET lake_files (TYPE s3, {', '.join(listed)})"


@contextmanager
def lake_told(files: str) -> Iterator[None]:
    """Turn files that cannot be had and a catalog that does not answer into a StoreError."""
    try:
        yield
    except duckdb.IOException as error:
        said = hushed(str(error).splitlines()[0])
        if "postgres" in said.lower() or "connection" in said.lower():
            raise StoreUnreachableError(
                f"The lake's catalog does not answer: {said}. What was written whole is kept; the next run goes on."
            ) from error
        raise StoreUnwritableError(
            f"The lake's files in `{files}` cannot be had: {said}. Is there room, and may we write there? The next run goes on "
            "where this one stopped."
        ) from error


def quoted(text: str) -> str:
    """A text within quotes."""
    return text.replace("'", "''")
