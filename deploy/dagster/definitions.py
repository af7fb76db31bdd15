"""ST-LAZI's pipeline and models as Dagster assets, for who has an orchestrator.

    pip install st-lazi dagster dagster-webserver
    dagster dev -f deploy/dagster/definitions.py

Settings are those of `lazi` (`DATABASE_URL`, `SERVICE_TITAN_*`, `.dlt/secrets.toml`), looked for in the folder where `dagster`
runs. An asset `raw/<entity>` is what a sync lands of an entity, with a partition for each tenant; `master/<entity>`, `crm/*` and
`audit/*` are the models, which are of all tenants. A run takes the same leases and locks as `lazi sync`, so that both may be used
on one store. Freshness by webhooks and changes to ServiceTitan need `lazi api` and `lazi outbound` beside it.

Tenants are those of the moment at which this file is loaded: who configures another one reloads the code location. Without any,
and with wrong settings, it loads too: there are no partitions then, and schedules and runs say what is missing. `dagster.yaml`
beside this file has limits that fit.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from graphlib import TopologicalSorter
from itertools import chain
from typing import Any

from dagster import (
    AllPartitionMapping,
    AssetCheckResult,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    Backoff,
    DagsterInstance,
    DagsterRunStatus,
    DagsterUnknownPartitionError,
    Definitions,
    Failure,
    MaterializeResult,
    PartitionedConfig,
    RetryPolicy,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SkipReason,
    StaticPartitionsDefinition,
    asset,
    define_asset_job,
    multi_asset,
    sensor,
)

from pipelines.maintaining import maintain
from pipelines.modelling import PROJECT, ModelError, fingerprint, is_current, is_requested, landed, refresh
from pipelines.names import pipeline_name
from pipelines.sync import Silence, Stores, client_for, land_tenant
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.exceptions import CredentialsError, UnreachableError
from store.exceptions import SettingsError, StoreError
from store.operations import Operations, operations_as_they_are
from store.settings import Connection, Engine, Settings, Tenant, connection, load

CRON = {1: "*/5 * * * *", 2: "*/15 * * * *", 3: "0 * * * *", 4: "0 */6 * * *"}
"""When each priority is read, of each tenant."""
NIGHTLY = "30 3 * * *"
"""When a lake is looked after."""
KEEP = timedelta(days=7)
"""How old the snapshots of a lake become: as with `lazi warehouse maintain`."""
LOOKS = 30
"""Seconds between two looks whether models have something to do."""
RETRY = RetryPolicy(max_retries=2, delay=60, backoff=Backoff.EXPONENTIAL)
"""What fails is tried again, but for what no time mends: wrong settings, and credentials that ServiceTitan refuses."""
PARTITION = "dagster/partition"
"""Dagster's own tag of a run of a partition."""
PIPELINE, PRIORITY = "lazi/pipeline", "lazi/priority"
"""Tags of the runs of a priority, for limits."""
READ = re.compile(r"\b(master|crm|audit|raw)\.(\w+)")
SAID = re.compile(r"--[^\n]*|/\*.*?\*/|'[^']*'", re.DOTALL)
"""What a model says of others without reading them: comments and texts."""


class Tenants(StaticPartitionsDefinition):
    """The tenants of the settings, a partition each. Where there is none, it knows why."""

    def __init__(self, keys: Collection[str], reason: str = "") -> None:
        """`reason` says why there is none."""
        super().__init__(sorted(keys, key=int))
        self.reason = reason

    @classmethod
    def configured(cls) -> "Tenants":
        """Those of the settings as they are now; none where these lack or are wrong."""
        try:
            return cls([str(tenant.tenant_id) for tenant in connection().tenants])
        except SettingsError as error:
            return cls([], str(error))

    def told(self) -> str:
        """Which there are, in a sentence."""
        keys = ", ".join(f"`{key}`" for key in self.get_partition_keys())
        return f"Tenants of the settings: {keys}." if keys else f"There is no tenant in the settings: {self.reason}"

    def validate_partition_key(self, partition_key: str, context: Any) -> None:
        """As Dagster's, and it says which tenants there are. Raises DagsterUnknownPartitionError."""
        try:
            super().validate_partition_key(partition_key, context)
        except DagsterUnknownPartitionError as error:
            raise DagsterUnknownPartitionError(f"{error} {self.told()}") from None


TENANTS = Tenants.configured()


class Told(Silence):
    """An observer that tells the run what it waits for."""

    def __init__(self, context: AssetExecutionContext) -> None:
        """Into this run's log."""
        self.context = context

    def waits(self, reason: str) -> None:
        """Somebody else is at work."""
        self.context.log.info(reason)


@contextmanager
def failing() -> Iterator[None]:
    """Make what may go wrong a Failure, which says it without a traceback."""
    try:
        yield
    except (SettingsError, CredentialsError) as error:
        raise Failure(str(error), allow_retries=False) from error
    except (StoreError, ModelError, UnreachableError) as error:
        raise Failure(str(error), allow_retries=True) from error


def raw_key(entity: Entity) -> AssetKey:
    """The asset of what landed of an entity."""
    return AssetKey(["raw", entity.name])


def raw_specs(priority: int) -> list[AssetSpec]:
    """The assets that are read together."""
    return [
        AssetSpec(
            raw_key(entity),
            deps=[AssetKey(["raw", entity.parent])] if entity.parent else [],
            group_name=entity.module.replace("-", "_"),
            description=f"Every version of {entity.module}/{entity.path or entity.export_path} that landed.",
            tags={"priority": str(priority)},
            skippable=True,
        )
        for entity in CATALOG
        if entity.priority == priority
    ]


def in_order(specs: Iterable[AssetSpec], chosen: Collection[AssetKey]) -> list[AssetKey]:
    """What was chosen, each behind what it depends on, as Dagster wants to be told of them."""
    graph = {spec.key: [dep.asset_key for dep in spec.deps] for spec in specs}
    return [key for key in TopologicalSorter(graph).static_order() if key in chosen]


def chosen_tenant(context: AssetExecutionContext, configured: Connection) -> Tenant:
    """The tenant of a run's partition. Raises Failure."""
    key = context.partition_key if context.has_partition_key else ""
    for tenant in configured.tenants:
        if str(tenant.tenant_id) == key:
            return tenant
    asked = f"`{key}` is no tenant of the settings." if key else "A run lands one tenant: choose one partition."
    raise Failure(f"{asked} {Tenants.configured().told()}", allow_retries=False)


def land(context: AssetExecutionContext) -> Iterator[MaterializeResult[None]]:
    """Land the chosen entities of a tenant; a materialization each, with what it did. Failed ones end the run, in the end."""
    entities = tuple(entity for entity in CATALOG if raw_key(entity) in context.selected_asset_keys)
    with failing():
        configured = connection()
        tenant = chosen_tenant(context, configured)
        with (
            closing(Stores.open(load())) as stores,
            closing(client_for(configured, tenant, stores.budgets)) as client,
        ):
            client.authenticate()
            outcomes = land_tenant(stores, client, entities, observer=Told(context))
    done = {raw_key(outcome.entity): outcome for outcome in outcomes if outcome.status == "completed"}
    for key in in_order(chain.from_iterable(map(raw_specs, CRON)), done):
        metadata: dict[str, str | int | float] = {
            "tenant": str(tenant.tenant_id),
            "appended": done[key].tally.appended,
            "fetched": done[key].tally.fetched,
            "requests": done[key].meter.requests,
            "seconds": done[key].seconds,
        }
        yield MaterializeResult(asset_key=key, metadata=metadata)
    failed = [f"{tenant.tenant_id} {one.entity.name}: {one.error}" for one in outcomes if one.status == "failed"]
    if failed:
        raise Failure("\n".join(failed), allow_retries=True)


def landing(priority: int) -> AssetsDefinition:
    """The operation that lands a priority's entities of a tenant."""
    return multi_asset(
        specs=raw_specs(priority),
        name=f"land_priority_{priority}",
        partitions_def=TENANTS,
        can_subset=True,
        retry_policy=RETRY,
    )(land)


def model_specs() -> list[AssetSpec]:
    """The assets of all models, from the project's files."""
    files = {(path.parent.name, path.stem): path for path in sorted((PROJECT / "models").glob("*/*.sql"))}
    names = {("raw", f"st_{entity.name}"): ("raw", entity.name) for entity in CATALOG} | {own: own for own in files}
    found = []
    for own, path in files.items():
        query = SAID.sub("", path.read_text(encoding="utf-8"))
        read = {names[place] for place in READ.findall(query) if place in names and place != own}
        deps = [dependency(AssetKey(list(place))) for place in sorted(read)]
        found.append(AssetSpec(AssetKey(list(own)), deps=deps, group_name=f"models_{own[0]}", skippable=True))
    return found


def dependency(key: AssetKey) -> AssetDep:
    """That a model reads an asset: of every tenant, where it has partitions."""
    return AssetDep(key, partition_mapping=AllPartitionMapping() if key.path[0] == "raw" else None)


@multi_asset(
    specs=model_specs(),
    name="models",
    can_subset=True,
    retry_policy=RETRY,
    check_specs=[AssetCheckSpec("audits_pass", asset=AssetKey(["crm", "customer_360"]))],
)
def models(context: AssetExecutionContext) -> Iterator[MaterializeResult[None] | AssetCheckResult]:
    """Bring the models up to date: those whose raw rows changed, and what reads them. Its audits are SQLMesh's."""
    with failing():
        settings = load()
        with closing(Stores.open(settings)) as stores:
            what = refresh(settings, stores.operations)
    for key in in_order(model_specs(), context.selected_asset_keys):
        yield MaterializeResult(asset_key=key, metadata={"models": what})
    yield AssetCheckResult(passed=True, check_name="audits_pass", asset_key=AssetKey(["crm", "customer_360"]))


MODELS = define_asset_job(
    "refresh_models", AssetSelection.assets(*[spec.key for spec in model_specs()]), tags={"lazi/models": "all"}
)


def is_queued(instance: DagsterInstance, job: str, tenant: str = "") -> bool:
    """Whether a run of a job, of a tenant's if one is named, waits for its turn already: another would find nothing new."""
    tags = {PARTITION: tenant} if tenant else {}
    return bool(instance.get_runs(RunsFilter(job_name=job, tags=tags, statuses=[DagsterRunStatus.QUEUED]), limit=1))


def waiting(settings: Settings, operations: Operations) -> str:
    """What models have to show, as a word that changes with it; empty when there is nothing."""
    mark, last, stale = fingerprint(settings), operations.run("last_model_run"), landed(operations)
    if is_current(operations, mark) or not (last or stale):
        return ""
    begun = last[0]["started_at"] if last else ""
    return f"{mark} {begun} {is_requested(operations)} {sorted(stale.items())}"


@sensor(name="models_when_landed", job=MODELS, minimum_interval_seconds=LOOKS)
def models_when_landed(context: SensorEvaluationContext) -> RunRequest | SkipReason:
    """A run of the models when something landed, by whomever, or their text changed. What failed waits until more lands."""
    try:
        settings = load()
        operations = operations_as_they_are(settings)
        if operations is None:
            return SkipReason("Nothing has landed yet.")
        with closing(operations):
            what = waiting(settings, operations) if operations.standing().number else ""
    except StoreError as error:
        return SkipReason(str(error))
    if not what:
        return SkipReason("The models show all that landed.")
    if is_queued(context.instance, MODELS.name):
        return SkipReason("A run of the models waits for its turn already.")
    return RunRequest(run_key=what)


def job_of(priority: int) -> Any:
    """The job that lands a priority of a tenant, with tags for limits."""
    tagged = PartitionedConfig(
        partitions_def=TENANTS,
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=lambda key: {PIPELINE: pipeline_name(priority, int(key)), PRIORITY: str(priority)},
    )
    raw = AssetSelection.assets(*[spec.key for spec in raw_specs(priority)])
    urgency = {"dagster/priority": str(max(CRON) - priority)}  # the higher, the sooner its turn comes
    return define_asset_job(f"priority_{priority}", raw, config=tagged, tags=urgency)


def schedule_of(priority: int) -> ScheduleDefinition:
    """A run for each tenant at the priority's pace, but for those of which one waits already."""
    job = job_of(priority)

    def launch(context: ScheduleEvaluationContext) -> Iterator[RunRequest | SkipReason]:
        tenants = TENANTS.get_partition_keys()
        free = [key for key in tenants if not is_queued(context.instance, job.name, key)]
        yield from (RunRequest(run_key=key, partition_key=key) for key in free)
        if not free:
            yield SkipReason("A run of each tenant waits for its turn already." if tenants else TENANTS.told())

    return ScheduleDefinition(job=job, cron_schedule=CRON[priority], execution_fn=launch)


@asset(key=["warehouse", "maintenance"], group_name="warehouse", retry_policy=RETRY)
def maintenance(context: AssetExecutionContext) -> MaterializeResult[None]:
    """A lake looked after, as `lazi warehouse maintain` does: small files merged, what nothing shows deleted."""
    with failing():
        steps = maintain(load(), KEEP, waits=context.log.info)
    return MaterializeResult(metadata=steps)


def is_lake() -> bool:
    """Whether the warehouse is a lake. Settings that are wrong are told by what runs."""
    try:
        return load().engine is Engine.DUCKLAKE
    except SettingsError:
        return False


def of_lake() -> Definitions:
    """What only a lake needs; the other engines look after themselves."""
    job = define_asset_job("maintain_warehouse", AssetSelection.assets(maintenance.key))
    return Definitions(assets=[maintenance], schedules=[ScheduleDefinition(job=job, cron_schedule=NIGHTLY)])


defs = Definitions.merge(
    Definitions(
        assets=[*map(landing, CRON), models],
        jobs=[MODELS],
        schedules=list(map(schedule_of, CRON)),
        sensors=[models_when_landed],
    ),
    *([of_lake()] if is_lake() else []),
)
