"""A run of a partition within Dagster lands its tenant and no other, on both stores."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Failure, RetryPolicy, materialize

from pipelines.sync import Stores, land_all
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG, select
from sources.servicetitan.client import Patience
from store.settings import Settings, connection
from tests.deploy.in_dagster import FILE, landed, loaded, of_this_process, settled, wanted

ONE, TWO, THREE = TENANTS = 1, 2, 3
SOME = ["customers", "jobs", "appointments"]
URGENT = [entity.name for entity in CATALOG if entity.priority == 1]
NONE: Any = {}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12, tenants=TENANTS) as running:
        yield running


@pytest.fixture
def deployed(sandbox: Sandbox, settings: Settings, tmp_path: Path) -> Iterator[ModuleType]:
    """The file, where three tenants are configured."""
    with settled(sandbox, settings, tmp_path), loaded() as module:
        yield module


def run(deployed: ModuleType, tenant: int, names: list[str] | None = None) -> Any:
    """A run of a tenant's partition of priority 1, in this process."""
    chosen = [AssetKey(["raw", name]) for name in names or URGENT]
    with DagsterInstance.ephemeral() as instance:
        job = deployed.defs.resolve_job_def("priority_1")
        return job.execute_in_process(
            partition_key=str(tenant), instance=instance, asset_selection=chosen, raise_on_error=False
        )


def failure(done: Any) -> str:
    """What a run says for having failed."""
    [event] = [event for event in done.all_events if event.is_step_failure]
    return str(event.event_specific_data.error.message)


@pytest.mark.slow
def test_a_run_of_a_partition_lands_its_tenant_alone(deployed: ModuleType, sandbox: Sandbox, settings: Settings):
    """Exactly what that tenant has, told by entity with the tenant; the others land by runs of their own, exactly too."""
    for number, tenant in enumerate(TENANTS, start=1):
        done = run(deployed, tenant)
        assert done.success
        told = {event.asset_key.path[-1]: event for event in done.get_asset_materialization_events() if event.asset_key}
        assert set(told) == set(URGENT)
        assert {event.partition for event in told.values()} == {str(tenant)}
        for name, event in told.items():
            metadata = event.materialization.metadata
            assert metadata["tenant"].value == str(tenant)
            assert metadata["appended"].value == len(sandbox.records(name, tenant))
        for other in TENANTS:
            expected = wanted if other in TENANTS[:number] else lambda *_: NONE
            assert {name: landed(settings, other, name) for name in URGENT} == {
                name: expected(sandbox, other, name) for name in URGENT
            }
    assert wanted(sandbox, ONE, "customers") != wanted(sandbox, TWO, "customers")


def test_a_run_goes_on_where_a_sync_of_all_tenants_stopped(deployed: ModuleType, sandbox: Sandbox, settings: Settings):
    """And the other way round: both have the same cursors and write to the same batches."""
    entities = select(["jobs"])
    with closing(Stores.open(settings)) as stores:
        assert land_all(stores, connection(), entities).is_good
    [first, *_] = sandbox.records("jobs", TWO)
    sandbox.change("jobs", first["id"], TWO, summary="otherwise")
    done = run(deployed, TWO, ["jobs"])
    [event] = done.get_asset_materialization_events()
    assert event.materialization.metadata["appended"].value == 1
    with closing(Stores.open(settings)) as stores:
        report = land_all(stores, connection(), entities)
    assert [outcome.tally.appended for outcome in report.outcomes] == [0, 0, 0]


def test_a_tenant_that_fails_fails_its_own_run_and_no_other(sandbox: Sandbox, settings: Settings, tmp_path: Path):
    """A wrong secret is told at once, without another try, and the tenants before and behind it land exactly."""
    with settled(sandbox, settings, tmp_path, wrong=[TWO]), loaded() as deployed:
        done = {tenant: run(deployed, tenant, ["jobs"]) for tenant in TENANTS}
    assert {tenant: one.success for tenant, one in done.items()} == {ONE: True, TWO: False, THREE: True}
    assert "credentials" in failure(done[TWO])
    assert not [event for event in done[TWO].all_events if event.is_step_up_for_retry]
    for tenant in (ONE, THREE):
        assert landed(settings, tenant, "jobs") == wanted(sandbox, tenant, "jobs")
    assert landed(settings, TWO, "jobs") == NONE


def test_what_fails_is_tried_again(
    deployed: ModuleType, sandbox: Sandbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    """An entity that failed makes its run try once more, which lands it; the others are told as well."""
    monkeypatch.setattr("pipelines.sync.Patience", partial(Patience, attempts=2, seconds=5.0))
    monkeypatch.setattr(deployed, "RETRY", RetryPolicy(max_retries=1))
    really: Callable[..., Any] = deployed.land_tenant

    def until_it_clears(*given: Any, **more: Any) -> Any:
        outcomes = really(*given, **more)
        sandbox.switch_faults(())
        return outcomes

    monkeypatch.setattr(deployed, "land_tenant", until_it_clears)
    sandbox.tenant(ONE)
    sandbox.switch_faults({"server_error": 1.0})
    chosen = [AssetKey(["raw", name]) for name in SOME]
    with DagsterInstance.ephemeral() as instance:
        done = materialize(
            [deployed.landing(1)], selection=chosen, partition_key="1", instance=instance, raise_on_error=False
        )
    assert done.success
    assert len([event for event in done.all_events if event.is_step_up_for_retry]) == 1
    for name in SOME:
        assert landed(settings, ONE, name) == wanted(sandbox, ONE, name)


def test_an_entity_that_fails_is_named(deployed: ModuleType, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch):
    """With its tenant; when no try is left, the run failed."""
    monkeypatch.setattr("pipelines.sync.Patience", partial(Patience, attempts=2, seconds=5.0))
    monkeypatch.setattr(deployed, "RETRY", None)
    sandbox.switch_faults({"server_error": 1.0})
    with DagsterInstance.ephemeral() as instance, pytest.raises(Failure, match=f"{THREE} jobs: "):
        materialize([deployed.landing(1)], selection=[AssetKey(["raw", "jobs"])], partition_key="3", instance=instance)


@pytest.mark.slow
def test_two_partitions_land_at_the_same_time(sandbox: Sandbox, postgres_url: str, tmp_path: Path):
    """In two processes on PostgreSQL, begun on an empty database: both end well at the first try, and both tenants are exact."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning")
    home = tmp_path / "home"
    with settled(sandbox, settings, tmp_path):
        running = []
        for tenant in (ONE, TWO):
            (home / str(tenant)).mkdir(parents=True)
            (home / str(tenant) / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
            chosen = " or ".join(f'key:"raw/{name}"' for name in URGENT)
            command = ["asset", "materialize", "-f", str(FILE), "--select", chosen, "--partition", str(tenant)]
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dagster", *command],
                    env=of_this_process() | {"DAGSTER_HOME": str(home / str(tenant))},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        said = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(said)[-5000:]
    assert "UP_FOR_RETRY" not in "".join(said), "\n".join(said)[-5000:]
    for tenant in (ONE, TWO):
        for name in URGENT:
            assert landed(settings, tenant, name) == wanted(sandbox, tenant, name)
    assert landed(settings, THREE, "jobs") == NONE
