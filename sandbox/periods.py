"""What is answered for dates: records that follow from these, and no two times differently."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from sandbox import clock
from sandbox.business import YEARS, Business
from sandbox.chance import mix
from sandbox.demands import check, demand_of
from sandbox.filters import moment
from sandbox.problem import bad
from sandbox.row import Row
from sandbox.stories import story_of
from sandbox.writing import writer
from sources.servicetitan.catalog import Entity, Feed, Window
from sources.servicetitan.window import slices

SLOTS: dict[str, int] = {"capacity": clock.DAY}
"""Entities that have records for each part of the time, and its length; others have sums for the whole."""
DATES = ("{from}", "{to}")
LONGEST = 14 * clock.DAY
"""The longest time that a body may ask for."""
TRUTH = "skillBasedAvailability"
Period = tuple[int, int]
"""Begin and end, in ticks."""


def is_made_for_dates(entity: Entity) -> bool:
    """Whether records follow from the dates asked for; else dates are a filter on records that exist."""
    return entity.feed is Feed.WINDOW and bool(entity.key)


def names(entity: Entity) -> tuple[str, ...]:
    """The parameters that bound the time."""
    return tuple(name for name, value in parse_qsl(entity.params) if value in DATES)


def period(entity: Entity, query: Mapping[str, str]) -> Period:
    """The time asked for. Raises Problem."""
    begin, end = (moment(dict(query), name) for name in names(entity))
    if begin is None or end is None or end <= begin:
        raise bad(names(entity)[1], "The end must lie behind the beginning.")
    return begin, end


def asked(entity: Entity, body: bytes) -> dict[str, str]:
    """The dates in a request's body. Raises Problem for a wrong type, a missing field or too long a time."""
    try:
        sent = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise bad("args", "The body is not a JSON object.") from error
    if not isinstance(sent.get(TRUTH), bool):
        raise bad(TRUTH, f"The {TRUTH} field is required and must be a boolean.")
    dates = {name: value for name, value in sent.items() if isinstance(value, str)}
    check(demand_of(entity, entity.path), dates)
    begin, end = period(entity, dates)
    if end - begin > LONGEST:
        raise bad("endsOnOrBefore", "The time must not be longer than 14 days.")
    return dates


def periods(window: Window, now: int) -> Iterator[Period]:
    """All times that a complete read asks for."""
    for begin, end in slices(window, None, clock.moment(now)):
        yield clock.ticks(begin), clock.ticks(end)


def is_quiet(business: Business, span: Period) -> bool:
    """Whether nothing happened yet, or could have."""
    return span[1] <= business.horizon - YEARS or span[0] > business.horizon + clock.DAY


def records(business: Business, entity: Entity, span: Period, positions: range) -> list[dict[str, Any]]:
    """The records of a time; sums of nothing are zeros where the record alone is the answer."""
    if entity.name in SLOTS:
        begins = range(-(-span[0] // SLOTS[entity.name]) * SLOTS[entity.name], span[1], SLOTS[entity.name])
        return [made(business, entity, (begin, begin), place) for begin in begins for place in positions]
    if not is_quiet(business, span):
        return [made(business, entity, span, place) for place in positions]
    return [] if entity.records else [nothing(made(business, entity, span, place)) for place in positions]


def made(business: Business, entity: Entity, span: Period, position: int) -> dict[str, Any]:
    """One record of a time."""
    begin, end = span
    number = mix(business.number(entity.name, position) ^ mix(begin) ^ end)
    near = story_of(entity.name).near(business, entity.name, position)
    return writer(entity.name, "list")(
        Row(business, entity.name, position, number, begin, begin, active=True, near=near)
    )


def nothing(value: Any) -> Any:
    """A record with zeros for its numbers."""
    if isinstance(value, dict):
        return {name: nothing(part) for name, part in value.items()}
    return type(value)() if isinstance(value, int | float) else value
