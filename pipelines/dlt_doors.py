"""How dlt reaches the warehouse: by what this process has open already, or by sessions of ours.

So every address, certificate and pooler means the same to it. Of itself dlt takes addresses apart and sets a startup option,
which poolers refuse; and it would attach a lake anew for each of its clients.
"""

from typing import Any

import dlt
from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from store.lake import CATALOG, METADATA, DuckLake
from store.server import parts
from store.session import connect
from store.warehouse import DuckDB, Postgres


class Statements(Psycopg2SqlClient):
    """Statements on a session of ours. Every table is named with its schema, so that no search path is needed."""

    def __init__(self, former: Psycopg2SqlClient, url: str) -> None:
        """In the place of `former`, which has not connected."""
        super().__init__(former.dataset_name, former.staging_dataset_name, former.credentials, former.capabilities)
        self.url = url

    def open_connection(self) -> Any:
        """A new session."""
        self._conn = connect(self.url)
        self._conn.autocommit = True
        return self._conn

    def _reset_connection(self) -> None:
        """End what was left open, and keep the session's settings."""
        self._conn.rollback()
        self._conn.autocommit = True


class Client(PostgresClient):
    """What loads."""

    url = ""

    def __init__(self, *arguments: Any) -> None:
        """As dlt makes it."""
        super().__init__(*arguments)
        self.sql_client = Statements(self.sql_client, self.url)


class Destination(dlt.destinations.postgres):
    """Dlt's own, by another door. Working folders know it by the name of dlt's."""

    client_class = Client
    destination_type = "dlt.destinations.postgres"


def postgres_destination(warehouse: Postgres) -> Any:
    """PostgreSQL as a destination of dlt's."""
    return postgres_at(warehouse.url)


def postgres_at(url: str) -> Any:
    """The same, by its address."""
    client = type("Client", (Client,), {"url": url})
    return type("Destination", (Destination,), {"client_class": client})(credentials(url))


def duckdb_destination(warehouse: DuckDB) -> Any:
    """A DuckDB file, by a cursor of the connection that this process has."""
    return dlt.destinations.duckdb(warehouse.session())


class LakeStatements(DuckLakeSqlClient):
    """Statements on the lake that this process has attached."""

    def __init__(self, former: DuckLakeSqlClient, warehouse: DuckLake) -> None:
        """In the place of `former`, which has not connected."""
        super().__init__(former.dataset_name, former.staging_dataset_name, former.credentials, former.capabilities)
        self.warehouse = warehouse

    def open_connection(self) -> Any:
        """A cursor of the process's own connection."""
        self._conn = self.warehouse.session()
        return self._conn

    def close_connection(self) -> None:
        """Let go of the cursor, and of what it had not finished."""
        if self._conn:
            self._conn.close()
            self._conn = None  # type: ignore[assignment]  # as dlt's own does


class LakeClient(DuckLakeClient):
    """What loads into a lake."""

    warehouse: DuckLake

    def __init__(self, *arguments: Any) -> None:
        """As dlt makes it."""
        super().__init__(*arguments)
        self.sql_client = LakeStatements(self.sql_client, self.warehouse)


class LakeDestination(dlt.destinations.ducklake):
    """Dlt's own, by another door."""

    client_class = LakeClient
    destination_type = "dlt.destinations.ducklake"


def ducklake_destination(warehouse: DuckLake) -> Any:
    """A lake, by cursors of the connection that this process has. Dlt is told where it is, and no password."""
    client = type("LakeClient", (LakeClient,), {"warehouse": warehouse})
    server = parts(warehouse.url)
    catalog = f"postgresql://{server.get('host', 'localhost')}/{server.get('dbname', '')}"
    known = DuckLakeCredentials(CATALOG, METADATA, catalog, warehouse.files)
    return type("LakeDestination", (LakeDestination,), {"client_class": client})(known)


def credentials(url: str) -> PostgresCredentials:
    """What dlt demands to know of an address, to tell of it."""
    server = parts(url)
    found = PostgresCredentials()
    found.host, found.port = server.get("host", "localhost"), int(server.get("port", "5432").partition(",")[0])
    found.username, found.database = server.get("user", ""), server.get("dbname", server.get("user", ""))
    found.password = ""
    return found
