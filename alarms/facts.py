"""What the stores know about how things go, read at once for all checks."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import gethostname
from typing import Any

from sources.servicetitan.exceptions import StoppedError
from store.exceptions import StoreError
from store.operations import Operations, Row
from store.reading import NotBuiltError, told
from store.serving import Served, served

DAY = timedelta(days=1)
PAUSE = 1.0  # seconds without a request after which a budget is at rest
QUARANTINE = "SELECT tenant_id, COUNT(*) FROM audit.quarantine GROUP BY tenant_id"
Fetch = Callable[[str], list[tuple[Any, ...]]]


@dataclass(slots=True)
class Facts:
    """Rows of the operations store, and a few numbers; `now` is when they were read."""

    now: datetime
    reads: list[Row] = field(default_factory=list)  # by tenant and entity: last success, failures in a row
    reconciliations: list[Row] = field(default_factory=list)  # the newest of each tenant and entity
    mutations: list[Row] = field(default_factory=list)  # by tenant and state
    turns: list[Row] = field(default_factory=list)  # by tenant and duty: how the last one went
    budgets: list[Row] = field(default_factory=list)
    drift: list[Row] = field(default_factory=list)  # by tenant
    unshown_since: datetime | None = None  # since when rows wait for the models
    models_error: str = ""
    served: list[Served] = field(default_factory=list)  # what PostgreSQL serves of another warehouse
    quarantine: list[tuple[int, int]] | None = field(default_factory=list)  # None: nobody knows at present
    free_bytes: int | None = None
    host: str = ""  # whose disk that is


def read(
    operations: Operations, fetch: Fetch | None, data_dir: Path | None, tenants: Collection[int] = frozenset()
) -> Facts:
    """All of it, of these tenants, or of all. Raises StoreError when the operations store is away.

    Without `fetch` nothing is asked of the warehouse, which may belong to another process.
    """
    now = datetime.now(UTC)
    runs = operations.run("last_model_runs")

    def of_tenants(rows: list[Row]) -> list[Row]:
        return [row for row in rows if not tenants or row["tenant_id"] in tenants]

    return Facts(
        now,
        reads=of_tenants(operations.run("reads", stopped=StoppedError.__doc__)),
        reconciliations=of_tenants(operations.run("last_reconciliations")),
        mutations=operations.run("mutations_at_work", since=now - DAY),
        turns=of_tenants(operations.run("turns")),
        budgets=of_tenants(operations.run("budgets")),
        drift=of_tenants(operations.run("drift_of_tenants")),
        unshown_since=unshown(operations),
        models_error=str(runs[0]["error"] or "failed") if runs and runs[0]["status"] == "failed" else "",
        served=served(operations),
        quarantine=quarantined(fetch) if fetch else None,
        free_bytes=free(data_dir) if data_dir else None,
        host=gethostname(),
    )


def unshown(operations: Operations) -> datetime | None:
    """Since when rows wait for the models."""
    waiting = [moment(row["since"]) for row in operations.run("stale_entities") if row["since"]]
    return min(waiting, default=None)


def quarantined(fetch: Fetch) -> list[tuple[int, int]] | None:
    """How many values of each tenant could not be typed; nothing before the models are built."""
    try:
        with told():
            return [(int(tenant), int(values)) for tenant, values in fetch(QUARANTINE)]
    except NotBuiltError:
        return []
    except StoreError:
        return None


def free(folder: Path) -> int | None:
    """Free bytes where the data folder stands."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def moment(value: Any) -> datetime:
    """A moment of either store: SQLite's functions give text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def busy(budget: Row) -> float:
    """Seconds for which more requests were asked for than may go, without a pause until now."""
    return budget["busy_seconds"] if budget["ahead_seconds"] > -PAUSE else 0.0
