"""Four workers on one operations store and one lake, one of them killed every twenty seconds, for many tenants.

`LAZI_WORKERS_MINUTES` and `LAZI_WORKERS_TENANTS` make it shorter and smaller.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from pipelines.maintaining import maintain
from pipelines.modelling import refresh
from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG, Entity, Feed
from store.lake import CATALOG_TABLES
from store.settings import Settings
from tests.exact import differences
from tests.postgres.server import bins, running

MINUTES = float(os.environ.get("LAZI_WORKERS_MINUTES", "10"))
TENANTS = tuple(range(1, 1 + int(os.environ.get("LAZI_WORKERS_TENANTS", "40"))))
WORKERS = 4
KILLED_EVERY = 20.0
RATE = 30  # requests a second for a tenant
TAKEN = 60  # which the sandbox takes: on a machine without a free core what was granted apart is sent together
TIMETABLE = {"LAZI_SCHEDULE": "1=6m, 2=12m, 3=12m, 4=12m", "LAZI_RECONCILE": "off", "LAZI_AT_ONCE": "3"}
SESSIONS_AT_MOST = "200"  # a worker holds up to 25
LONGEST = 3600.0  # seconds until everything is read once more behind the kills

BELOW = [entity for entity in CATALOG if entity.parent]
LASTING = [
    entity for entity in CATALOG if not entity.recent_days
]  # the others have records that are gone an hour later

FILES = f"""
SELECT path FROM {CATALOG_TABLES}.ducklake_data_file
UNION ALL SELECT path FROM {CATALOG_TABLES}.ducklake_delete_file"""
SESSIONS = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE()"
TWICE = """
SELECT COUNT(*) FROM (SELECT 1 FROM raw.{table} GROUP BY tenant_id, st_id, payload_hash HAVING COUNT(*) > 1) AS twice"""


@dataclass
class Group:
    """Workers that run, each with a data folder of its own, as hosts have."""

    folder: Path
    settings: Settings
    sandbox: Sandbox
    running: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    sessions: int = 0  # of the database, at most, as far as they were counted

    def rest(self, seconds: float) -> None:
        """Wait so long, and count the database's sessions meanwhile."""
        until = time.monotonic() + seconds
        with closing(psycopg2.connect(self.settings.database_url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            while (left := until - time.monotonic()) > 0:
                cursor.execute(SESSIONS)
                self.sessions = max(self.sessions, cursor.fetchone()[0])
                time.sleep(min(left, 0.5))

    def environment(self, number: int) -> dict[str, str]:
        own = {
            "LAZI_WAREHOUSE": "ducklake",
            "LAZI_LAKE": self.settings.lake_files,
            "LAZI_DATA_DIR": str(self.folder / f"host-{number}"),
            "DATABASE_URL": self.settings.database_url,
            "SERVICE_TITAN_RATE": str(RATE),
        }
        sandbox = self.sandbox.environment()
        del sandbox["SERVICE_TITAN_TENANT_ID"]  # the tenants stand in a file
        return {**os.environ, **sandbox, **own, **TIMETABLE}

    def start(self, number: int) -> None:
        """A worker in a process of its own."""
        place = self.folder / f"host-{number}"
        (place / ".dlt").mkdir(parents=True, exist_ok=True)
        row = (
            '[[sources.servicetitan.tenants]]\ntenant_id = {}\nclient_id = "{}"\nclient_secret = "{}"\napp_key = "{}"\n'
        )
        known = self.sandbox.client_id, self.sandbox.client_secret, self.sandbox.app_key
        (place / ".dlt" / "secrets.toml").write_text("".join(row.format(tenant, *known) for tenant in TENANTS))
        with (place / "said.log").open("ab") as log:
            self.running[number] = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "sync", "--schedule"],
                env=self.environment(number) | {"PYTHONPATH": str(Path.cwd())},
                cwd=place,
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        """At once."""
        process = self.running.pop(number)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """As a user would."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        assert {process.wait(90) for process in self.running.values()} == {0}, self.said()
        self.running.clear()

    def said(self) -> str:
        """The end of what each wrote."""
        return "\n".join(path.read_text(encoding="utf-8")[-3000:] for path in sorted(self.folder.glob("*/said.log")))


@contextmanager
def group(folder: Path, url: str) -> Iterator[Group]:
    settings = Settings(url, folder / "data", 3001, "warning", warehouse="ducklake")
    with Sandbox(seed=8, customers=2, tenants=TENANTS, rps=TAKEN, report_interval=0) as sandbox:
        made = Group(folder, settings, sandbox)
        try:
            yield made
        finally:
            for process in made.running.values():
                process.kill()


def unread(stores: Stores, since: float, entities: Sequence[Entity]) -> set[tuple[int, str]]:
    """Tenants and some entities that no run has read which began behind a moment."""
    waiting = {(tenant, entity.name) for tenant in TENANTS for entity in entities}
    for entity in entities:
        for run in stores.operations.run("batches_of_entity", entity=entity.name):
            if run["started_at"].timestamp() > since and run["status"] in {"completed", "unavailable"}:
                waiting.discard((run["tenant_id"], entity.name))
    return waiting


def change_all(sandbox: Sandbox, name: str) -> None:
    """One customer and one job of every tenant changes."""
    for tenant in TENANTS:
        for entity, column in (("customers", "name"), ("jobs", "summary")):
            key = sandbox.records(entity, tenant)[0]["id"]
            sandbox.change(entity, key, tenant, **{column: f"{name} {tenant}"})


def wait_until_read(made: Group, stores: Stores, since: float, entities: Sequence[Entity] = CATALOG) -> float:
    """Until every tenant's entities were read by a run that began behind a moment; how long that took."""
    begun = time.monotonic()
    while waiting := unread(stores, since, entities):
        assert time.monotonic() - begun < LONGEST, f"{len(waiting)}: {sorted(waiting)[:20]}\n{made.said()}"
        made.rest(2)
    return time.monotonic() - begun


@pytest.mark.slow
def test_workers_that_are_killed_leave_every_tenant_exact(tmp_path: Path):
    """Nothing is missing and nothing there twice; no tenant is asked for more than its rate; no file is left over."""
    chance = random.Random(8)  # noqa: S311  which worker, no secret
    with (
        running(bins()[0], max_connections=SESSIONS_AT_MOST) as server,
        group(tmp_path, server.make("lazi", "lazi", "word")) as made,
        closing(Stores.open(made.settings)) as stores,
    ):
        for number in range(WORKERS):
            made.start(number)
        begun, kills, changes = time.monotonic(), 0, 0
        while time.monotonic() - begun < MINUTES * 60:
            made.rest(KILLED_EVERY)
            number = chance.choice(sorted(made.running))
            made.kill(number)
            made.start(number)
            kills += 1
            if kills % 5 == 0:
                changes += 1
                change_all(made.sandbox, f"change {changes}")
        change_all(made.sandbox, "the last change")
        seconds = wait_until_read(made, stores, time.time())
        seconds += wait_until_read(
            made, stores, time.time(), BELOW
        )  # whose parents may have landed behind their last turn
        made.stop()
        print(  # noqa: T201
            f"{kills} kills, {changes + 1} changes of each tenant, read whole {seconds:.0f} s later; {made.sessions} sessions of "
            "PostgreSQL at most"
        )
        refresh(made.settings, stores.operations)
        master = in_memory(stores.warehouse)
        wrong = [(tenant, *found) for tenant in TENANTS for found in differences(made.sandbox, master, LASTING, tenant)]
        tables = [entity.raw_table for entity in CATALOG if entity.feed is not Feed.REPORT]
        twice = {table: stores.warehouse.fetch(TWICE.format(table=table))[0][0] for table in tables}
        found = {
            "wrong": wrong,
            "twice": {table: count for table, count in twice.items() if count},
            "limited": made.sandbox.stats()["limited"],
            "left over or lost": files_unlike_the_catalog(made, stores),
        }
        assert not any(found.values()), f"{found}\n{made.said()}"


def in_memory(warehouse: Any) -> Callable[[str], list[tuple]]:
    """What answers queries of keys and hashes in master as the lake would, at a hundredth of the cost of a snapshot each."""
    memory = duckdb.connect()
    memory.execute("CREATE SCHEMA master")
    for entity in CATALOG:
        columns = "tenant_id, st_id, payload_hash, is_deleted"
        found = warehouse.cursor().execute(f"SELECT {columns} FROM master.{entity.name}").to_arrow_table()  # noqa: F841  by its name
        memory.execute(f"CREATE TABLE master.{entity.name} AS SELECT * FROM found")
    return lambda query: memory.execute(query).fetchall() if " FROM master." in query else warehouse.fetch(query)


def files_unlike_the_catalog(made: Group, stores: Stores) -> set[str]:
    """What stands in the folder behind maintenance and the catalog knows nothing of, or the other way round."""
    maintain(made.settings, timedelta(), now=datetime.now(UTC) + timedelta(days=2))
    known = {Path(path).name for (path,) in stores.warehouse.fetch(FILES)}
    there = {path.name for path in Path(made.settings.lake_files).rglob("*.parquet")}
    return there ^ known
