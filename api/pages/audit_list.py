"""A page of the log: rows that the filters find, the newest first, and where the older ones are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api import cursor
from api.pages.audit_change import Change, change
from api.pages.audit_days import days
from api.pages.audit_filters import FILTERS, Conditions, address, conditions, read, within
from api.pages.charts import Chart
from api.pages.customer_history import users
from api.pages.selection import selected
from api.problems import ApiError
from api.query import MARKS, Shape
from api.resources import MODELS
from api.steps import Steps
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.registry import load
from store.looped import Plan, Question

PAGE = 50
MOST_NAMESAKES = 20
COLUMNS = (
    *("synced_at", "entity", "record_id", "payload_hash", "operation", "actor_type", "actor_id", "mutation_id"),
    "CAST(a.changes AS TEXT) AS changes",
)
"""The first four are the log's key, by which it is sorted."""

NAMES = tuple(column.rpartition(" ")[2] for column in COLUMNS)
ORDER = Shape(MODELS["audit"], (), descending=True)
BEHIND = """(a.synced_at, a.entity, a.record_id, a.payload_hash)
  < (CAST({mark} AS TIMESTAMPTZ), CAST({mark} AS TEXT), CAST({mark} AS TEXT), CAST({mark} AS TEXT))"""
FOUND = f"""
SELECT {", ".join(column if " " in column else f"a.{column}" for column in COLUMNS)}
FROM audit.log AS a
WHERE {{where}}
ORDER BY a.synced_at DESC, a.entity DESC, a.record_id DESC, a.payload_hash DESC
LIMIT {{{{mark}}}}
"""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows. `texts` are the filters as they were typed, `error` what is wrong with one of them."""

    texts: dict[str, str]
    changes: list[Change] = field(default_factory=list)
    onward: str = ""  # the address of older ones
    chart: Chart | None = None
    status: int = 200
    error: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """The filters alone."""
        return {name: text for name, text in self.texts.items() if name in FILTERS}

    @property
    def first(self) -> str:
        """The address of the newest under the same filters."""
        return address(self.filters)

    @property
    def fields(self) -> list[str]:
        """The names of the fields that ServiceTitan documents of the entity that was asked for."""
        entity = self.texts.get("entity", "")
        return sorted({column.path[0] for column in load()[entity] if column.path}) if entity in BY_NAME else []


def listing(dialect: str, tenant: int, texts: dict[str, str]) -> Steps[Listing]:
    """The page. A filter that is wrong is told, with the others as they were typed. Raises StoreError."""
    try:
        given = read(texts)
        ids = yield from users_called(dialect, tenant, given.get("actor", ""))
        found = conditions(dialect, tenant, given, ids)
        asked = placed(found, given)
    except ApiError as error:
        return Listing(texts, status=error.status, error=error.detail)
    query = FOUND.format(where=asked.where).format(mark=MARKS[dialect])
    rows = yield Question(query, [*asked.values, PAGE + 1], Plan.OWN)
    records = [dict(zip(NAMES, row, strict=True)) for row in rows[:PAGE]]
    names = yield from users(dialect, tenant, records)
    chart = yield from days(dialect, found, given)
    changes = [change(record, names, given.get("field", "")) for record in records]
    mark = written(records[-1]) if len(rows) > PAGE else ""
    return Listing(texts, changes, address({**texts, "after": mark}) if mark else "", chart)


def users_called(dialect: str, tenant: int, name: str) -> Steps[list[str]]:
    """The ids of ServiceTitan's users who have this name, whatever its case."""
    if not name:
        return []
    rest = "FROM master.employees AS e WHERE e.tenant_id = {mark} AND LOWER(e.name) = LOWER(CAST({mark} AS TEXT))"
    rows = yield from selected(dialect, ("CAST(e.st_id AS TEXT) AS ident",), rest, [tenant, name])
    return [row["ident"] for row in rows[:MOST_NAMESAKES]]


def placed(found: Conditions, given: Mapping[str, Any]) -> Conditions:
    """Of the rows that the filters find those of a page. Raises OtherListError."""
    if "day" in given:
        found = within(found, given["day"], given["day"])
    if "after" in given:
        _, place = cursor.read(ORDER, given["after"])
        found = found.and_("a.synced_at <= {mark}", datetime.fromisoformat(place["after_synced_at"]))
        found = found.and_(BEHIND, *(place[f"after_{name}"] for name in ORDER.sorts))
    return found


def written(record: Mapping[str, Any]) -> str:
    """The mark of the place behind a row."""
    values = {**record, "synced_at": record["synced_at"].astimezone(UTC).isoformat()}
    return cursor.written(ORDER, tuple(values[name] for name in ORDER.sorts))
