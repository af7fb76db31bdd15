"""A customer's jobs, estimates and invoices on one line of time, the newest first, a page at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from math import ceil

from api.pages.selection import Record, selected
from api.parameters import Parameter
from api.steps import Steps

PAGE = 20
MIDNIGHT = time(tzinfo=UTC)
KINDS = ("job", "estimate", "invoice")
PARAMETERS = {
    each.name: each
    for each in (
        Parameter("kind", "word", "Only these.", KINDS),
        Parameter("page", "integer", "Which page.", lowest=1, highest=1_000_000),
        Parameter("changes", "integer", "Which page of the history.", lowest=1, highest=1_000_000),
    )
}

EVENTS = """
FROM (
  SELECT
    'job' AS kind, j.st_id, j.created_on AS happened_at, j.job_number AS number, t.name AS title, j.summary,
    j.job_status AS state, j.total AS amount, CAST(NULL AS NUMERIC(18, 6)) AS balance,
    j.completed_on AS ended_on, j.active, j.is_deleted
  FROM master.jobs AS j
  LEFT JOIN master.job_types AS t
    ON t.tenant_id = j.tenant_id AND t.st_id = j.job_type_id
  WHERE j.tenant_id = {mark} AND j.customer_id = {mark}
  UNION ALL
  SELECT
    'estimate' AS kind, e.st_id, e.created_on AS happened_at, CAST(e.st_id AS TEXT) AS number, e.name AS title, e.summary,
    e.status_name AS state, e.subtotal + COALESCE(e.tax, 0) AS amount, CAST(NULL AS NUMERIC(18, 6)) AS balance,
    e.sold_on AS ended_on, e.active, e.is_deleted
  FROM master.estimates AS e
  WHERE e.tenant_id = {mark} AND e.customer_id = {mark}
  UNION ALL
  SELECT
    'invoice' AS kind, i.st_id, COALESCE(i.invoice_date, i.created_on) AS happened_at,
    COALESCE(i.reference_number, CAST(i.st_id AS TEXT)) AS number, i.invoice_type_name AS title, i.summary,
    CAST(NULL AS TEXT) AS state, i.total AS amount, i.balance, i.paid_on AS ended_on, i.active, i.is_deleted
  FROM master.invoices AS i
  WHERE i.tenant_id = {mark} AND i.customer_id = {mark}
) AS events
WHERE kind = COALESCE({mark}, kind)
ORDER BY happened_at DESC NULLS LAST, kind, st_id DESC
LIMIT {mark} OFFSET {mark}
"""

COUNTS = """
FROM (
  SELECT 'job' AS kind FROM master.jobs WHERE tenant_id = {mark} AND customer_id = {mark}
  UNION ALL
  SELECT 'estimate' AS kind FROM master.estimates WHERE tenant_id = {mark} AND customer_id = {mark}
  UNION ALL
  SELECT 'invoice' AS kind FROM master.invoices WHERE tenant_id = {mark} AND customer_id = {mark}
) AS events
GROUP BY kind
"""
COLUMNS = (
    "kind",
    "st_id",
    "happened_at",
    "number",
    "title",
    "summary",
    "state",
    "amount",
    "balance",
    "ended_on",
    "active",
    "is_deleted",
)
COLOURS = {
    "good": {"completed", "sold", "paid", "active"},
    "bad": {"canceled", "dismissed"},
    "warn": {"hold", "unpaid", "partly paid", "dormant"},
    "": {"inactive"},
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of what happened, of one kind or of all, and how many there are of each."""

    events: list[Record]
    counts: dict[str, int]
    kind: str
    page: int

    @property
    def total(self) -> int:
        """How many on all pages."""
        return self.counts.get(self.kind, 0) if self.kind else sum(self.counts.values())

    @property
    def pages(self) -> int:
        """How many pages."""
        return max(1, ceil(self.total / PAGE))


def told(dialect: str, tenant: int, customer: int, kind: str = "", page: int = 1) -> Steps[Timeline]:
    """A page of a customer's time line."""
    own = [tenant, customer] * len(KINDS)
    rows = yield from selected(dialect, ("kind", "COUNT(*) AS events"), COUNTS, own)
    counts = {row["kind"]: row["events"] for row in rows}
    rows = yield from selected(dialect, COLUMNS, EVENTS, [*own, kind or None, PAGE, (page - 1) * PAGE])
    events = [row | {"state": state(row), "day": day(row["happened_at"])} for row in rows]
    return Timeline(events, counts, kind, page)


def day(value: datetime | None) -> str:
    """The day that a moment stands for; empty where it has a time. Days have none, and are the same in every zone."""
    if value is None or value.astimezone(UTC).timetz() != MIDNIGHT:
        return ""
    return value.astimezone(UTC).date().isoformat()


def state(event: Record) -> str:
    """The state that ServiceTitan gives a job or an estimate; of an invoice what its balance says."""
    if event["kind"] != "invoice":
        return event["state"] or ""
    return paid(event["amount"], event["balance"])


def paid(total: Decimal | None, balance: Decimal | None) -> str:
    """What an invoice's total and balance say."""
    if balance is None:
        return ""
    if balance == 0:
        return "Paid"
    if balance < 0:
        return "Credit"
    return "Unpaid" if total is None or balance >= total else "Partly paid"


def colour(word: str) -> str:
    """The class of a state's chip; the word itself says what it means."""
    return next((name for name, words in COLOURS.items() if word.casefold() in words), "info")
