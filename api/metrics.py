"""`/metrics` for Prometheus: requests, how far each entity is behind, and how much of the rate budget is spoken for."""

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
            ahead.add_metric((row["application"], str(row["tenant_id"])), max(0.0, row["arrival"] - now))
        yield ahead


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
