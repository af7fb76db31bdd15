"""A reconciliation: each entity is counted whole, and the copy is made to agree. What `lazi reconcile` runs.

What differs lands like in a sync; what ServiceTitan no longer shows is marked as deleted, behind a proof alone. Each
entity's result stands in `system.reconciliations`.
"""

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from pipelines.names import PRIORITIES
from pipelines.sync import Silence, Stores, clients, land_readings
from sources.servicetitan.catalog import Entity
from sources.servicetitan.census import Census, Findings, why_not
from sources.servicetitan.client import Client, Patience
from sources.servicetitan.reading import Observer, Outcome
from sources.servicetitan.stopping import Stopping
from store.settings import Connection

FEED = "reconcile"  # as `system.sync_batches` calls it
AT_A_TIME = 6  # entities read in parallel in a dry run; dlt decides otherwise


@dataclass(slots=True)
class Result:
    """What became of one entity."""

    outcome: Outcome
    findings: Findings

    @property
    def status(self) -> str:
        """`completed`, `unproven`, `failed`, `unavailable` or `skipped`."""
        if self.outcome.status == "completed" and self.findings.reason:
            return "unproven"
        return self.outcome.status

    @property
    def reason(self) -> str:
        """Why it is not completed."""
        return self.outcome.error or self.findings.reason


@dataclass(slots=True)
class Reconciliation:
    """What became of all entities."""

    results: list[Result] = field(default_factory=list)
    locked_out: dict[int, str] = field(default_factory=dict)  # tenants that cannot be reached, with the reason
    models: str = "skipped"  # then unchanged, refreshed, planned or failed
    models_error: str = ""

    @property
    def failed(self) -> list[Result]:
        """Entities that could not be read or landed."""
        return [result for result in self.results if result.status == "failed"]

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not (self.failed or self.locked_out or self.models_error)


def reconcile(
    stores: Stores,
    connection: Connection,
    entities: Sequence[Entity],
    *,
    dry_run: bool = False,
    observer: Observer | None = None,
    patience: Patience | None = None,
) -> Reconciliation:
    """Count these entities of every tenant and land the differences; a dry run writes nothing.

    Raises CredentialsError or UnreachableError when no tenant at all can be reached.
    """
    report = Reconciliation()
    for client in clients(stores, connection, patience, report.locked_out):
        report.results += reconcile_tenant(stores, client, entities, dry_run=dry_run, observer=observer or Silence())
    return report


def reconcile_tenant(
    stores: Stores,
    client: Client,
    entities: Sequence[Entity],
    *,
    dry_run: bool = False,
    observer: Observer,
    stopping: Stopping | None = None,
) -> list[Result]:
    """Count these entities of one tenant, land the differences, and write down what was found."""
    results = skipped(client.tenant.tenant_id, entities)
    countable = [entity for entity in entities if not why_not(entity)]
    if dry_run:
        return results + tried(stores, client, countable, observer)
    results += counted(stores, client, countable, observer, stopping)
    for result in results:
        stores.operations.run("add_reconciliation", **written(result))
    return results


def skipped(tenant_id: int, entities: Sequence[Entity]) -> list[Result]:
    """The results of entities that cannot be counted."""
    results = [
        Result(unwritten(tenant_id, entity), Findings(reason=why)) for entity in entities if (why := why_not(entity))
    ]
    for result in results:
        result.outcome.end("skipped")
    return results


def tried(stores: Stores, client: Client, entities: Sequence[Entity], observer: Observer) -> list[Result]:
    """What counting these entities would do."""
    outcomes = [unwritten(client.tenant.tenant_id, entity) for entity in entities]
    censuses = [Census(outcome, client, stores.warehouse, observer) for outcome in outcomes]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(exhaust, censuses))
    return [Result(census.outcome, census.findings) for census in censuses]


def exhaust(census: Census) -> None:
    """Count, and let the rows go."""
    for _ in census.tables({}):
        pass


def counted(
    stores: Stores,
    client: Client,
    entities: Sequence[Entity],
    observer: Observer,
    stopping: Stopping | None = None,
) -> list[Result]:
    """Count these entities, most urgent first, and land what differs."""
    heeded = stopping or Stopping()

    def census(outcome: Outcome) -> Census:
        return Census(outcome, client, stores.warehouse, observer, stopping=heeded)

    results = []
    for priority in PRIORITIES:
        group = [entity for entity in entities if entity.priority == priority]
        if group:
            counts = land_readings(stores, client, priority, group, census, observer=observer, feed=FEED)
            results += [Result(one.outcome, one.findings) for one in counts]
    return results


def unwritten(tenant_id: int, entity: Entity) -> Outcome:
    """An outcome that has no batch in the store."""
    now = datetime.now(UTC)
    return Outcome(entity, tenant_id, f"{now:%Y%m%dT%H%M%S}-{entity.name}-{secrets.token_hex(4)}", now)


def written(result: Result) -> dict[str, object]:
    """A result as `system.reconciliations` keeps it."""
    outcome = result.outcome
    return asdict(result.findings) | {
        "reconciliation_id": outcome.sync_batch_id,
        "tenant_id": outcome.tenant_id,
        "entity": outcome.entity.name,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "status": result.status,
        "proof": result.findings.proof or None,
        "appended": outcome.tally.appended,
        "requests": outcome.meter.requests,
        "reason": result.reason or None,
    }
