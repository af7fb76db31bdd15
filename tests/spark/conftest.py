"""A sandbox, files of which Spark builds models, and DuckDB with the same raw rows: a few entities, and what hangs on them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from discovery.models import quarantine_model
from pipelines.modelling import PROJECT, evaluate_models, load_project, touched
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import select
from sources.servicetitan.reading import raw_table
from store.raw import PUSHED
from store.settings import Settings
from store.warehouse import DuckDB, SparkFiles
from tests.whole import reach

NAMES = (
    "appointments", "contacts", "customer_contacts", "customers", "estimates", "invoices", "jobs", "location_contacts",
    "locations",
)  # fmt: skip
ODD = ("unknown_fields", "wrong_types", "nul", "half_pairs", "integer_enums")
WHOLE = ("audits", "macros", "config.py", "external_models.yaml")
MODELS = ("audit/columns.sql", "audit/columns.generated.csv", "audit/log.sql", "audit/daily_summary.sql", "crm")
SMALL = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""A Java that begins quickly, and is slow at what takes long."""


@dataclass
class Pair:
    """The two warehouses and their project."""

    sandbox: Sandbox
    files: Stores
    duckdb: Stores
    project: Path
    plans: int = 0

    @property
    def warehouse(self) -> SparkFiles:
        """What is compared with DuckDB."""
        assert isinstance(self.files.warehouse, SparkFiles)
        return self.files.warehouse

    def land(self) -> None:
        """Sync what is new into the files, copy the raw rows, and bring both up to date."""
        assert land_all(self.files, reach(self.sandbox), select(NAMES)).is_good
        self.copy()
        for stores in (self.duckdb, self.files):
            self.model(stores)
        self.plans += 1

    def copy(self) -> None:
        """Raw rows of the files, as they are, to DuckDB."""
        assert isinstance(self.duckdb.warehouse, DuckDB)
        for table in map(raw_table, select(NAMES)):
            rows = self.warehouse.cursor().execute(f"SELECT {', '.join(PUSHED)} FROM raw.{table.name}").to_arrow_table()
            self.duckdb.warehouse.cursor().execute(f"DELETE FROM raw.{table.name}")
            self.duckdb.warehouse.append(table, rows.drop_columns("_dlt_load_id"))

    def model(self, stores: Stores) -> None:
        """Plan the first time; afterwards run the models of all entities, as a sync does."""
        context: Any = load_project(stores.settings, self.project)
        try:
            if not self.plans:
                context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
            else:
                evaluate_models(context.scheduler(environment="prod"), touched(context, NAMES), NAMES)
        finally:
            context.close()


def copy_project(folder: Path) -> Path:
    """The project with these entities alone."""
    for name in WHOLE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    for name in (*MODELS, *(f"master/{entity}.sql" for entity in NAMES)):
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (PROJECT / "models" / name).is_dir() else shutil.copy
        copy(PROJECT / "models" / name, path)
    (folder / "models" / "audit" / "quarantine.sql").write_text(quarantine_model(select(NAMES)))
    return folder


@pytest.fixture(scope="module")
def pair(make_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Both, with everything landed and built once."""
    folder = tmp_path_factory.mktemp("spark")
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("SERVICE_TITAN_", "LAZI_", "DATABASE_", "SPARK_")):
                patch.delenv(name)
        for name, value in SMALL.items():
            patch.setenv(name, value)
        sandbox = stack.enter_context(Sandbox(seed=9, customers=25, faults=ODD, report_interval=0))
        files = Stores.open(Settings(make_database(), folder / "files", 3001, "warning", warehouse="spark"))
        stack.callback(files.close)
        duckdb = Stores.open(Settings("", folder / "duckdb", 3001, "warning", warehouse="duckdb"))
        stack.callback(duckdb.close)
        (folder / "project").mkdir()
        made = Pair(sandbox, files, duckdb, copy_project(folder / "project"))
        made.land()
        yield made
