"""Answers: what handlers do once the key is known, written as steps between questions to the warehouse."""

import re
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import xxhash

from api import page, query, render
from api.page import Asked, Totals
from api.parameters import LARGEST
from api.problems import BadParameterError, NoRecordError
from api.relations import Column, picked
from api.resources import Resource
from api.routes import Route
from api.steps import Asker, Steps, through
from api.work import Work
from sources.servicetitan.catalog import BY_NAME
from store.operations import Operations
from store.reader import Reader
from store.reading import NotBuiltError
from store.serving import Shown

T = TypeVar("T")

KEPT_SECONDS = 2.0
LONGEST_KEY = 300
SLASH = "\ue02f"  # what stands for a slash in a key while routes are looked for
INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
DAY = timedelta(days=1)


class Freshness:
    """When each entity of a tenant was last read, looked up at most every two seconds."""

    def __init__(self, operations: Operations) -> None:
        """Nothing is looked up yet."""
        self.operations, self.lock = operations, threading.Lock()
        self.known: dict[int, tuple[float, dict[str, dict[str, Any]]]] = {}
        self.asking: set[int] = set()

    def of_tenant(self, tenant: int) -> dict[str, dict[str, Any]]:
        """By entity. While one thread looks it up, others go on with what was known."""
        with self.lock:
            read_at, found = self.known.get(tenant, (-KEPT_SECONDS, {}))
            is_old = time.monotonic() - read_at >= KEPT_SECONDS
            if not is_old or (found and tenant in self.asking):
                return found
            self.asking.add(tenant)
        try:
            rows = self.operations.run("freshness", tenant_id=tenant, since=datetime.now(UTC) - DAY)
            found = {row["entity"]: row for row in rows}
            with self.lock:
                self.known[tenant] = (time.monotonic(), found)
        finally:
            with self.lock:
                self.asking.discard(tenant)
        return found

    def is_known(self, tenant: int) -> bool:
        """Whether it need not be looked up now."""
        read_at, _ = self.known.get(tenant, (-KEPT_SECONDS, {}))
        return time.monotonic() - read_at < KEPT_SECONDS

    def last_sync(self, tenant: int, entity: str) -> datetime | None:
        """When an entity was last read without an error; of no entity the latest of all."""
        found = self.of_tenant(tenant)
        if entity:
            return moment(found.get(entity, {}).get("last_success"))
        return max((moment(row["last_success"]) for row in found.values() if row["last_success"]), default=None)  # type: ignore[type-var]


def moment(value: Any) -> datetime | None:
    """A moment as either store gives it: SQLite knows no type of what it computes."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Serving:
    """PostgreSQL, and which names of the warehouse's are published there."""

    reader: Reader
    shown: Shown


@dataclass(slots=True)
class Reads:
    """The stores, and what is kept of them."""

    reader: Reader  # of the whole warehouse
    operations: Operations
    totals: Totals
    freshness: Freshness
    serving: Serving | None = None

    def of(self, relations: frozenset[str]) -> "Reads":
        """The same from where these are read: from PostgreSQL when all of them are published there. Raises StoreError.

        What is asked at once comes from one place: two are not as of the same moment.
        """
        if self.serving is None or not relations <= self.serving.shown.names():
            return self
        return replace(self, reader=self.serving.reader, serving=None)

    async def found(self, relations: frozenset[str], work: Work) -> "Reads":
        """The same for the event loop: looked up in a thread where it is not known."""
        if self.serving is None or self.serving.shown.is_known:
            return self.of(relations)
        return await work.do(self.of, relations)

    @property
    def of_warehouse(self) -> "Reads":
        """The same from the warehouse alone, which has the past too."""
        return replace(self, serving=None)

    async def ask(self, relations: frozenset[str], work: Work, steps: Callable[["Reads"], Steps[T]]) -> T:
        """What steps come to where these are read. Raises what they and the reader raise.

        From the warehouse too where PostgreSQL has just lost them, or has them only as an older version made them.
        """
        answers = await self.found(relations, work)
        try:
            return await Asker(answers.reader, work).ask(steps(answers))
        except NotBuiltError:
            if answers is self or self.serving is None:
                raise
            self.serving.shown.forget()
            return await Asker(self.reader, work).ask(steps(self))

    @property
    def dialect(self) -> str:
        """The warehouse's."""
        return self.reader.dialect

    def rows(self, route: Route, wanted: Asked, last_sync: datetime | None) -> Steps[bytes]:
        """A page. Raises ApiError or StoreError."""
        found = yield from page.page(self.dialect, wanted)
        if not found.rows and not wanted.offset and not wanted.after:
            yield from self.demand_owner(route, wanted.values)
        total = yield from self.totals.of(wanted, self.dialect)
        data = render.array(found.rows, wanted.columns, self.dialect)
        return b"".join((b'{"data":', data, b',"meta":', page.meta(wanted, found, total, last_sync), b"}"))

    def stream(self, route: Route, wanted: Asked, form: str) -> tuple[bytes, Generator[bytes, None, None]]:
        """The first piece of all rows, and the others. Raises ApiError or StoreError."""
        pieces = page.stream(self.reader, wanted, render.table if form == "csv" else render.lines)
        first = next(pieces, b"")
        if not first and not wanted.offset and not wanted.after:
            through(self.reader, self.demand_owner(route, wanted.values))
        return (render.heading(wanted.columns) if form == "csv" else b"") + first, pieces

    def demand_owner(self, route: Route, values: dict[str, Any]) -> Steps[None]:
        """Raise NoRecordError when a list is empty because there is no record that it could belong to."""
        if route.owner is not None:
            yield from self.demand(route.owner, values["tenant"], next(iter(fixed_of(values).values())))

    def demand(self, resource: Resource, tenant: int, key: Any) -> Steps[None]:
        """Raise NoRecordError when there is no such record."""
        name = resource.relation.key[0]
        made = query.detail(resource, (name,), (name,), self.dialect)
        if not (yield from page.run(made, {"tenant": tenant, f"fixed_{name}": key})):
            raise missing(resource, key)

    def record(
        self, route: Route, tenant: int, fixed: dict[str, Any], names: tuple[str, ...], as_of: datetime | None
    ) -> Steps[bytes]:
        """A record, now or as it was at a moment. Raises ApiError or StoreError."""
        resource = route.resource
        columns = picked(resource.relation, names)
        values = {"tenant": tenant} | {f"fixed_{name}": value for name, value in fixed.items()}
        key = next(iter(fixed.values()))
        if as_of is None:
            made = query.detail(resource, names, tuple(fixed), self.dialect)
        else:
            made = query.as_of(resource, names, self.dialect)
            values |= {"key": key, "as_of": as_of}
        rows = yield from page.run(made, values)
        if not rows:
            raise missing(resource, key, as_of)
        found = render.as_json(rows[0], columns, self.dialect)
        is_whole = as_of is None and len(names) == len(resource.relation.columns)
        for name, other in route.adds if is_whole else ():
            more = yield from self.added(other, tenant, key)
            found = found[:-1] + b',"' + name.encode() + b'":' + more + b"}"
        return b'{"data":' + found + b"}"

    def added(self, resource: Resource, tenant: int, key: Any) -> Steps[bytes]:
        """Another resource's record with the same key, or null."""
        columns = resource.relation.columns
        name = resource.relation.key[0]
        made = query.detail(resource, tuple(column.name for column in columns), (name,), self.dialect)
        rows = yield from page.run(made, {"tenant": tenant, f"fixed_{name}": key})
        return render.as_json(rows[0], columns, self.dialect) if rows else b"null"


def fixed_of(values: dict[str, Any]) -> dict[str, Any]:
    """The values that the path gave."""
    return {name: value for name, value in values.items() if name.startswith("fixed_")}


def missing(resource: Resource, key: Any, as_of: datetime | None = None) -> NoRecordError:
    """The error for a record that there is not."""
    then = f" that had landed by {as_of.isoformat()}" if as_of else ""
    return NoRecordError(f"`{resource.relation.name}` has no record `{key}` of this key's tenant{then}.")


def fixed_values(route: Route, named: dict[str, str]) -> dict[str, Any]:
    """What the path gives columns. Raises BadParameterError."""
    owner = route.owner.relation if route.owner else route.resource.relation
    found: dict[str, Any] = {}
    for name, column in route.fixed:
        kind = owner.identity if route.owner else owner.column(column)
        found[column] = key_value(name, kind, named[name])
    return found


def key_value(name: str, column: Column, text: str) -> int | str:
    """A key from the path. Raises BadParameterError."""
    text = text.replace(SLASH, "/")
    if column.is_number:
        if INTEGER.fullmatch(text) and abs(int(text)) <= LARGEST:
            return int(text)
        raise BadParameterError(name, text, "a whole number, the record's key in ServiceTitan")
    if name == "table" and text not in BY_NAME:
        raise NoRecordError(f"There is no entity `{text[:80]!r}`. `GET /api/v1/entities` lists them.")
    if "\0" not in text and len(text) <= LONGEST_KEY:
        return text
    raise BadParameterError(name, text, f"a key of at most {LONGEST_KEY} characters without NUL")


def etag(body: bytes) -> str:
    """A mark that another body does not have."""
    return f'W/"{xxhash.xxh3_128_hexdigest(body)}"'
