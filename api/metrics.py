"""`/metrics` for Prometheus: requests, how far each entity is behind, the rate budget, and the queue of mutations."""

import time
from collections.abc import Iterator

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from api import parameters
from api.handlers import Asking, failures
from api.reads import moment
from api.work import Work
from outbound.state import PENDING, State
from store.operations import Operations

TEXT = "text/plain; version=0.0.4"


class Lag(Collector):
    """What the operations store knows, asked when Prometheus asks."""

    def __init__(self, operations: Operations) -> None:
        """Of which store."""
        self.operations = operations

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Seconds since each entity's last good read, and the seconds of requests that are promised ahead."""
        now = time.time()
        lag = GaugeMetricFamily(
            "lazi_sync_lag_seconds", "Since the last read without an error", labels=("tenant", "entity")
        )
        for row in self.operations.run("last_successes"):
            read_at = moment(row["last_success"])
            if read_at:
                lag.add_metric((str(row["tenant_id"]), row["entity"]), now - read_at.timestamp())
        yield lag
        ahead = GaugeMetricFamily(
            "lazi_rate_budget_ahead_seconds",
            "Requests to ServiceTitan that are promised, in seconds",
            labels=("application", "tenant"),
        )
        for row in self.operations.run("budgets"):
            ahead.add_metric((row["application"], str(row["tenant_id"])), max(0.0, row["ahead_seconds"]))
        yield ahead


class Depth(Collector):
    """What the queue of mutations holds, asked when Prometheus asks."""

    def __init__(self, operations: Operations) -> None:
        """Of which store."""
        self.operations = operations

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Mutations by state, and the age of the oldest that waits."""
        rows = {row["state"]: row for row in self.operations.run("count_mutations", tenant_id=None)}
        depth = GaugeMetricFamily("lazi_mutations", "Changes to ServiceTitan by state", labels=("state",))
        for state in State:
            depth.add_metric((str(state),), rows[state]["mutations"] if state in rows else 0)
        yield depth
        oldest = moment(rows[PENDING]["oldest"]) if PENDING in rows else None
        age = max(0.0, time.time() - oldest.timestamp()) if oldest else 0.0
        yield GaugeMetricFamily(
            "lazi_mutations_oldest_pending_seconds", "Age of the oldest change that waits; 0 when none does", value=age
        )


def handler(registry: CollectorRegistry, work: Work) -> HTTPRouteHandler:
    """The route."""

    @get(
        "/metrics",
        opt={"scope": "admin"},
        operation_id="get_metrics",
        summary="Metrics of the whole service in Prometheus' text format; needs the scope `admin`",
        tags=["health"],
        media_type="text/plain",
        responses=failures(),
    )
    async def metrics(request: Asking) -> Response[str]:
        parameters.none(request.scope["query_string"])
        return Response((await work.do(generate_latest, registry)).decode(), media_type=TEXT)

    return metrics
