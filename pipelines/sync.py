"""A sync: land what ServiceTitan has, then bring the models up to date. What `lazi sync` and the schedule run."""

import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipelines.landing import LandingError, land
from pipelines.names import PRIORITIES
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.client import Client, Patience
from sources.servicetitan.exceptions import CredentialsError, UnreachableError
from sources.servicetitan.reading import Observer, Outcome, Reading, raw_table
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
        return cls(settings, warehouse, open_operations(settings), open_budget_store(settings))

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


def client_for(connection: Connection, tenant: Tenant, stores: Stores, patience: Patience | None = None) -> Client:
    """A tenant's client, within the budget that all processes share."""
    budget = RateBudget(
        stores.budgets, application_name(tenant.app_key), tenant.tenant_id, connection.requests_per_second
    )
    return Client(connection, tenant, budget, patience or Patience())


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
    for tenant in connection.tenants:
        with closing(client_for(connection, tenant, stores, patience)) as client:
            try:
                client.authenticate()
            except (CredentialsError, UnreachableError) as error:
                if len(connection.tenants) == 1:
                    raise
                report.locked_out[tenant.tenant_id] = str(error)
                continue
            for priority in PRIORITIES:
                group = [entity for entity in entities if entity.priority == priority]
                report.outcomes += land_group(
                    stores, client, priority, group, full=full, observer=observer or Silence()
                )
    return report


def land_group(
    stores: Stores, client: Client, priority: int, group: Sequence[Entity], *, full: bool, observer: Observer
) -> list[Outcome]:
    """Land one priority's entities of one tenant, and write down what became of each."""
    if not group:
        return []
    outcomes = [begin(stores.operations, client.tenant, entity) for entity in group]
    readings = [Reading(outcome, client, stores.warehouse, observer, full) for outcome in outcomes]
    try:
        land(priority, stores.settings, stores.warehouse, readings)
    except LandingError as error:
        for outcome in outcomes:
            if outcome.tally.appended or outcome.status == "running":
                outcome.end("failed", str(error))
    for outcome in outcomes:
        stores.operations.run("finish_batch", **written(outcome))
    return outcomes


def begin(operations: Operations, tenant: Tenant, entity: Entity) -> Outcome:
    """Write down that an entity is about to be read."""
    now = datetime.now(UTC)
    batch = f"{now:%Y%m%dT%H%M%S}-{entity.name}-{secrets.token_hex(4)}"
    operations.run(
        "start_batch",
        sync_batch_id=batch,
        tenant_id=tenant.tenant_id,
        entity=entity.name,
        started_at=now,
        feed=str(entity.feed),
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
    }
