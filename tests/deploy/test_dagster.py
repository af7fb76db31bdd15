"""`deploy/dagster/definitions.py` within Dagster: what it has, when it runs, and that it loads without any settings."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dagster import (
    AllPartitionMapping,
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DagsterUnknownPartitionError,
    Definitions,
    Failure,
    RunRequest,
    SkipReason,
    build_schedule_context,
    build_sensor_context,
    materialize,
)
from dagster._core.definitions.partitions.snap import PartitionsSnap
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._utils.tags import TagConcurrencyLimitsCounter

from cli.warehouse import maintain
from pipelines.maintaining import STEPS
from pipelines.modelling import PROJECT
from pipelines.sync import Stores
from sandbox.server import Sandbox
from sources.servicetitan.catalog import CATALOG
from store.settings import Settings
from tests.deploy.in_dagster import FILE, loaded, settled

TENANTS = (2, 10, 3)


@pytest.fixture(scope="module")
def bare() -> Iterator[ModuleType]:
    """The file, where nothing is configured."""
    with loaded() as module:
        yield module


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=5, customers=12, tenants=TENANTS) as running:
        yield running


@pytest.fixture
def deployed(sandbox: Sandbox, settings: Settings, tmp_path: Path) -> Iterator[ModuleType]:
    """The file, where three tenants are configured."""
    with settled(sandbox, settings, tmp_path), loaded() as module:
        yield module


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """Dagster's own store, with the settings that the repository has for it."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(FILE.with_name("dagster.yaml"), home)
    with DagsterInstance.from_config(str(home)) as opened:
        yield opened


def run(defs: Definitions, job: str, **more: Any) -> Any:
    """A job's run in this process."""
    with DagsterInstance.ephemeral() as instance:
        return defs.resolve_job_def(job).execute_in_process(instance=instance, **more)


def tick(deployed: ModuleType, instance: DagsterInstance, priority: int = 1) -> Any:
    """What a schedule does when its time has come."""
    [schedule] = [one for one in deployed.defs.schedules if one.name == f"priority_{priority}_schedule"]
    repository = deployed.defs.get_repository_def()
    return schedule.evaluate_tick(build_schedule_context(instance=instance, repository_def=repository))


def look(deployed: ModuleType, instance: DagsterInstance) -> RunRequest | SkipReason:
    """What the sensor of the models says."""
    found = deployed.models_when_landed(build_sensor_context(instance=instance))
    assert isinstance(found, RunRequest | SkipReason)
    return found


def queued(instance: DagsterInstance, job: str, tags: dict[str, str]) -> DagsterRun:
    """A run that waits for its turn."""
    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "any")
    origin = RemoteJobOrigin(place, job)
    made = DagsterRun(job_name=job, tags=tags, status=DagsterRunStatus.QUEUED, remote_job_origin=origin)
    instance.add_run(made)
    return made


def test_every_entity_and_every_model_is_an_asset(bare: ModuleType):
    """Once, behind what it reads; no asset stands behind one that nobody makes."""
    graph = bare.defs.resolve_asset_graph()
    raw = {AssetKey(["raw", entity.name]) for entity in CATALOG}
    models = {AssetKey([path.parent.name, path.stem]) for path in (PROJECT / "models").glob("*/*.sql")}
    assert set(graph.get_all_asset_keys()) == raw | models
    parents = graph.get(AssetKey(["crm", "customer_facts"])).parent_keys
    assert AssetKey(["master", "customers"]) in parents
    assert graph.get(AssetKey(["master", "jobs"])).parent_keys == {AssetKey(["raw", "jobs"])}
    assert graph.get(AssetKey(["raw", "customer_notes"])).parent_keys == {AssetKey(["raw", "customers"])}
    Definitions.validate_loadable(bare.defs)


def test_assets_are_told_behind_what_they_depend_on(bare: ModuleType):
    """Whatever order a set of them has: Dagster refuses one that is told before what it depends on."""
    raw = [spec for priority in bare.CRON for spec in bare.raw_specs(priority)]
    for specs in (raw, bare.model_specs()):
        chosen = {spec.key for spec in specs[::2]} | {spec.key for spec in specs[-5:]}
        told = bare.in_order(specs, chosen)
        assert set(told) == chosen
        place = {key: number for number, key in enumerate(told)}
        deps = [(spec.key, dep.asset_key) for spec in specs for dep in spec.deps if {spec.key, dep.asset_key} <= chosen]
        assert deps
        assert all(place[key] > place[dep] for key, dep in deps)


def test_raw_assets_have_a_partition_for_each_tenant(deployed: ModuleType):
    """In the order of their numbers; models have none, and depend on all of them."""
    graph = deployed.defs.resolve_asset_graph()
    Definitions.validate_loadable(deployed.defs)
    shown = PartitionsSnap.from_def(deployed.TENANTS).get_partitions_definition()  # as Dagster's page gets them
    assert shown.get_partition_keys() == ["2", "3", "10"]
    for entity in CATALOG:
        assert graph.get(deployed.raw_key(entity)).partitions_def.get_partition_keys() == ["2", "3", "10"]
    for spec in deployed.model_specs():
        node = graph.get(spec.key)
        assert node.partitions_def is None
        read = {key for key in node.parent_keys if key.path[0] == "raw"}
        assert all(isinstance(node.partition_mappings[key], AllPartitionMapping) for key in read)
    assert graph.get(AssetKey(["master", "jobs"])).partition_mappings


def test_a_wrong_partition_says_which_tenants_there_are(deployed: ModuleType, tmp_path: Path):
    """A key that no tenant has, none at all, and one whose tenant was taken out of the settings since."""
    with pytest.raises(DagsterUnknownPartitionError, match="`99`.*Tenants of the settings: `2`, `3`, `10`"):
        run(deployed.defs, "priority_1", partition_key="99")
    with pytest.raises(Failure, match="choose one partition. Tenants of the settings: `2`, `3`, `10`"):
        run(deployed.defs, "priority_1")
    secrets = tmp_path / ".dlt" / "secrets.toml"
    secrets.write_text(secrets.read_text(encoding="utf-8").replace("tenant_id = 10\n", "tenant_id = 11\n"))
    with pytest.raises(Failure, match="`10` is no tenant of the settings. Tenants of the settings: `2`, `3`, `11`"):
        run(deployed.defs, "priority_1", partition_key="10")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LAZI_DATA_DIR", "data", "`SERVICE_TITAN_TENANT_ID` is not set"),
        ("SERVICE_TITAN_TENANT_ID", "many", "`SERVICE_TITAN_TENANT_ID` is `many`"),
    ],
)
def test_it_loads_without_credentials(
    name: str, value: str, said: str, instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """And with wrong ones: there is no partition, and every schedule and run says what is missing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with loaded() as deployed:
        Definitions.validate_loadable(deployed.defs)
        assert deployed.TENANTS.get_partition_keys() == []
        for priority in deployed.CRON:
            done = tick(deployed, instance, priority)
            assert (done.run_requests, said in done.skip_message) == ([], True)
        with pytest.raises(Failure, match=said):
            run(deployed.defs, "priority_1")
        with pytest.raises(DagsterUnknownPartitionError, match=said):
            run(deployed.defs, "priority_1", partition_key="1")


def test_it_loads_with_a_store_that_is_none(instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The sensor and runs say what is wrong with its address."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere")
    with loaded() as deployed:
        Definitions.validate_loadable(deployed.defs)
        found = look(deployed, instance)
        assert isinstance(found, SkipReason)
        assert "`postgresql://` is expected" in str(found.skip_message)
        with pytest.raises(Failure, match="`postgresql://` is expected"):
            run(deployed.defs, "refresh_models")


def test_there_is_a_schedule_for_each_priority(bare: ModuleType):
    """With a sensor for the models; off until somebody switches them on."""
    schedules, [models] = bare.defs.schedules, bare.defs.sensors
    assert {one.name: (one.job_name, one.cron_schedule) for one in schedules} == {
        f"priority_{priority}_schedule": (f"priority_{priority}", cron) for priority, cron in bare.CRON.items()
    }
    assert {str(one.default_status.value) for one in [*schedules, models]} == {"STOPPED"}
    assert models.job_name == "refresh_models"


def test_a_schedule_launches_a_run_for_each_tenant(deployed: ModuleType, instance: DagsterInstance):
    """With tags for limits; not for a tenant of which a run of that priority waits already."""
    requests = tick(deployed, instance, priority=3).run_requests
    assert [one.partition_key for one in requests] == ["2", "3", "10"]
    assert len({one.run_key for one in requests}) == len(requests)
    assert [(one.tags["lazi/pipeline"], one.tags["lazi/priority"]) for one in requests] == [
        (f"servicetitan_p3_{tenant}", "3") for tenant in (2, 3, 10)
    ]
    queued(instance, "priority_3", {"dagster/partition": "3"})
    queued(instance, "priority_4", {"dagster/partition": "2"})
    assert [one.partition_key for one in tick(deployed, instance, priority=3).run_requests] == ["2", "10"]
    for tenant in ("2", "10"):
        queued(instance, "priority_3", {"dagster/partition": tenant})
    done = tick(deployed, instance, priority=3)
    assert (done.run_requests, done.skip_message) == ([], "A run of each tenant waits for its turn already.")


def test_limits_keep_two_runs_of_a_tenant_and_priority_apart(deployed: ModuleType, instance: DagsterInstance):
    """And leave room for what is urgent: Dagster takes the settings, and counts the runs that schedules launch by them."""
    config = instance.get_concurrency_config().run_queue_config
    assert config
    assert instance.run_monitoring_enabled

    def waits(going: list[tuple[int, str]], priority: int, tenant: str) -> bool:
        """Whether a run waits while others go on."""
        tags = {
            (number, one.partition_key): dict(one.tags)
            for number in deployed.CRON
            for one in tick(deployed, instance, number).run_requests
        }
        runs = [DagsterRun(job_name="any", tags=tags[each]) for each in going]
        counted = TagConcurrencyLimitsCounter(config.tag_concurrency_limits, runs)
        return counted.is_blocked(DagsterRun(job_name="any", tags=tags[priority, tenant]))

    assert waits([(1, "2")], 1, "2")
    assert not waits([(1, "2")], 1, "3")
    assert not waits([(1, "2")], 2, "2")
    assert waits([(4, "2"), (4, "3")], 4, "10")
    assert not waits([(4, "2"), (4, "3"), (3, "2"), (3, "3")], 1, "10")


def test_models_run_when_something_landed(deployed: ModuleType, instance: DagsterInstance):
    """Asked for once for what landed, again when more does; not before anything did, nor while a run of them waits."""
    assert isinstance(look(deployed, instance), SkipReason)
    jobs = [AssetKey(["raw", "jobs"])]

    def key() -> str | None:
        found = look(deployed, instance)
        assert isinstance(found, RunRequest)
        return found.run_key

    assert run(deployed.defs, "priority_1", partition_key="2", asset_selection=jobs).success
    first = key()
    assert run(deployed.defs, "priority_1", partition_key="2", asset_selection=jobs).success
    assert key() == first
    assert run(deployed.defs, "priority_1", partition_key="3", asset_selection=jobs).success
    assert key() != first
    queued(instance, "refresh_models", {})
    assert isinstance(look(deployed, instance), SkipReason)


@pytest.mark.slow
def test_a_run_lands_and_another_models(
    deployed: ModuleType, settings: Settings, sandbox: Sandbox, instance: DagsterInstance
):
    """The models show what landed of every tenant, and say so by asset; then there is nothing to do."""
    for tenant in TENANTS:
        assert run(deployed.defs, "priority_1", partition_key=str(tenant)).success
    done = run(deployed.defs, "refresh_models")
    told = {event.asset_key for event in done.get_asset_materialization_events()}
    assert told == {spec.key for spec in deployed.model_specs()}
    with closing(Stores.open(settings)) as stores:
        shown = stores.warehouse.fetch("SELECT tenant_id, COUNT(*) FROM master.customers GROUP BY tenant_id")
    assert dict(shown) == {tenant: len(sandbox.records("customers", tenant)) for tenant in TENANTS}
    found = look(deployed, instance)
    assert isinstance(found, SkipReason)
    assert found.skip_message == "The models show all that landed."


def test_only_a_lake_is_looked_after(bare: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """Nightly, keeping snapshots as long as the command does; other engines have no such asset."""
    key = AssetKey(["warehouse", "maintenance"])
    assert key not in bare.defs.resolve_asset_graph().get_all_asset_keys()
    monkeypatch.setenv("LAZI_WAREHOUSE", "ducklake")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@localhost/nothing")
    with loaded() as deployed:
        Definitions.validate_loadable(deployed.defs)
        assert key in deployed.defs.resolve_asset_graph().get_all_asset_keys()
        assert "maintain_warehouse_schedule" in {one.name for one in deployed.defs.schedules}
        [keep] = [option for option in maintain.params if option.name == "keep"]
        assert keep.type.convert(keep.default, keep, None) == deployed.KEEP


@pytest.mark.slow
def test_maintenance_tells_what_it_did(
    sandbox: Sandbox, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """How many of each step, on a lake in which something landed."""
    settings = Settings(postgres_url, tmp_path / "data", 3001, "warning", warehouse="ducklake")
    monkeypatch.setenv("LAZI_WAREHOUSE", "ducklake")
    with settled(sandbox, settings, tmp_path), loaded() as deployed, DagsterInstance.ephemeral() as own:
        assert run(deployed.defs, "priority_1", partition_key="2", asset_selection=[AssetKey(["raw", "jobs"])]).success
        done = materialize([deployed.maintenance], instance=own)
        [event] = done.get_asset_materialization_events()
        assert set(event.materialization.metadata) == {step.name for step in STEPS}
