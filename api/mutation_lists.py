"""Lists of mutations: filters, pages, counts."""

import re
from typing import Any

from api.mutation_schemas import MutationCounts, MutationMeta, MutationPage, row
from api.parameters import DEFAULT_LIMIT, HIGHEST_LIMIT, LONGEST_CURSOR, Parameter
from api.problems import OtherListError
from api.reads import Freshness
from api.text import shortened
from outbound.exceptions import NotOfferedError, UnknownOperationError
from outbound.operations import ENTITIES, find
from outbound.queue import BEGINNING, LAST, Queue
from outbound.request import LONGEST_NAME
from outbound.state import State

LONGEST_ID = 100
IDENT = re.compile(r"\d{1,18}", re.ASCII)

PARAMETERS = {
    parameter.name: parameter
    for parameter in (
        Parameter("state", "word", "Only mutations in this state.", tuple(State)),
        Parameter("entity_type", "word", "Only changes of this entity.", tuple(sorted(ENTITIES))),
        Parameter(
            "operation",
            "text",
            "Only this operation. The other names of one are known together with `entity_type`.",
            highest=LONGEST_NAME,
        ),
        Parameter("entity_id", "text", "Only changes of this record.", highest=LONGEST_ID),
        Parameter("initiated_by", "text", "Only what was initiated by this name.", highest=LONGEST_NAME),
        Parameter("since", "moment", "Only what was queued at this moment or later."),
        Parameter("limit", "integer", "So many rows.", default=str(DEFAULT_LIMIT), lowest=1, highest=HIGHEST_LIMIT),
        Parameter("after", "mark", "Go on behind the page whose `meta.next` this is.", highest=LONGEST_CURSOR),
    )
}


def listed(queue: Queue, freshness: Freshness, tenant: int, given: dict[str, Any]) -> MutationPage:
    """A page, the newest first. Raises ApiError or StoreError."""
    limit = given.get("limit", DEFAULT_LIMIT)
    entity, operation = named(given)
    found = queue.some(
        tenant_id=tenant,
        behind=behind(given.get("after")),
        most=limit + 1,
        state=given.get("state"),
        entity=entity,
        operation=operation,
        record_id=given.get("entity_id"),
        initiated_by=given.get("initiated_by"),
        since=given.get("since", BEGINNING),
    )
    page, has_more = found[:limit], len(found) > limit
    meta = MutationMeta(
        total=total(queue, tenant, given),
        total_is_estimate=False,
        limit=limit,
        offset=0,
        has_more=has_more,
        next=str(page[-1].mutation_id) if has_more else None,
        last_sync=freshness.last_sync(tenant, ""),
    )
    return MutationPage([row(mutation) for mutation in page], meta)


def named(given: dict[str, Any]) -> tuple[str | None, str | None]:
    """Entity and operation under the names that the queue has; one that cannot be written is found nowhere."""
    entity, operation = given.get("entity_type"), given.get("operation")
    if entity is None or operation is None:
        return entity, operation and operation.replace("_", "-")
    try:
        found, _ = find(entity, operation)
    except (UnknownOperationError, NotOfferedError):
        return entity, operation
    return found.entity, found.name


def behind(mark: str | None) -> int:
    """The mutation behind which a page begins. Raises OtherListError."""
    if mark is None:
        return LAST
    if IDENT.fullmatch(mark):
        return int(mark)
    raise OtherListError(
        f"`after` is `{shortened(mark)}`, which is no `meta.next` of a page of mutations. Begin again without `after`.",
        parameter="after",
    )


def total(queue: Queue, tenant: int, given: dict[str, Any]) -> int | None:
    """How many there are on all pages; None where counting would cost too much."""
    if given.keys() - {"state", "limit", "after"}:
        return None
    found = queue.counts(tenant)
    return found.get(given["state"], 0) if "state" in given else sum(found.values())


def counts(queue: Queue, tenant: int) -> MutationCounts:
    """How many are in each state, also in those that have none."""
    found = queue.counts(tenant)
    return MutationCounts({state: found.get(state, 0) for state in State})
