"""What a list's query asks for: which records, in which order, and which page of them."""

from dataclasses import dataclass

from sandbox import clock
from sandbox.demands import Demand, Query
from sandbox.external import Lookup, lookup_of
from sandbox.problem import bad
from sources.servicetitan.catalog import Entity, Feed

MOST_IDS = 50
USUAL_PAGE = 50
LARGEST_PAGE = 5000
SORTS = frozenset({"id", "modifiedon", "createdon"})
TRUTH = {"true": True, "false": False}
ACTIVE: dict[str, dict[str, bool | None]] = {
    "active": {"true": True, "false": False, "any": None},
    "activeState": {"activeonly": True, "inactiveonly": False, "all": None},
    "activeOnly": {"true": True, "false": None},
}
"""Which records each of the three active filters asks for: active ones, inactive ones or, for None, both."""
CHANGING = frozenset({Feed.LIST, Feed.EXPORT, Feed.CHILD})
"""Feeds whose lists can be asked for what was modified in a time."""


@dataclass(frozen=True)
class Filter:
    """Which records are wanted, in which order. Moments are ticks; None is no bound."""

    active: bool | None = None
    ids: tuple[str, ...] | None = None
    modified: tuple[int | None, int | None] = (None, None)
    created: tuple[int | None, int | None] = (None, None)
    sort: str = "id"
    descending: bool = False
    external: Lookup | None = None


def moment(query: Query, name: str) -> int | None:
    """A moment in a query, or None; raises Problem."""
    if not query.get(name):
        return None
    try:
        return clock.parse(query[name])
    except ValueError as error:
        raise bad(name, str(error)) from error


def wanted_active(entity: Entity, demand: Demand, query: Query) -> bool | None:
    """Whether active, inactive or (None) all records are wanted; raises Problem."""
    name = entity.active.partition("=")[0]
    if name not in ACTIVE:
        return None
    value = query.get(name, "")
    if not value:
        return None if demand.shows_inactive else True
    if value.lower() not in ACTIVE[name]:
        raise bad(name, f"The value `{value}` is not one of {', '.join(ACTIVE[name])}.")
    return ACTIVE[name][value.lower()]


def wanted_ids(query: Query) -> tuple[str, ...] | None:
    """The ids in a query; raises Problem for more than fifty."""
    if not query.get("ids"):
        return None
    ids = tuple(query["ids"].replace(" ", "").split(","))
    if len(ids) > MOST_IDS:
        raise bad("ids", f"At most {MOST_IDS} ids are allowed; {len(ids)} were sent.")
    return ids


def filter_of(entity: Entity, demand: Demand, query: Query) -> Filter:
    """What a query asks for; unknown parameters count for nothing. Raises Problem."""
    sort = query.get("sort", "").strip()
    field = sort.lstrip("+-").lower()
    created = (moment(query, "createdOnOrAfter"), moment(query, "createdBefore"))
    if entity.feed is Feed.WINDOW:
        created = (moment(query, "fromUtc"), moment(query, "toUtc"))
    changed = (moment(query, "modifiedOnOrAfter"), moment(query, "modifiedBefore"))
    return Filter(
        active=wanted_active(entity, demand, query),
        ids=wanted_ids(query),
        modified=changed if entity.feed in CHANGING else (None, None),
        created=created,
        sort=field if field in SORTS else "id",
        descending=sort.startswith("-") and field in SORTS,
        external=lookup_of(entity, query),
    )


def number(query: Query, name: str, default: int, least: int) -> int:
    """A whole number in a query; raises Problem."""
    text = query.get(name) or str(default)
    try:
        value = int(text)
    except ValueError as error:
        raise bad(name, f"The value `{text}` is not valid.") from error
    if value < least:
        raise bad(name, f"The value {value} must be at least {least}.")
    return value


def page_of(entity: Entity, query: Query) -> tuple[int, int]:
    """Page and page size; a page size beyond the list's own is cut to it. Raises Problem."""
    page = max(number(query, "page", entity.first_page, 0), entity.first_page)
    return page, min(number(query, "pageSize", USUAL_PAGE, 1), LARGEST_PAGE, entity.page_size)


def includes_total(query: Query) -> bool:
    """Whether the total is wanted; raises Problem."""
    value = query.get("includeTotal", "false").lower() or "false"
    if value not in TRUTH:
        raise bad("includeTotal", f"The value `{value}` is not valid.")
    return TRUTH[value]
