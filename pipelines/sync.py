"""A sync: land what ServiceTitan has, then bring the models up to date. What `lazi sync` and the schedule run."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from pipelines.landing import LandingError, Right, land
from pipelines.names import PRIORITIES, of_all, pipeline_of
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.client import Client, Patience
from sources.servicetitan.exceptions import CredentialsError, UnreachableError
from sources.servicetitan.reading import Observer, Outcome, Reading, raw_table
from sources.servicetitan.stopping import Stopping
from store.lock import leased
from store.operations import Operations, open_operations
from store.rate_budget import RateBudget, application_name, open_budget_store
from store.settings import Connection, Settings, Tenant
from store.warehouse import DuckDB, Postgres, open_warehouse


@dataclass(slots=True)
class Report:
    """What a sync did."""

    outcomes: list[Outcome] = field(default_factory=list)
    locked_out: dict[int, str] = field(
        default_factory=dict
    )  # tenants whose credentials or host failed, with the reason
    models: str = "skipped"  # then unchanged, refreshed, planned or failed
    models_error: str = ""

    @property
    def failed(self) -> list[Outcome]:
        """Entities that could not be read or landed."""
        return [outcome for outcome in self.outcomes if outcome.status == "failed"]

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not (self.failed or self.locked_out or self.models_error)


@dataclass(slots=True)
class Stores:
    """Everything a sync writes to, opened once."""

    settings: Settings
    warehouse: DuckDB | Postgres
    operations: Operations
    budgets: Operations

    @classmethod
    def open(cls, settings: Settings) -> "Stores":
        """Open and prepare the stores. Raises StoreError."""
        warehouse = open_warehouse(settings)
        warehouse.prepare(map(raw_table, CATALOG))
        operations = open_operations(settings)
        if settings.is_embedded:
            return cls(settings, warehouse, operations, open_budget_store(settings))
        return cls(settings, warehouse, operations, operations)  # sessions are what PostgreSQL runs out of first

    def close(self) -> None:
        """Let go of them."""
        self.operations.close()
        self.budgets.close()
        self.warehouse.close()


class Silence:
    """An observer that says nothing."""

    def begins(self, outcome: Outcome) -> None:
        """Nothing."""

    def progresses(self, outcome: Outcome) -> None:
        """Nothing."""

    def ends(self, outcome: Outcome) -> None:
        """Nothing."""

    def waits(self, reason: str) -> None:
        """Nothing."""


def client_for(connection: Connection, tenant: Tenant, budgets: Operations, patience: Patience | None = None) -> Client:
    """A tenant's client, within the budget that all processes share."""
    patience = patience or Patience()
    budget = RateBudget(
        budgets,
        application_name(tenant.app_key),
        tenant.tenant_id,
        connection.requests_per_second,
        sleep=patience.sleep,
    )
    return Client(connection, tenant, budget, patience)


def land_all(
    stores: Stores,
    connection: Connection,
    entities: Sequence[Entity],
    *,
    full: bool = False,
    observer: Observer | None = None,
    patience: Patience | None = None,
) -> Report:
    """Land these entities of every tenant, most urgent first. A tenant or an entity that fails stops no other.

    Raises CredentialsError or UnreachableError when no tenant at all can be reached.
    """
    report = Report()
    for client in clients(stores, connection, patience, report.locked_out):
        try:
            report.outcomes += land_tenant(stores, client, entities, full=full, observer=observer or Silence())
        except (CredentialsError, UnreachableError) as error:
            if len(connection.tenants) == 1:
                raise
            report.locked_out[client.tenant.tenant_id] = str(error)
    return report


def clients(
    stores: Stores, connection: Connection, patience: Patience | None, locked_out: dict[int, str]
) -> Iterator[Client]:
    """A client for each tenant that lets one in; the reason goes into `locked_out` for each that does not.

    Raises CredentialsError or UnreachableError when there is only one.
    """
    for tenant in connection.tenants:
        with closing(client_for(connection, tenant, stores.budgets, patience)) as client:
            try:
                client.authenticate()
            except (CredentialsError, UnreachableError) as error:
                if len(connection.tenants) == 1:
                    raise
                locked_out[tenant.tenant_id] = str(error)
                continue
            yield client


def land_tenant(
    stores: Stores,
    client: Client,
    entities: Sequence[Entity],
    *,
    full: bool = False,
    observer: Observer,
    stopping: Stopping | None = None,
) -> list[Outcome]:
    """Land these entities of one tenant, most urgent first. Raises what shut every request of the first ones out."""
    outcomes: list[Outcome] = []
    for priority, group in groups(entities):
        outcomes += land_group(
            stores, client, priority, group, full=full, observer=observer, stopping=stopping or Stopping()
        )
        if error := client.shut_out:
            raise error
    return outcomes


def groups(entities: Sequence[Entity]) -> Iterator[tuple[int, list[Entity]]]:
    """What is landed together, in order: the most urgent first, and what is asked for parents behind all parents."""
    for generation in sorted({entity.generation for entity in entities}):
        for priority in PRIORITIES:
            group = [e for e in entities if e.priority == priority and e.generation == generation]
            if group:
                yield priority, group


def land_group(
    stores: Stores,
    client: Client,
    priority: int,
    group: Sequence[Entity],
    *,
    full: bool,
    observer: Observer,
    stopping: Stopping,
) -> list[Outcome]:
    """Land one priority's entities of one tenant, and write down what became of each."""

    def reading(outcome: Outcome) -> Reading:
        until = partial(landed_until, stores.operations, outcome.tenant_id)
        return Reading(outcome, client, stores.warehouse, observer, full, stopping=stopping, landed_until=until)

    return [one.outcome for one in land_readings(stores, client, priority, group, reading, observer=observer)]


def landed_until(operations: Operations, tenant_id: int, entity: Entity) -> datetime:
    """Up to which moment everything has landed that a tenant's entity was asked for: now, or the beginning of an unsettled read.

    Another process may be reading it, and what mutations changed lands beside what it has yet to land; or rows wait in a working
    folder, to land with the moments at which ServiceTitan was asked. The present moment is taken first: what begins behind the
    query asks later.
    """
    now = datetime.now(UTC)
    unsettled = operations.run("oldest_unsettled", tenant_id=tenant_id, entity=entity.name)
    begun: list[datetime] = [row["started_at"] for row in unsettled]
    return min([now, *begun])


R = TypeVar("R", bound=Reading)


def land_readings(
    stores: Stores,
    client: Client,
    priority: int,
    entities: Sequence[Entity],
    reading: Callable[[Outcome], R],
    *,
    observer: Observer,
    feed: str = "",
) -> list[R]:
    """Land one priority's entities of one tenant, each as `reading` reads it, and write down what became of each."""
    pipeline, tenant = pipeline_of(client, priority), client.tenant
    with held_pipeline(stores, pipeline, tenant, observer.waits) as right:
        bury(stores, tenant, entities)
        readings = [reading(begin(stores.operations, tenant, entity, feed)) for entity in entities]
        outcomes, unfinished = [one.outcome for one in readings], list(readings)
        try:
            while unfinished:
                late = partial(note_landed, stores)
                land(pipeline, stores.settings, stores.warehouse, unfinished, right=right, late=late)
                unfinished = [one for one in unfinished if one.is_begun and not one.is_whole]
                for one in unfinished:
                    note_landed(stores, one.outcome.entity.raw_table)  # models need not wait for the last round
        except LandingError as error:
            for outcome in outcomes:
                if outcome.tally.appended or outcome.status == "running":
                    stores.operations.run("note_pending", sync_batch_id=outcome.sync_batch_id)
                    outcome.end("failed", str(error))
        for outcome in outcomes:
            if outcome.tally.appended:
                note_landed(stores, outcome.entity.raw_table)
            stores.operations.run("finish_batch", **written(outcome))
    return readings


@contextmanager
def held_pipeline(stores: Stores, pipeline: str, tenant: Tenant, waits: Callable[[str], None]) -> Iterator[Right]:
    """Hold a pipeline, and what a tenant reads by it: another process may know more tenants and call theirs otherwise.

    Its check raises LeaseLostError when another process has taken one of the two over.
    """
    work = f"{tenant.tenant_id} in {of_all(pipeline)}"
    with (
        leased(stores.settings, work, waits) as has_tenant,
        leased(stores.settings, f"pipeline {pipeline}", waits) as has_pipeline,
    ):

        def check() -> None:
            has_tenant()
            has_pipeline()

        yield Right(work, stores.operations, check)


def bury(stores: Stores, tenant: Tenant, entities: Sequence[Entity]) -> None:
    """Close the batches whose process ended before they did; what they appended is waited for by models.

    To be called by who holds the pipeline: nobody else is landing these entities.
    """
    buried = stores.operations.run_all(
        "bury_batches",
        [
            {"tenant_id": tenant.tenant_id, "entity": entity.name, "finished_at": datetime.now(UTC), "error": DIED}
            for entity in entities
        ],
    )
    for table in {entity.raw_table for entity, rows in zip(entities, buried, strict=True) if rows}:
        note_landed(stores, table)


DIED = "Its process ended before it did. The next one goes on where it stopped."


def note_landed(stores: Stores, table: str) -> None:
    """Write down that rows are in a raw table, so that its models run."""
    stores.operations.run("note_landed", entity=table.removeprefix("st_"), now=datetime.now(UTC))


def begin(operations: Operations, tenant: Tenant, entity: Entity, feed: str = "") -> Outcome:
    """Write down that an entity is about to be read, by its own feed or another way."""
    now = datetime.now(UTC)
    batch = f"{now:%Y%m%dT%H%M%S}-{entity.name}-{secrets.token_hex(4)}"
    operations.run(
        "start_batch",
        sync_batch_id=batch,
        tenant_id=tenant.tenant_id,
        entity=entity.name,
        started_at=now,
        feed=feed or str(entity.feed),
    )
    return Outcome(entity, tenant.tenant_id, batch, now)


def written(outcome: Outcome) -> dict[str, object]:
    """An outcome as `system.sync_batches` keeps it."""
    if outcome.finished_at is None:
        outcome.end("failed", "dlt stopped before this entity was read.")
    counts = {name: getattr(outcome.tally, name) for name in ("fetched", "appended", "unchanged", "repaired")}
    return {
        "sync_batch_id": outcome.sync_batch_id,
        "finished_at": datetime.now(UTC),
        "status": outcome.status,
        "error": outcome.error or None,
        **counts,
        **asdict(outcome.meter),
        "pages": outcome.coverage.pages,
        "covered_from": outcome.coverage.begin,
        "covered_to": outcome.coverage.end,
    }
