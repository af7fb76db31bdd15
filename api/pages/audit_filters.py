"""What the audit page is asked for: filters as they stand in the address, and the conditions that they become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

import msgspec

from api import parameters
from api.pages.customer_history import DID
from api.pages.selection import marks
from api.parameters import LONGEST_CURSOR, Parameter
from api.problems import BadParameterError, UnknownParameterError
from api.resources import LONGEST_TEXT
from sources.servicetitan.catalog import BY_NAME

PATH = "/audit"
ACTORS = {"lazi": "through ST-LAZI", "servicetitan": "in ServiceTitan"}
FILTERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("entity", "word", "Only records of this entity.", tuple(sorted(BY_NAME))),
        Parameter("record", "text", "Only this record.", highest=LONGEST_TEXT),
        Parameter("field", "text", "Only changes of this field of ServiceTitan's.", highest=LONGEST_TEXT),
        Parameter("operation", "word", "Only what was done so.", tuple(DID)),
        Parameter("actor_type", "word", "Only what was done there.", tuple(ACTORS)),
        Parameter("actor", "text", "Only what was done by this name or ServiceTitan user.", highest=LONGEST_TEXT),
        Parameter("day", "date", "Only what landed on this day in UTC."),
    )
}
KNOWN = {**FILTERS, "after": Parameter("after", "mark", "Go on behind this place.", highest=LONGEST_CURSOR)}

HOLDS = {
    "postgres": "a.changed_fields @> CAST({mark} AS JSONB)",
    "duckdb": "json_contains(a.changed_fields, CAST({mark} AS JSON))",
}
"""Whether a field is among those that changed."""

PLAIN = {
    "entity": "a.entity = CAST({mark} AS TEXT)",
    "record": "a.record_id = CAST({mark} AS TEXT)",
    "operation": "a.operation = CAST({mark} AS TEXT)",
    "actor_type": "a.actor_type = CAST({mark} AS TEXT)",
}
SINCE, BEFORE = "a.synced_at >= {mark}", "a.synced_at < {mark}"
DAY = timedelta(days=1)
EARLIEST, LATEST = date(2000, 1, 1), date(2999, 12, 31)  # no calendar ends near them


@dataclass(frozen=True, slots=True)
class Conditions:
    """What rows of the log must be, and the values in it, in order."""

    texts: tuple[str, ...]
    values: tuple[Any, ...]

    def and_(self, text: str, *values: Any) -> "Conditions":
        """One more."""
        return Conditions((*self.texts, text), (*self.values, *values))

    @property
    def where(self) -> str:
        """All of them."""
        return " AND ".join(self.texts)


def typed(query: bytes) -> dict[str, str]:
    """The filters of an address as they were typed; one that was left empty is none. Raises ApiError."""
    found = {name: text.strip() for name, text in parameters.pairs(query).items() if text.strip()}
    if unknown := next((name for name in found if name not in KNOWN), None):
        raise UnknownParameterError(unknown, sorted(KNOWN))
    return found


def read(texts: Mapping[str, str]) -> dict[str, Any]:
    """The values of filters. Raises ApiError."""
    entity = texts.get("entity")
    if entity and entity not in BY_NAME:  # there are too many to name them all
        near = ", ".join(f"`{name}`" for name in get_close_matches(entity, BY_NAME, 3))
        raise BadParameterError("entity", entity, f"one of the list: perhaps {near}" if near else "one of the list")
    given = {name: KNOWN[name].read(text) for name, text in texts.items()}
    if "day" in given and not EARLIEST <= given["day"] <= LATEST:
        raise BadParameterError("day", texts["day"], f"a day from `{EARLIEST}` to `{LATEST}`")
    return given


def conditions(dialect: str, tenant: int, given: Mapping[str, Any], users: Sequence[str]) -> Conditions:
    """What the filters ask of rows, the day apart; `users` are the ids of ServiceTitan's who have the name of `actor`."""
    found = Conditions(("a.tenant_id = {mark}",), (tenant,))
    for name, text in PLAIN.items():
        if name in given:
            found = found.and_(text, given[name])
    if "field" in given:
        found = found.and_(HOLDS[dialect], msgspec.json.encode([top(given["field"])]).decode())
    if "actor" in given:
        found = found.and_(f"a.actor_id IN ({marks(1 + len(users))})", given["actor"], *users)
    return found


def top(field: str) -> str:
    """The field of the record in which a part stands: `address.street` is in `address`."""
    return field.partition(".")[0]


def within(found: Conditions, first: date, last: date) -> Conditions:
    """Only what landed on these days, in UTC."""
    return found.and_(SINCE, midnight(first)).and_(BEFORE, midnight(last) + DAY)


def midnight(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), UTC)


def address(texts: Mapping[str, str]) -> str:
    """Where the page with these filters is."""
    return f"{PATH}?{urlencode(texts)}" if texts else PATH
