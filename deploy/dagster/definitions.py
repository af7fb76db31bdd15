"""ST-LAZI's pipeline and models as Dagster assets, for who has an orchestrator.

    pip install st-lazi dagster dagster-webserver
    dagster dev -f deploy/dagster/definitions.py

Settings are those of `lazi` (`DATABASE_URL`, `SERVICE_TITAN_*`). An asset `raw/<entity>` is what a sync lands of an entity;
`master/<entity>`, `crm/*` and `audit/*` are the models. A run takes the same turns and locks as `lazi sync`, so that both may be
used on one store. Freshness by webhooks and changes to ServiceTitan need `lazi api` and `lazi outbound` beside it.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from graphlib import TopologicalSorter
from itertools import chain

from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetSelection,
    AssetSpec,
    DefaultScheduleStatus,
    Definitions,
    Failure,
    MaterializeResult,
    ScheduleDefinition,
    define_asset_job,
    multi_asset,
)

from pipelines.modelling import PROJECT, refresh
from pipelines.sync import Stores, land_all
from sources.servicetitan.catalog import CATALOG, Entity
from store.settings import connection, load

CRON = {1: "*/5 * * * *", 2: "*/15 * * * *", 3: "0 * * * *", 4: "0 */6 * * *"}
"""When each priority is read."""
READ = re.compile(r"\b(master|crm|audit|raw)\.(\w+)")
SAID = re.compile(r"--[^\n]*|/\*.*?\*/|'[^']*'", re.DOTALL)
"""What a model says of others without reading them: comments and texts."""


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


def land(context: AssetExecutionContext) -> Iterator[MaterializeResult]:
    """Land the entities that were chosen; a materialization each, with what it did. Failed ones end the run, in the end."""
    entities = tuple(entity for entity in CATALOG if raw_key(entity) in context.selected_asset_keys)
    with closing(Stores.open(load())) as stores:
        report = land_all(stores, connection(), entities)
    for key in in_order(chain.from_iterable(map(raw_specs, CRON)), context.selected_asset_keys):
        outcomes = [outcome for outcome in report.outcomes if raw_key(outcome.entity) == key]
        if outcomes and all(outcome.status == "completed" for outcome in outcomes):
            metadata = {
                "appended": sum(outcome.tally.appended for outcome in outcomes),
                "fetched": sum(outcome.tally.fetched for outcome in outcomes),
                "requests": sum(outcome.meter.requests for outcome in outcomes),
                "seconds": sum(outcome.seconds for outcome in outcomes),
            }
            yield MaterializeResult(asset_key=key, metadata=metadata)
    failed = [f"{outcome.tenant_id} {outcome.entity.name}: {outcome.error}" for outcome in report.failed]
    failed += [f"tenant {tenant}: {reason}" for tenant, reason in report.locked_out.items()]
    if failed:
        raise Failure("\n".join(failed), allow_retries=True)


def landing(priority: int):  # noqa: ANN201  Dagster's own type
    """The operation that lands a priority's entities."""
    return multi_asset(specs=raw_specs(priority), name=f"land_priority_{priority}", can_subset=True)(land)


def model_specs() -> list[AssetSpec]:
    """The assets of all models, from the project's files."""
    files = {(path.parent.name, path.stem): path for path in sorted((PROJECT / "models").glob("*/*.sql"))}
    names = {("raw", f"st_{entity.name}"): ("raw", entity.name) for entity in CATALOG} | {own: own for own in files}
    found = []
    for own, path in files.items():
        query = SAID.sub("", path.read_text(encoding="utf-8"))
        read = {names[place] for place in READ.findall(query) if place in names and place != own}
        deps = [AssetKey(list(place)) for place in sorted(read)]
        found.append(AssetSpec(AssetKey(list(own)), deps=deps, group_name=f"models_{own[0]}", skippable=True))
    return found


@multi_asset(
    specs=model_specs(),
    name="models",
    can_subset=True,
    check_specs=[AssetCheckSpec("audits_pass", asset=AssetKey(["crm", "customer_360"]))],
)
def models(context: AssetExecutionContext) -> Iterator[MaterializeResult | AssetCheckResult]:
    """Bring the models up to date: those whose raw rows changed, and what reads them. Its audits are SQLMesh's."""
    settings = load()
    with closing(Stores.open(settings)) as stores:
        what = refresh(settings, stores.operations)
    for key in in_order(model_specs(), context.selected_asset_keys):
        yield MaterializeResult(asset_key=key, metadata={"models": what})
    yield AssetCheckResult(passed=True, check_name="audits_pass", asset_key=AssetKey(["crm", "customer_360"]))


def schedules() -> list[ScheduleDefinition]:
    """Each priority's entities at its pace, and the models behind them."""
    of_models = AssetSelection.assets(*[spec.key for spec in model_specs()])
    found = []
    for priority, cron in CRON.items():
        raw = AssetSelection.assets(*[spec.key for spec in raw_specs(priority)])
        job = define_asset_job(f"priority_{priority}", raw | of_models)
        found.append(ScheduleDefinition(job=job, cron_schedule=cron, default_status=DefaultScheduleStatus.STOPPED))
    return found


defs = Definitions(assets=[*map(landing, CRON), models], schedules=schedules())
