"""One tenant: its business, and the tables, lists and exports that are opened when they are first asked for."""

import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec

from sandbox import clock
from sandbox.business import MIRRORS, Business
from sandbox.cache import Cache
from sandbox.clock import SECOND, Clock
from sandbox.demands import Query, check, demand_of
from sandbox.details import OWN
from sandbox.export import Export
from sandbox.family import EVERY, Family, is_child
from sandbox.faults.board import Board
from sandbox.filters import filter_of, includes_total, page_of
from sandbox.frames import Told, frame_of
from sandbox.listing import Listing, enveloped, left, numeric, position_of
from sandbox.periods import asked, is_made_for_dates, period, periods, records
from sandbox.problem import bad
from sandbox.report_runs import ReportRuns
from sandbox.routes import Route
from sandbox.sizes import PER_PARENT
from sandbox.table import Face, Table
from sandbox.templates import Values
from sandbox.writes.desk import Desk
from sandbox.writes.write import Write
from sandbox.writing import open_table, shows_active
from sources.servicetitan.catalog import BY_NAME, Entity, Feed

PAGES = 64 * 1024 * 1024
"""So many bytes of answers are kept for a tenant."""


SETS_OF_VALUES = "dynamic_value_sets"


def main_feed(entity: Entity) -> str:
    """The feed by which an entity is read: `export` or `list`."""
    return "export" if entity.feed is Feed.EXPORT else "list"


class Tenant:
    """One tenant's data and answers. It is not for two threads at once."""

    def __init__(
        self,
        business: Business,
        clock_: Clock,
        faults: Board,
        *,
        export_page_size: int,
        export_lag: float,
        report_interval: float,
        report_queries: bool,
        written: list[Write],
    ) -> None:
        """`export_lag` is the age in seconds that a change must have before a plain export shows it.

        `written` takes every write.
        """
        self.business, self.clock, self.faults = business, clock_, faults
        self.family = Family(self, clock_.now)
        self.desk = Desk(self, written)
        self.reports = ReportRuns(self, time.monotonic, report_interval, has_queries=report_queries)
        self.export_page_size, self.export_lag = export_page_size, int(export_lag * 10_000_000)
        self.tables: dict[str, Table] = {}
        self.listings: dict[Face, Listing] = {}
        self.exports: dict[str, Export] = {}
        self.pages: Cache[bytes] = Cache(PAGES)

    def table(self, name: str) -> Table:
        """The records of an entity."""
        root = MIRRORS.get(name, name)
        if root not in self.tables:
            self.tables[root] = open_table(self.business, root, self.faults)
        return self.tables[root]

    def listing(self, name: str) -> Listing:
        """The lists of an entity."""
        face = (name, "list")
        if face not in self.listings:
            hides = not shows_active(*face)
            self.listings[face] = Listing(self.table(name), face, self.pages, hides=hides)
        return self.listings[face]

    def export(self, name: str) -> Export:
        """The export of an entity."""
        if name not in self.exports:
            self.exports[name] = Export(self.table(name), (name, "export"), self.export_page_size)
        return self.exports[name]

    def answer(self, route: Route, values: Values, query: Query) -> bytes:
        """The JSON of an answer to a GET. Raises Problem."""
        if route.is_export:
            return self.answer_export(route.entity, query)
        entity = route.wanted(query)
        check(demand_of(entity, route.path), query)
        if entity.name == SETS_OF_VALUES:
            return self.answer_set(entity, next(iter(values.values())), query)
        if is_made_for_dates(entity):
            return self.answer_dates(entity, values, query)
        if is_child(entity) and not entity.is_batched:
            return self.answer_children(entity, route.path, values, query)
        return self.answer_list(entity, route.path, query)

    def answer_list(self, entity: Entity, path: str, query: Query) -> bytes:
        """The JSON of a list's page, or of all of it where it knows no pages. Raises Problem."""
        filter_, listing = filter_of(entity, demand_of(entity, path), query), self.listing(entity.name)
        if frame := frame_of(entity, path):
            return frame(listing.records(filter_, None), self.told())
        page = (*page_of(entity, query), includes_total(query))
        return listing.answer(filter_, page, entity.first_page, self.of_ids(entity, filter_.ids))

    def of_ids(self, entity: Entity, ids: tuple[str, ...] | None) -> list[int] | None:
        """The positions of the records that belong to the parents whose ids are asked for."""
        if not entity.is_batched or ids is None:
            return None
        table, shown = self.table(entity.parent), not shows_active(entity.parent, "list")
        found = (position_of(table, numeric(key)) for key in ids)
        parents = [parent for parent in found if parent >= 0 and table.is_shown(parent, hides=shown)]
        return self.family.children(entity, parents)

    def answer_children(self, entity: Entity, path: str, values: Values, query: Query) -> bytes:
        """The JSON of what belongs to one parent. Raises Problem."""
        parent = self.family.parent(entity, values or query)
        positions = self.table(entity.name).children(parent)
        filter_, listing = filter_of(entity, demand_of(entity, path), query), self.listing(entity.name)
        if frame := frame_of(entity, path):
            return frame(listing.records(filter_, positions), self.told())
        page = (*page_of(entity, query), includes_total(query))
        return listing.children(filter_, page, entity.first_page, positions)

    def answer_dates(self, entity: Entity, values: Values, query: Query) -> bytes:
        """The JSON of what follows from dates. Raises Problem."""
        parent = self.family.parent(entity, values) if values else None
        positions = range(self.business.sizes[entity.name]) if parent is None else range(parent, parent + 1)
        found = [msgspec.json.encode(one) for one in records(self.business, entity, period(entity, query), positions)]
        if frame := frame_of(entity, entity.path):
            return frame(found, self.told())
        page, size = page_of(entity, query)
        start = (page - entity.first_page) * size
        return enveloped(
            found[start : start + size], (page, size, includes_total(query)), len(found), entity.first_page
        )

    def answer_body(self, entity: Entity, query: Query, body: bytes) -> bytes:
        """The JSON of an answer to a POST with the dates in its body. Raises Problem."""
        if query:
            raise bad(next(iter(query)), "No query parameters are allowed.")
        return self.answer_dates(entity, {}, asked(entity, body))

    def answer_set(self, entity: Entity, name: str, query: Query) -> bytes:
        """The JSON of a page of values. Raises Problem."""
        page, size = page_of(entity, query)
        return msgspec.json.encode(self.reports.set_page(name, page, size, with_total=includes_total(query)))

    def answer_export(self, entity: Entity, query: Query) -> bytes:
        """The JSON of an export's page. Raises Problem."""
        wants_recent = query.get("includeRecentChanges", "").lower() == "true"
        given, export = query.get("from", ""), self.export(entity.name)
        if "lagging_exports" in self.faults.active:
            lag = int(self.faults.amount_of("lagging_exports") * SECOND)
            return export.answer(given, self.clock.now() - lag, shows_recent=wants_recent)
        until = None if wants_recent or not self.export_lag else self.clock.now() - self.export_lag
        return export.answer(given, until)

    def forget(self) -> None:
        """Forget what was written, because faults were switched."""
        for table in self.tables.values():
            table.forget()

    def told(self) -> Told:
        """What some answers tell of themselves."""
        return Told(self.business.tenant, clock.stamp(self.clock.now()))

    def records(self, entity: Entity) -> list[dict[str, Any]]:
        """What a complete read of the entity's main feed gives."""
        if entity.feed is Feed.REPORT:
            return self.reports.configured()
        if entity.name == SETS_OF_VALUES:
            return self.reports.values(entity.page_size)
        if is_made_for_dates(entity):
            return [
                record
                for span in periods(entity.window, self.clock.now())
                for record in records(self.business, entity, span, range(self.business.sizes[entity.name]))
            ]
        table, face = self.table(entity.name), (entity.name, main_feed(entity))
        return [table.served(face, position) for position in self.kept(entity)]

    def texts(self, entity: Entity) -> list[bytes]:
        """What a complete read of the entity's main feed gives, as it stands in the answers."""
        if entity.feed is Feed.REPORT or entity.name == SETS_OF_VALUES or is_made_for_dates(entity):
            return [msgspec.json.encode(record) for record in self.records(entity)]
        return self.table(entity.name).render((entity.name, main_feed(entity)), self.kept(entity))

    def kept(self, entity: Entity) -> list[int]:
        """The positions of a complete read, without what was taken away."""
        purged = self.table(entity.name).purged
        return [position for position in self.positions(entity) if position not in purged]

    def positions(self, entity: Entity) -> Sequence[int]:
        """The positions of the records of a complete read."""
        if entity.feed is Feed.EXPORT:
            return range(self.table(entity.name).size)
        if not is_child(entity):
            return self.listing(entity.name).select(EVERY)
        listing = self.listing(entity.name)
        return left(listing.table, EVERY, self.family.whole(entity), hides=listing.hides)

    def record(self, entity: Entity, position: int) -> dict[str, Any]:
        """One record as the entity's main feed shows it."""
        return self.table(entity.name).served((entity.name, main_feed(entity)), position)

    def add(self, entity: Entity, under: object, fields: dict[str, Any]) -> int:
        """Make a record, of a parent where it has one, and return its position. Raises LookupError."""
        table, now = self.table(entity.name), self.clock.now()
        if is_child(entity):
            name, share = PER_PARENT[entity.name]
            parent = share.parent(table.size) % self.table(name).size
            if under is not None:
                parent = self.position(entity_named(name), under)
            table.adopt(table.size, parent)
        position = table.add(now, fields)
        self.desk.birth.complete(entity, position)
        return position

    def position(self, entity: Entity, key: object) -> int:
        """The position that a position, an id or the values of a composite key mean. Raises LookupError."""
        table = self.table(entity.name)
        if isinstance(key, int) and 0 <= key < table.size:
            return key
        found = position_of(table, key if isinstance(key, int) else numeric(str(key)))
        if found < 0 or self.is_elsewhere(entity):
            found = table.find((entity.name, main_feed(entity)), entity.key, key)
        if found < 0:
            raise LookupError(f"There is no record `{key}` of `{entity.name}` in tenant {self.business.tenant}.")
        return found

    @staticmethod
    def is_elsewhere(entity: Entity) -> bool:
        """Whether the key is something else than the record's own id."""
        return entity.key not in OWN


@cache
def entity_named(name: str) -> Entity:
    """The catalog's row. Raises LookupError."""
    if name not in BY_NAME:
        raise LookupError(f"There is no entity `{name}` in the catalog.")
    return BY_NAME[name]
