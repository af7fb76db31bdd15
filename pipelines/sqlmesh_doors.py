"""How SQLMesh's own commands reach the stores: through ours, so that they say what is wrong and find what they need.

The first connection makes the raw tables that are missing: `sqlmesh plan` works before anything has landed.
"""

import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

from sqlmesh.core.config import (
    DuckDBConnectionConfig,
    GatewayConfig,
    PostgresConnectionConfig,
    TableNamingConvention,
)
from sqlmesh.utils.errors import SQLMeshError

from pipelines.duckdb_engine import AtomicDuckDBConnectionConfig, LakeEngineConnectionConfig
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store import lake
from store.exceptions import StoreError
from store.folder import prepare_folder
from store.server import parts
from store.session import connect
from store.settings import Settings, load
from store.warehouse import open_file, open_warehouse

NAMES_OF_TABLES = TableNamingConvention.TABLE_ONLY
"""A plan that changes a table makes one beside it by a longer name, and PostgreSQL takes 63 characters."""

warnings.filterwarnings("ignore", ".*pandas only supports SQLAlchemy connectable", UserWarning)
"""SQLMesh hides it too, but for a while only, which ends for all threads when it ends for one."""

LOOKING = threading.Event()
"""Set while a store is only looked at (`lazi upgrade --check`): nothing is made there."""


@cache
def make_ready(settings: Settings) -> None:
    """See that the warehouse can be used and has its raw tables. Raises SQLMeshError, which SQLMesh shows in a line."""
    try:
        with closing(open_warehouse(settings)) as warehouse:
            warehouse.prepare(map(raw_table, CATALOG))
    except StoreError as error:
        raise SQLMeshError(str(error)) from None


def ready(reach: Callable[..., Any]) -> Callable[..., Any]:
    """`reach`, once the warehouse of the present settings is ready."""
    settings = load()

    def connected(**arguments: Any) -> Any:
        if not LOOKING.is_set():
            make_ready(settings)
        return reach(**arguments)

    return connected


class StateConnectionConfig(DuckDBConnectionConfig):
    """SQLMesh's state beside a DuckDB warehouse. It is opened first, so a held warehouse is found before any work."""

    @property
    def _connection_factory(self) -> Callable[..., Any]:
        return ready(open_state)


class WarehouseConnectionConfig(PostgresConnectionConfig):
    """A PostgreSQL warehouse, which holds SQLMesh's state too.

    Reached by the whole address, as everywhere: SQLMesh's own settings know neither certificates nor several hosts.
    """

    @property
    def _connection_factory(self) -> Callable[..., Any]:
        return ready(partial(open_session, load().session_url))


def open_session(url: str, **_: Any) -> Any:
    """A session of the warehouse. Raises SQLMeshError."""
    try:
        return connect(url, {"application_name": "lazi models"})
    except StoreError as error:
        raise SQLMeshError(str(error)) from None


def open_state(database: str) -> Any:
    """The DuckDB file of SQLMesh's state. Raises SQLMeshError."""
    try:
        return open_file(Path(database))
    except StoreError as error:
        raise SQLMeshError(str(error)) from None


def duckdb_gateway(settings: Settings) -> GatewayConfig:
    """A DuckDB file, and another one for SQLMesh's state."""
    folder = prepare_folder(settings.data_dir.resolve())
    return GatewayConfig(
        connection=AtomicDuckDBConnectionConfig(
            database=str(folder / "lazi.duckdb"), connector_config={"TimeZone": "UTC"}
        ),
        state_connection=StateConnectionConfig(database=str(folder / "lazi-state.duckdb")),
    )


def postgres_gateway(settings: Settings) -> GatewayConfig:
    """PostgreSQL for both."""
    return GatewayConfig(connection=postgres_connection(settings), state_schema="sqlmesh_state")


def ducklake_gateway(settings: Settings) -> GatewayConfig:
    """A lake, and the PostgreSQL of its catalog for SQLMesh's state."""
    return GatewayConfig(
        connection=LakeConnectionConfig(
            database=f"ducklake:{settings.lake_files}", connector_config={"TimeZone": "UTC"}, register_comments=False
        ),
        state_connection=postgres_connection(settings),
        state_schema="sqlmesh_state_lake",  # apart from that of models which the same database may have had
    )


def postgres_connection(settings: Settings) -> WarehouseConnectionConfig:
    """PostgreSQL, with what SQLMesh shows of it; it connects by the whole address."""
    server = parts(settings.session_url)
    return WarehouseConnectionConfig(
        host=server.get("host", "localhost"),
        port=int(server.get("port", "5432").partition(",")[0]),
        user=server.get("user", ""),
        password="",
        database=server.get("dbname", server.get("user", "")),
        concurrent_tasks=2,
    )


class LakeConnectionConfig(LakeEngineConnectionConfig):
    """A lake, by a DuckDB of SQLMesh's own in this process."""

    @property
    def _connection_factory(self) -> Callable[..., Any]:
        return ready(partial(open_attached, load()))

    @property
    def _cursor_init(self) -> Callable[[Any], None]:
        return in_lake

    def get_catalog(self) -> str:
        """The catalog that names without one belong to."""
        return lake.CATALOG


def in_lake(cursor: Any) -> None:
    """Have a cursor begin in the lake."""
    cursor.execute(lake.ALIKE)


def open_attached(settings: Settings, **_: Any) -> Any:
    """The lake of these settings. Raises SQLMeshError."""
    try:
        opened = lake.open_lake(settings, lake.Room.bytes)
    except StoreError as error:
        raise SQLMeshError(str(error)) from None
    opened.execute("SET GLOBAL preserve_insertion_order = false")  # of rows of a table, which costs memory
    return opened
