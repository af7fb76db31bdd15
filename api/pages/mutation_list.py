"""The list of mutations as a page: filters as they stand in the address, rows, counts, and what came since."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from api.mutation_lists import PARAMETERS, listed, named
from api.mutation_schemas import MutationRow
from api.parameters import pairs
from api.problems import ApiError, UnknownParameterError
from api.reads import Freshness
from outbound.operations import ALIASES, ENTITIES, OPERATIONS
from outbound.queue import BEGINNING, Queue
from outbound.state import State

if TYPE_CHECKING:
    from datetime import datetime

PAGE = 50
PATH = "/mutations"
FILTERS = {
    name: PARAMETERS[name] for name in ("state", "entity_type", "operation", "entity_id", "initiated_by", "since")
}
KNOWN = {**FILTERS, "after": PARAMETERS["after"]}
NAMES = sorted({each.name for each in OPERATIONS} | {each.name for each in ALIASES})
ROW = re.compile(r"(\d{1,18}):([a-z]{1,20})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many mutations a tenant has in each state, and the newest of them."""

    counts: dict[str, int]
    newest: int

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows. `texts` are the filters as they were typed, `error` what is wrong with one of them."""

    texts: dict[str, str]
    standing: Standing
    rows: list[MutationRow] = field(default_factory=list)
    onward: str = ""  # the address of older ones
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
    def is_narrowed(self) -> bool:
        """Whether there are filters."""
        return bool(self.filters)

    @property
    def since(self) -> str:
        """What a form's field for a moment takes, in UTC; empty for what it does not."""
        try:
            found: datetime = FILTERS["since"].read(self.texts["since"])
        except (KeyError, ApiError):
            return ""
        return found.strftime("%Y-%m-%dT%H:%M")


def typed(query: bytes) -> dict[str, str]:
    """The parameters of an address; a field that was left empty is none. Raises ApiError."""
    found = {name: text.strip() for name, text in pairs(query).items() if text.strip()}
    if unknown := next((name for name in found if name not in KNOWN), None):
        raise UnknownParameterError(unknown, sorted(KNOWN))
    return found


def listing(queue: Queue, freshness: Freshness, tenant: int, texts: dict[str, str]) -> Listing:
    """The page. A filter that is wrong is told, with the others as they were typed. Raises StoreError."""
    standing = standing_of(queue, tenant)
    try:
        given = {name: KNOWN[name].read(text) for name, text in texts.items()}
        page = listed(queue, freshness, tenant, {**given, "limit": PAGE})
    except ApiError as error:
        return Listing(texts, standing, status=error.status, error=error.detail)
    onward = address({**texts, "after": page.meta.next}) if page.meta.next else ""
    return Listing(texts, standing, page.data, onward)


def standing_of(queue: Queue, tenant: int) -> Standing:
    """How many there are in each state, also in those that none is in."""
    rows = queue.operations.run("mutations_standing", tenant_id=tenant)
    found = {row["state"]: row["mutations"] for row in rows}
    return Standing({state: found.get(state, 0) for state in State}, max((row["newest"] for row in rows), default=0))


def newer(queue: Queue, tenant: int, texts: dict[str, str], above: int) -> int:
    """How many came since a mutation that these filters show. Raises ApiError."""
    given: dict[str, Any] = {name: FILTERS[name].read(text) for name, text in texts.items()}
    entity, operation = named(given)
    [row] = queue.operations.run(
        "newer_mutations",
        tenant_id=tenant,
        above=above,
        state=given.get("state"),
        entity=entity,
        operation=operation,
        record_id=given.get("entity_id"),
        initiated_by=given.get("initiated_by"),
        since=given.get("since", BEGINNING),
    )
    return int(row["mutations"])


def moved(queue: Queue, tenant: int, rows: list[str]) -> dict[int, State]:
    """Of rows that a page shows (`12:pending`) those whose state is another one now."""
    shown = {int(hit[1]): hit[2] for each in rows[:PAGE] if (hit := ROW.fullmatch(each))}
    values = [{"tenant_id": tenant, "mutation_id": ident} for ident in shown]
    found = queue.operations.run_all("state_of_mutation", values) if values else []
    states = {ident: State(row[0]["state"]) for ident, row in zip(shown, found, strict=True) if row}
    return {ident: state for ident, state in states.items() if state != shown[ident]}


def address(texts: dict[str, str]) -> str:
    """Where the page with these filters is."""
    return f"{PATH}?{urlencode(texts)}" if texts else PATH


ENTITY_NAMES = sorted(ENTITIES)
