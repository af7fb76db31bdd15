"""The original's database beside a store of each kind."""

from dataclasses import dataclass, field
from typing import Any

import psycopg2
import pytest

from pipelines.legacy.importing import Wishes, take_over
from pipelines.legacy.report import Report, TableReport
from pipelines.sync import Stores
from store.settings import Settings
from tests.conftest import MakeDatabase
from tests.legacy.original import TENANT, Original


@dataclass
class Heard:
    """An observer that remembers."""

    tables: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    said: list[str] = field(default_factory=list)

    def begins(self, name: str, rows: int) -> None:
        self.tables[name] = rows

    def progresses(self, rows: int) -> None:
        self.rows += rows

    def says(self, text: str) -> None:
        self.said.append(text)


@dataclass
class Takeover:
    """A takeover that can be run, and what came of it."""

    original: Original
    settings: Settings

    def run(self, **wishes: Any) -> Report:
        """Take over, without models."""
        asked = {"with_models": False, "tenant_id": TENANT, **wishes}
        return take_over(self.settings, self.original.url, Wishes(**asked), Heard())

    def table(self, name: str, **wishes: Any) -> TableReport:
        """The report of one table of a run."""
        return next(one for one in self.run(**wishes).tables if one.table == f"raw.st_{name}")

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """What our warehouse holds."""
        with self.opened() as stores:
            return stores.warehouse.fetch(query)

    def opened(self) -> "Opened":
        """Our store."""
        return Opened(self.settings)

    def operations(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """What our operations store holds."""
        with self.opened() as stores:
            return stores.operations.run(query, **values)


@dataclass
class Opened:
    """Our store, closed in the end."""

    settings: Settings

    def __enter__(self) -> Stores:
        self.stores = Stores.open(self.settings)
        return self.stores

    def __exit__(self, *_: object) -> None:
        self.stores.close()


@pytest.fixture(scope="module")
def original_url(make_database: MakeDatabase) -> str:
    """The address of a database that tests of a module use one after another: databases by the hundred take long to go."""
    return make_database()


@pytest.fixture
def original(original_url: str) -> Original:
    """A database with the original's schema and no rows."""
    emptied(original_url)
    return Original(original_url)


def emptied(url: str) -> None:
    """Drop all that a test before this one made."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(quote_ident(nspname), ', ') FROM pg_namespace "
            "WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'public')"
        )
        if schemas := cursor.fetchone()[0]:
            cursor.execute(f"DROP SCHEMA {schemas} CASCADE")
    connection.close()


@pytest.fixture
def takeover(original: Original, settings: Settings) -> Takeover:
    """The original beside each of our stores."""
    return Takeover(original, settings)
