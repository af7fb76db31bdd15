"""A lake with two small models that were made by hand, published to its PostgreSQL as the real ones are."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from pipelines.definitions import Definitions, Table, View
from pipelines.publishing import Published, publish
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.lake import DuckLake
from store.operations import open_operations
from store.settings import Settings

COLUMNS = (
    ("tenant_id", "BIGINT"),
    ("st_id", "BIGINT"),
    ("name", "TEXT"),
    ("total", "DECIMAL(18, 6)"),
    ("share", "DOUBLE PRECISION"),
    ("active", "BOOLEAN"),
    ("day", "DATE"),
    ("custom_fields", "JSONB"),
    ("modeled_at", "TIMESTAMPTZ"),
)
LAKES = {"DECIMAL(18, 6)": "DECIMAL(18,6)", "DOUBLE PRECISION": "DOUBLE", "JSONB": "JSON"}
KEY = ("tenant_id", "st_id")
SERVING = "master.jobs, master.zones, crm.contacts"
BEGUN = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = (("tenant_id", "BIGINT"), ("st_id", "BIGINT"), ("name", "TEXT"))  # no column tells when a row was written


@dataclass
class Harbour:
    """The lake, and what is published of it."""

    settings: Settings
    jobs: tuple[tuple[str, str], ...] = COLUMNS
    number: int = 1  # of the table behind `master.jobs`
    clock: datetime = BEGUN
    rows: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict)
    shows_names: bool = True  # what else the view shows

    def __post_init__(self) -> None:
        """Make it."""
        self.lake = DuckLake(self.settings)
        self.lake.prepare([raw_table(CATALOG[0])])
        self.operations = open_operations(self.settings)
        for schema in ("master", "master_store", "crm"):
            self.run(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        self.make("jobs", self.jobs)
        self.make("zones", ZONES)

    def run(self, statement: str, values: Iterable[Any] = ()) -> None:
        """Change the lake."""
        self.lake.cursor().execute(statement, list(values))

    def make(self, entity: str, columns: Iterable[tuple[str, str]]) -> None:
        """Make a table and have its name lead there, as SQLMesh does."""
        listed = ", ".join(f'"{name}" {LAKES.get(kind, kind)}' for name, kind in columns)
        self.run(f"CREATE TABLE master_store.{entity}__{self.number} ({listed})")
        self.run(f"CREATE OR REPLACE VIEW master.{entity} AS SELECT * FROM master_store.{entity}__{self.number}")

    def put(self, key: int, tenant: int = 1, **values: Any) -> None:
        """Write a job as the models would, a second later than the one before."""
        self.clock += timedelta(seconds=1)
        usual: dict[str, Any] = {
            "name": f"job {key}",
            "total": "1.5",
            "share": 0.1,
            "active": True,
            "custom_fields": "[]",
        }
        row = usual | values | {"tenant_id": tenant, "st_id": key, "modeled_at": self.clock}
        self.take(key, tenant)
        found = tuple(row.get(name) for name, _ in self.jobs)
        self.rows[tenant, key] = found
        self.run(f"INSERT INTO master_store.jobs__{self.number} VALUES ({', '.join('?' * len(found))})", found)

    def take(self, key: int, tenant: int = 1) -> None:
        """Take a job away, as nothing but a repair would."""
        self.rows.pop((tenant, key), None)
        self.run(f"DELETE FROM master_store.jobs__{self.number} WHERE tenant_id = ? AND st_id = ?", (tenant, key))

    def rebuild(self, columns: tuple[tuple[str, str], ...] | None = None) -> None:
        """Have the models built anew, maybe with other columns: another table, with the same moments in it."""
        self.jobs, self.number = columns or self.jobs, self.number + 1
        self.make("jobs", self.jobs)
        known = ", ".join(f'"{name}"' for name, _ in self.jobs if name in dict(COLUMNS))
        self.run(
            f"INSERT INTO master_store.jobs__{self.number} ({known}) SELECT {known} FROM master_store.jobs__{self.number - 1}"
        )

    def define(self, wanted: Iterable[str], _: Any) -> Definitions:
        """What these models are in PostgreSQL."""
        index = 'CREATE INDEX ON "lazi_serving"."_" USING BTREE("tenant_id", "name")'
        jobs, zones = Table("master.jobs", self.jobs, KEY, (index,)), Table("master.zones", ZONES, KEY)
        more = ", name" if self.shows_names else ""
        view = View("crm.contacts", f"SELECT tenant_id, st_id AS contact_id{more} FROM {jobs.place} WHERE st_id > 0")
        chosen = {*wanted}
        return Definitions(
            tuple(one for one in (jobs, zones) if one.name in chosen), (view,) if view.name in chosen else (), {}
        )

    def publish(self, *, whole: bool = False, serving: str = SERVING) -> Published:
        """Publish what is new."""
        settings = replace(self.settings, serving=serving)
        return publish(settings, self.operations, self.mark, self.define, whole=whole)

    @property
    def mark(self) -> str:
        """Of the models' text."""
        return f"text {self.number} {self.shows_names}"

    def here(self, name: str = "master.jobs") -> list[tuple[Any, ...]]:
        """All rows of the lake, JSON as text."""
        return sorted(self.lake.fetch(f"SELECT * FROM {name}"), key=repr)

    def served(self, name: str = "master.jobs") -> list[tuple[Any, ...]]:
        """All rows of PostgreSQL in the same form."""
        columns = ", ".join(f'"{one}"::TEXT' if kind == "JSONB" else f'"{one}"' for one, kind in self.jobs)
        rows = asked(self.settings, f"SELECT {columns if name == 'master.jobs' else '*'} FROM {name}")
        return sorted(rows, key=repr)

    def close(self) -> None:
        """Let go of it."""
        self.operations.close()
        self.lake.close()


def asked(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    """What PostgreSQL returns to a consumer."""
    with closing(psycopg2.connect(settings.database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def harbour(url: str, folder: Path) -> Harbour:
    """A new one."""
    return Harbour(Settings(url, folder / "data", 3001, "warning", warehouse="ducklake"))
