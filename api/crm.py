"""What is asked of customer relations beyond rows: sums, and to have the models brought up to date."""

import threading
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from litestar import Response, Router, get, post

from api import parameters
from api.handlers import Asking, answered, failures
from api.reads import Reads, moment
from api.render import ENCODER
from api.work import Work

KEPT_SECONDS = 30.0
CUSTOMERS = """
SELECT engagement_status, value_tier, COUNT(*), SUM(lifetime_value)
FROM crm.customer_360
WHERE tenant_id = {mark} AND NOT is_deleted
GROUP BY engagement_status, value_tier
"""
SUMMED = frozenset({"crm.customer_360", "crm.open_estimates"})
ESTIMATES = """
SELECT urgency, COUNT(*), SUM(subtotal)
FROM crm.open_estimates
WHERE tenant_id = {mark}
GROUP BY urgency
"""


class Amount(msgspec.Struct):
    """How many, and what they are worth before tax."""

    count: int
    value: Decimal


class Stats(msgspec.Struct):
    """Sums over a tenant's customers and open estimates."""

    customers: Annotated[int, msgspec.Meta(description="Customers that are not deleted")]
    by_engagement_status: dict[str, int]
    by_value_tier: dict[str, int]
    lifetime_value: Decimal
    open_estimates: Amount
    open_estimates_by_urgency: dict[str, Amount]


class StatsAnswer(msgspec.Struct):
    """The sums."""

    data: Stats


class Refresh(msgspec.Struct):
    """A request to bring the models up to date."""

    status: str
    requested_at: datetime
    last_refreshed_at: Annotated[
        datetime | None, msgspec.Meta(description="When the models were last brought up to date")
    ]


class RefreshAnswer(msgspec.Struct):
    """What became of it."""

    data: Refresh


class Sums:
    """Each tenant's sums, made at most every half minute."""

    def __init__(self, answers: Reads) -> None:
        """Nothing is summed yet."""
        self.answers, self.lock = answers, threading.Lock()
        self.known: dict[int, tuple[float, bytes]] = {}

    def of(self, tenant: int) -> bytes:
        """A tenant's sums as JSON."""
        with self.lock:
            made_at, found = self.known.get(tenant, (-KEPT_SECONDS, b""))
        if time.monotonic() - made_at >= KEPT_SECONDS:
            found = ENCODER.encode(StatsAnswer(self.stats(tenant)))
            with self.lock:
                self.known[tenant] = (time.monotonic(), found)
        return found

    def stats(self, tenant: int) -> Stats:
        """Ask the store."""
        reader = self.answers.of(SUMMED).reader
        mark = "%s" if reader.dialect == "postgres" else "?"
        customers = reader.fetch(CUSTOMERS.format(mark=mark), (tenant,))
        estimates = reader.fetch(ESTIMATES.format(mark=mark), (tenant,))
        urgency = {word: Amount(count, Decimal(value or 0)) for word, count, value in estimates}
        return Stats(
            customers=sum(row[2] for row in customers),
            by_engagement_status=summed(customers, 0),
            by_value_tier=summed(customers, 1),
            lifetime_value=sum((row[3] or Decimal() for row in customers), Decimal()),
            open_estimates=Amount(
                sum(each.count for each in urgency.values()), sum((each.value for each in urgency.values()), Decimal())
            ),
            open_estimates_by_urgency=urgency,
        )


def summed(rows: list[tuple[Any, ...]], place: int) -> dict[str, int]:
    """Counts by the word at a place."""
    found: dict[str, int] = {}
    for row in rows:
        found[row[place]] = found.get(row[place], 0) + row[2]
    return found


def request_refresh(answers: Reads, key: str) -> RefreshAnswer:
    """Write down that the models are to be brought up to date."""
    now = datetime.now(UTC)
    answers.operations.run("request_models", requested_at=now, requested_by=key)
    [row] = answers.operations.run("last_completed_models")
    return RefreshAnswer(Refresh("queued", now, moment(row["finished_at"])))


def router(answers: Reads, work: Work) -> Router:
    """The routes."""
    sums = Sums(answers)

    @get(
        "/stats",
        opt={"scope": "read"},
        operation_id="get_crm_stats",
        summary="Sums over customers and open estimates",
        responses=failures(),
    )
    async def stats(request: Asking) -> Response[StatsAnswer]:
        parameters.none(request.scope["query_string"])
        return answered(request, await work.do(sums.of, request.auth.tenant_id))  # type: ignore[return-value]

    @post(
        "/refresh",
        opt={"scope": "mutate"},
        status_code=202,
        operation_id="post_crm_refresh",
        summary="Have the crm models brought up to date at the next sync, whatever landed",
        responses=failures(),
    )
    async def refresh(request: Asking) -> RefreshAnswer:
        parameters.none(request.scope["query_string"])
        return await work.do(request_refresh, answers, request.auth.key_id)

    return Router("/api/v1/crm", route_handlers=[stats, refresh], tags=["crm"])
