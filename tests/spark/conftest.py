"""A sandbox, files of which Spark builds models, and DuckDB with the same raw rows: the whole catalog."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from sqlmesh.utils.errors import PlanError

from pipelines.modelling import evaluate_models, load_project, touched
from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.raw import PUSHED
from store.settings import Settings
from store.warehouse import DuckDB, SparkFiles
from tests.whole import reach

NAMES = tuple(entity.name for entity in CATALOG)
ODD = ("unknown_fields", "wrong_types", "nul", "half_pairs", "integer_enums")
SMALL = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"}
"""A Java that begins quickly, and is slow at what takes long."""


@dataclass
class Pair:
    """The two warehouses and their project."""

    sandbox: Sandbox
    files: Stores
    duckdb: Stores
    plans: int = 0

    @property
    def warehouse(self) -> SparkFiles:
        """What is compared with DuckDB."""
        assert isinstance(self.files.warehouse, SparkFiles)
        return self.files.warehouse

    def land(self) -> None:
        """Sync what is new into the files, copy the raw rows, and bring both up to date."""
        assert land_all(self.files, reach(self.sandbox), CATALOG).is_good
        self.copy()
        for stores in (self.duckdb, self.files):
            self.model(stores)
        self.plans += 1

    def copy(self) -> None:
        """Raw rows of the files, as they are, to DuckDB."""
        assert isinstance(self.duckdb.warehouse, DuckDB)
        for table in map(raw_table, CATALOG):
            rows = self.warehouse.cursor().execute(f"SELECT {', '.join(PUSHED)} FROM raw.{table.name}").to_arrow_table()
            self.duckdb.warehouse.cursor().execute(f"DELETE FROM raw.{table.name}")
            self.duckdb.warehouse.append(table, rows.drop_columns("_dlt_load_id"))

    def model(self, stores: Stores) -> None:
        """Plan the first time; afterwards run the models of all entities, as a sync does."""
        context: Any = load_project(stores.settings)
        try:
            if not self.plans:
                try:
                    context.plan(no_prompts=True, auto_apply=True, skip_tests=True)
                except PlanError as error:
                    raise AssertionError("\n".join(context.console.reasons)) from error
            else:
                evaluate_models(context.scheduler(environment="prod"), touched(context, NAMES), NAMES)
        finally:
            context.close()


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
        made = Pair(sandbox, files, duckdb)
        made.land()
        yield made
