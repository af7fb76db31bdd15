"""Lists: from parameters to a page of rows, or to a stream of all of them."""

import json
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api import cursor, query, render
from api.parameters import DEFAULT_LIMIT
from api.problems import ApiError
from api.query import Behind, Query, Shape
from api.relations import Column, picked
from api.resources import Comparison, Filter, Resource
from api.steps import Steps
from store.looped import Question
from store.reader import Reader
from store.reading import Row

COUNTED = 20_000  # rows that are counted exactly on PostgreSQL; beyond, its estimate is told
KEPT_SECONDS = 30
KEPT_TOTALS = 10_000
EVERYTHING = 2**62


@dataclass(frozen=True, slots=True)
class Asked:
    """A list as it was asked for: the shape of its query, the values, and which part of it."""

    shape: Shape
    values: dict[str, Any]
    limit: int | None  # None: not given
    offset: int
    after: str

    @property
    def columns(self) -> list[Column]:
        """The columns of the answer."""
        return picked(self.shape.resource.relation, self.shape.columns)


class BothError(ApiError):
    """`offset` and `after` at once."""

    status, title = 400, "Bad request"


def asked(resource: Resource, tenant: int, given: dict[str, Any], fixed: dict[str, Any]) -> Asked:
    """What the parameters of a list mean; `fixed` are columns that the path gives a value. Raises ApiError."""
    used = tuple(
        each
        for each in resource.filters
        if each.name in given and not (each.test is Comparison.IS_LIVE and not given[each.name])
    )
    values = {"tenant": tenant} | {f"fixed_{name}": value for name, value in fixed.items()}
    values |= {each.name: bound(each, given[each.name]) for each in used}
    if "search" in given:
        values["search"] = pattern(given["search"])
    names = given.get("fields") or tuple(column.name for column in resource.relation.columns)
    keys = tuple(name for name in resource.relation.key if name not in names)
    sort = given.get("sort", "")
    shape = Shape(
        resource,
        (*keys, *names),
        used,
        tuple(fixed),
        "search" in given,
        given.get("deleted", "exclude") if resource.has_deleted else "include",
        "" if sort == resource.relation.key[0] else sort,
        given.get("order", "desc" if resource.descending else "asc") == "desc",
    )
    mark, offset = given.get("after", ""), given.get("offset", 0)
    if mark:
        cursor.read(shape, mark)  # a wrong one is told first
        if offset:
            raise BothError("`after` and `offset` cannot be used together. Leave `offset` out.", parameter="offset")
    return Asked(shape, values, given.get("limit"), offset, mark)


def narrows(each: Filter, value: Any) -> bool:
    """Whether a filter with this value leaves anything out."""
    return each.test is not Comparison.IS_LIVE or bool(value)


def bound(each: Filter, value: Any) -> Any:
    """A filter's value as its query takes it."""
    match each.test:
        case Comparison.HOLDS:
            return json.dumps([value])
        case Comparison.HOLDS_RECORD:
            return json.dumps([{"id": value}])
    return value


def pattern(text: str) -> str:
    """A piece of text as LIKE looks for it."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def run(made: Query, values: dict[str, Any]) -> Steps[list[Row]]:
    """A query's rows."""
    return (yield Question(made.sql, [values[slot] for slot in made.slots], made.plan))


@dataclass(frozen=True, slots=True)
class Page:
    """A page's rows and what is told of them."""

    rows: list[Row]
    next: str | None

    @property
    def has_more(self) -> bool:
        """Whether rows follow."""
        return self.next is not None


def page(dialect: str, wanted: Asked) -> Steps[Page]:
    """One page. Raises ApiError or StoreError."""
    limit = wanted.limit or DEFAULT_LIMIT
    shape, values = placed(wanted)
    values |= {"limit": limit + 1, "offset": wanted.offset}
    rows = yield from run(query.rows(shape, dialect), values)
    if shape.behind is Behind.VALUE and shape.descending and shape.sort and len(rows) <= limit:
        values |= {"limit": limit + 1 - len(rows), "offset": 0}
        rows += yield from run(query.rows(replace(shape, behind=Behind.NULLS), dialect), values)
    if len(rows) <= limit:
        return Page(rows, None)
    return Page(rows[:limit], cursor.written(wanted.shape, rows[limit - 1][-len(shape.sorts) :]))


def placed(wanted: Asked) -> tuple[Shape, dict[str, Any]]:
    """The shape and values of a page's query."""
    if not wanted.after:
        return wanted.shape, dict(wanted.values)
    behind, places = cursor.read(wanted.shape, wanted.after)
    return replace(wanted.shape, behind=behind), wanted.values | places


def stream(reader: Reader, wanted: Asked, form: render.Pieces) -> Generator[bytes, None, None]:
    """Every row, or as many as were asked for, in pieces. Raises ApiError or StoreError."""
    shape, values = placed(wanted)
    values |= {"limit": EVERYTHING if wanted.limit is None else wanted.limit, "offset": wanted.offset}
    shapes = [shape]
    if shape.behind is Behind.VALUE and shape.descending and shape.sort:
        shapes.append(replace(shape, behind=Behind.NULLS))
    columns, dialect = wanted.columns, reader.dialect
    for each in shapes:
        made = query.rows(each, dialect)
        for rows in reader.pieces(made.sql, [values[slot] for slot in made.slots]):
            yield form(rows, columns, dialect)
            values["limit"] -= len(rows)


class Totals:
    """How many rows lists have, counted at most every half minute."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.lock = threading.Lock()
        self.known: dict[Any, tuple[float, tuple[int, bool]]] = {}
        self.counting: set[Any] = set()

    def of(self, wanted: Asked, dialect: str) -> Steps[tuple[int, bool]]:
        """The total, and whether it is an estimate. While one request counts again, others have what was counted before."""
        shape = wanted.shape
        asked_for = (shape.resource, shape.filters, shape.search, shape.deleted, tuple(wanted.values.items()))
        with self.lock:
            found = self.known.get(asked_for)
            if found and (asked_for in self.counting or time.monotonic() - found[0] < KEPT_SECONDS):
                return found[1]
            self.counting.add(asked_for)
        try:
            counted = yield from counted_rows(shape.of_all, wanted.values, dialect)
            with self.lock:
                if len(self.known) >= KEPT_TOTALS:
                    self.known.clear()
                self.known[asked_for] = (time.monotonic(), counted)
        finally:
            with self.lock:
                self.counting.discard(asked_for)
        return counted


def counted_rows(shape: Shape, values: dict[str, Any], dialect: str) -> Steps[tuple[int, bool]]:
    """Count, or ask PostgreSQL for its estimate where there are very many."""
    if dialect != "postgres":
        [(every,)] = yield from run(query.count(shape, dialect), values)
        return int(every), False
    [(found,)] = yield from run(query.count(shape, dialect, most=True), values | {"most": COUNTED + 1})
    if found <= COUNTED:
        return int(found), False
    [(plans,)] = yield from run(query.estimate(shape), values)
    return max(int(plans[0]["Plan"]["Plan Rows"]), int(found)), True


def meta(wanted: Asked, found: Page, total: tuple[int, bool], last_sync: datetime | None) -> bytes:
    """What is told beside the rows."""
    return render.ENCODER.encode(
        {
            "total": total[0],
            "total_is_estimate": total[1],
            "limit": wanted.limit or DEFAULT_LIMIT,
            "offset": wanted.offset,
            "has_more": found.has_more,
            "next": found.next,
            "last_sync": render.instant(last_sync) if last_sync else None,
        }
    )
