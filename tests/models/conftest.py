"""A small copy of the SQLMesh project on an empty warehouse of each kind, and raw rows to feed it."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from discovery.models import quarantine_model
from pipelines.modelling import PROJECT, evaluate_models, load_project
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.reading import raw_table
from store.settings import Settings
from store.warehouse import open_warehouse
from tests.inserting import insert

LONGEST = max(CATALOG, key=lambda entity: len(entity.name)).name
NAMES = {"appointments", "customer_contacts", "customers", "estimates", "invoices", "jobs", LONGEST}
ENTITIES = {entity.name: entity for entity in CATALOG if entity.name in NAMES}
WHOLE = ("audits", "macros", "config.py", "external_models.yaml")
ALONE = ("audit/columns.sql", "audit/columns.generated.csv", "audit/log.sql", "crm/customer_facts.sql")
NOW = datetime.now(UTC).replace(microsecond=0)


class Models:
    """The project and its warehouse."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.warehouse = settings, open_warehouse(settings)
        self.warehouse.prepare(map(raw_table, ENTITIES.values()))
        self.folder, self.refreshes = folder, 0
        copy_project(folder)

    def land(
        self, entity: str, st_id: int, *, days_ago: float = 0, batch: str = "sync", deleted: bool = False, **fields: Any
    ) -> None:
        """Append a version of a record that was modified so many days ago; the later call landed later."""
        modified = NOW - timedelta(days=days_ago)
        payload = json.dumps({"id": st_id, "modifiedOn": f"{modified:%Y-%m-%dT%H:%M:%SZ}", **fields})
        digest = hashlib.md5(payload.encode(), usedforsecurity=False).hexdigest()
        row = [1, st_id, payload, modified, digest, deleted, 0, batch, datetime.now(UTC), "load", None]
        mark = "?" if self.warehouse.dialect == "duckdb" else "%s"
        values = ", ".join([mark] * len(row))
        assert insert(self.warehouse, f"INSERT INTO raw.st_{entity} VALUES ({values})", row) == 1

    def refresh(self) -> None:
        """Plan the first time, afterwards run what is due ten minutes later than the time before."""
        context: Any = load_project(self.settings, self.folder)
        try:
            if not self.refreshes:
                context.plan(auto_apply=True, no_prompts=True)
            else:
                end = datetime.now(UTC) + timedelta(minutes=10 * self.refreshes)
                assert not context.run(end=end, ignore_cron=True, skip_janitor=True).is_failure
        finally:
            context.close()
        self.refreshes += 1

    def write_log(self, *landed: str) -> None:
        """Bring the log up to date where these entities alone are said to have new rows."""
        context: Any = load_project(self.settings, self.folder)
        try:
            log = context.get_model("audit.log", raise_if_missing=True).fqn
            evaluate_models(context.scheduler(environment="prod"), [log], landed)
        finally:
            context.close()

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.warehouse.fetch(query)


def copy_project(folder: Path) -> None:
    """The project with a few entities and the models to be tested."""
    for name in WHOLE:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy
        copy(PROJECT / name, folder / name)
    for name in (*ALONE, *(f"master/{entity}.sql" for entity in ENTITIES)):
        path = folder / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / "models" / name, path)
    (folder / "models" / "audit" / "quarantine.sql").write_text(quarantine_model(ENTITIES.values()))


@pytest.fixture
def models(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Models]:
    """The project on an empty warehouse."""
    monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
    if settings.database_url:
        monkeypatch.setenv("DATABASE_URL", settings.database_url)
    folder = tmp_path / "project"
    folder.mkdir()
    made = Models(settings, folder)
    yield made
    made.warehouse.close()
