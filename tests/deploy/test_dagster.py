"""`deploy/dagster/definitions.py` within Dagster, on both stores, against a sandbox."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, Failure

from pipelines.modelling import PROJECT
from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from sources.servicetitan.client import Patience
from store.settings import Settings

FILE = Path(__file__).parents[2] / "deploy" / "dagster" / "definitions.py"


@pytest.fixture(scope="module")
def deployed() -> Iterator[ModuleType]:
    """The file as Dagster loads it: by its path."""
    spec = importlib.util.spec_from_file_location("deployed_to_dagster", FILE)
    assert spec
    assert spec.loader
    module = sys.modules["deployed_to_dagster"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["deployed_to_dagster"]


@pytest.fixture
def at_sandbox(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox, and an environment that names it and the store."""
    with Sandbox(seed=5, customers=12) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("LAZI_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("DATABASE_URL", settings.database_url or "")
        yield sandbox


def run(defs: Definitions, job: str, **more: Any) -> Any:
    """A job's run in this process."""
    with DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def(job).execute_in_process(instance=instance, **more)


def test_every_entity_and_every_model_is_an_asset(deployed: ModuleType):
    """Once, behind what it reads; no asset stands behind one that nobody makes."""
    graph = deployed.defs.resolve_asset_graph()
    raw = {AssetKey(["raw", entity.name]) for entity in CATALOG}
    models = {AssetKey([path.parent.name, path.stem]) for path in (PROJECT / "models").glob("*/*.sql")}
    assert set(graph.get_all_asset_keys()) == raw | models
    parents = graph.get(AssetKey(["crm", "customer_facts"])).parent_keys
    assert AssetKey(["master", "customers"]) in parents
    assert graph.get(AssetKey(["master", "jobs"])).parent_keys == {AssetKey(["raw", "jobs"])}
    assert graph.get(AssetKey(["raw", "customer_notes"])).parent_keys == {AssetKey(["raw", "customers"])}


def test_assets_are_told_behind_what_they_depend_on(deployed: ModuleType):
    """Whatever order a set of them has: Dagster refuses one that is told before what it depends on."""
    raw = [spec for priority in deployed.CRON for spec in deployed.raw_specs(priority)]
    for specs in (raw, deployed.model_specs()):
        chosen = {spec.key for spec in specs[::2]} | {spec.key for spec in specs[-5:]}
        told = deployed.in_order(specs, chosen)
        assert set(told) == chosen
        place = {key: number for number, key in enumerate(told)}
        deps = [(spec.key, dep.asset_key) for spec in specs for dep in spec.deps if {spec.key, dep.asset_key} <= chosen]
        assert deps
        assert all(place[key] > place[dep] for key, dep in deps)


def test_there_is_a_schedule_for_each_priority(deployed: ModuleType):
    """Off until somebody switches it on."""
    schedules = deployed.defs.resolve_all_job_defs() and deployed.defs.schedules
    assert {one.job_name: one.cron_schedule for one in schedules} == {
        f"priority_{priority}": cron for priority, cron in deployed.CRON.items()
    }
    assert {str(one.default_status.value) for one in schedules} == {"STOPPED"}


@pytest.mark.slow
def test_a_run_lands_and_models(deployed: ModuleType, settings: Settings, at_sandbox: Sandbox):
    """Every entity of the priority has a materialization that says what landed, and the models show it."""
    done = run(deployed.defs, "priority_1")
    assert done.success
    told = {event.asset_key: event for event in done.get_asset_materialization_events() if event.asset_key}
    urgent = [AssetKey(["raw", entity.name]) for entity in CATALOG if entity.priority == 1]
    assert {AssetKey(["crm", "customer_360"]), *urgent} <= set(told)
    landed = told[AssetKey(["raw", "customers"])].materialization.metadata["appended"].value
    assert landed == len(at_sandbox.records("customers"))
    with closing(Stores.open(settings)) as stores:
        [(shown,)] = stores.warehouse.fetch("SELECT COUNT(*) FROM master.customers")
    assert shown == landed


@pytest.mark.slow
def test_an_entity_that_fails_ends_the_run_behind_the_others(
    deployed: ModuleType, at_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    """It is named, and the next run makes up for it."""
    monkeypatch.setattr("pipelines.sync.Patience", partial(Patience, attempts=2, seconds=5.0))
    at_sandbox.switch_faults({"server_error": 1.0})
    with pytest.raises(Failure, match="appointments"):
        run(deployed.defs, "priority_1", asset_selection=[AssetKey(["raw", "appointments"])])
    at_sandbox.switch_faults(())
    assert run(deployed.defs, "priority_1", asset_selection=[AssetKey(["raw", "appointments"])]).success
