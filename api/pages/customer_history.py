"""What changed of a customer, its locations and how to reach them, and who did it; and changes of ours that are on their way."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.pages.customer import KEY
from api.pages.customer_form import RECORDS, texts
from api.pages.selection import Record, document, marks, selected
from api.reads import moment
from api.steps import Steps
from outbound.queue import Mutation, Queue
from outbound.queue import read as as_mutation
from outbound.state import State

PAGE = 15
MOST_WAITING = 20
SETTLING = timedelta(minutes=1)  # in which what landed is modelled
MOVING = frozenset({State.HELD, State.PENDING, State.PROCESSING})
SUBJECT = "customers"

CHANGES = """
FROM audit.log AS a
INNER JOIN (
  SELECT 'customers' AS entity, CAST({mark} AS TEXT) AS record_id, CAST(NULL AS TEXT) AS named
  UNION ALL
  SELECT 'locations' AS entity, CAST(l.st_id AS TEXT) AS record_id, COALESCE(l.address_street, l.name) AS named
  FROM master.locations AS l
  WHERE l.tenant_id = {mark} AND l.customer_id = {mark}
  UNION ALL
  SELECT 'customer_contacts' AS entity, CAST(k.st_id AS TEXT) AS record_id, k.value AS named
  FROM master.customer_contacts AS k
  WHERE k.tenant_id = {mark} AND k.customer_id = {mark}
  UNION ALL
  SELECT 'location_contacts' AS entity, CAST(k.st_id AS TEXT) AS record_id, k.value AS named
  FROM master.locations AS l
  INNER JOIN master.location_contacts AS k
    ON k.tenant_id = l.tenant_id AND k.location_id = l.st_id
  WHERE l.tenant_id = {mark} AND l.customer_id = {mark}
) AS own
  ON own.entity = a.entity AND own.record_id = a.record_id
WHERE a.tenant_id = {mark}
ORDER BY a.synced_at DESC, a.entity, a.record_id, a.payload_hash
LIMIT {mark} OFFSET {mark}
"""
COLUMNS = (
    "a.entity",
    "a.record_id",
    "own.named",
    "a.operation",
    "CAST(a.changes AS TEXT) AS changes",
    "a.actor_type",
    "a.actor_id",
    "a.mutation_id",
    "a.synced_at",
)
KEPT_BY_SERVICETITAN = frozenset({"modifiedOn", "modifiedById", "modifiedBy"})
"""Fields that differ in every version and say no more than that."""

DID = {"insert": "first seen", "update": "changed", "delete": "deleted", "restore": "restored"}


@dataclass(frozen=True, slots=True)
class Change:
    """A version of a record, and what is new in it: by field old and new."""

    entity: str
    record_id: str
    named: str | None
    did: str
    fields: dict[str, dict[str, Any]]
    who: str
    mutation_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class History:
    """A page of changes, the newest first; by field the names of records that it names."""

    changes: list[Change]
    names: dict[str, dict[str, str]]
    page: int
    has_more: bool


def history(dialect: str, tenant: int, customer: int, page: int = 1) -> Steps[History]:
    """A page of a customer's history."""
    values = [str(customer), *[tenant, customer] * 3, tenant, PAGE + 1, (page - 1) * PAGE]
    rows = yield from selected(dialect, COLUMNS, CHANGES, values)
    names = yield from users(dialect, tenant, rows)
    changes = [read(row, names) for row in rows[:PAGE]]
    named = {}
    for field, entity in RECORDS.items():
        values = [value for change in changes for value in change.fields.get(field, {}).values()]
        named[field] = yield from called(dialect, tenant, entity, [text for value in values for text in texts(value)])
    return History(changes, named, page, len(rows) > PAGE)


def users(dialect: str, tenant: int, rows: Sequence[Record]) -> Steps[dict[str, str]]:
    """The names of ServiceTitan's users who are employees in the copy, by their ids."""
    ids = [row["actor_id"] or "" for row in rows if row["actor_type"] != "lazi"]
    return (yield from called(dialect, tenant, "employees", ids))


def called(dialect: str, tenant: int, entity: str, ids: Sequence[str]) -> Steps[dict[str, str]]:
    """The names of those records that the copy has, by their keys as text."""
    keys = sorted({int(each) for each in ids if KEY.fullmatch(each)})
    if not keys:
        return {}
    rest = f"FROM master.{entity} WHERE tenant_id = {{mark}} AND st_id IN ({marks(len(keys))})"
    found = yield from selected(dialect, ("st_id", "name"), rest, [tenant, *keys])
    return {str(row["st_id"]): row["name"] for row in found if row["name"]}


def read(row: Record, names: dict[str, str]) -> Change:
    """A row of the log."""
    fields = document(row["changes"]) or {}
    shown = {name: fields[name] for name in sorted(fields) if name not in KEPT_BY_SERVICETITAN}
    return Change(
        row["entity"],
        row["record_id"],
        row["named"],
        DID[row["operation"]],
        shown,
        who(row["actor_type"], row["actor_id"], names),
        row["mutation_id"],
        row["synced_at"],
    )


def who(kind: str, ident: str | None, names: dict[str, str]) -> str:
    """Who made a version: whoever wanted a change of ours, else ServiceTitan's user where the record names one."""
    if kind == "lazi":
        return ident or "ST-LAZI"
    if ident is None:
        return "ServiceTitan"
    return f"{names[ident]} in ServiceTitan" if ident in names else f"ServiceTitan user {ident}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Changes of ours that the page does not show yet, and whether they go on by themselves."""

    mutations: list[Mutation]
    is_moving: bool


def waiting(queue: Queue, tenant: int, customer: int, modeled_at: datetime | None) -> Waiting:
    """What was queued for a customer and is not over, or is not in the copy's tables that the page reads."""
    own = {"tenant_id": tenant, "entity": SUBJECT, "record_id": str(customer)}
    some = map(as_mutation, queue.operations.run("mutations_of_record", **own, most=MOST_WAITING))
    found = [each for each in some if is_open(each) or is_settling(each, modeled_at)]
    return Waiting(found, any(each.state in MOVING or is_settling(each, modeled_at) for each in found))


def is_open(mutation: Mutation) -> bool:
    """Whether a change waits for its turn or for a person."""
    return mutation.state not in {State.COMPLETED, State.CANCELLED}


def is_settling(mutation: Mutation, modeled_at: datetime | None) -> bool:
    """Whether a change is done, and the copy is about to show it."""
    if mutation.state is not State.COMPLETED or mutation.finished_at is None:
        return False
    if datetime.now(UTC) - mutation.finished_at > SETTLING:
        return False
    landed_at = moment(mutation.landed_at)
    return landed_at is None or modeled_at is None or modeled_at < landed_at
