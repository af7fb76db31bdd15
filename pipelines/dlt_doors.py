"""How dlt reaches PostgreSQL: by our own sessions, so that every address, certificate and pooler means the same to it.

Of itself dlt takes addresses apart and sets a startup option, which poolers refuse.
"""

from typing import Any

import dlt
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.destinations.impl.postgres.postgres import PostgresClient
from dlt.destinations.impl.postgres.sql_client import Psycopg2SqlClient

from store.server import parts
from store.session import connect


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


def destination(url: str) -> Any:
    """PostgreSQL at this address, as a destination of dlt's."""
    client = type("Client", (Client,), {"url": url})
    return type("Destination", (Destination,), {"client_class": client})(credentials(url))


def credentials(url: str) -> PostgresCredentials:
    """What dlt demands to know of an address, to tell of it."""
    server = parts(url)
    found = PostgresCredentials()
    found.host, found.port = server.get("host", "localhost"), int(server.get("port", "5432").partition(",")[0])
    found.username, found.database = server.get("user", ""), server.get("dbname", server.get("user", ""))
    found.password = ""
    return found
