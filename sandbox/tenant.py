"""One tenant: its business, and the tables, lists and exports that are opened when they are first asked for."""

from functools import cache
from typing import Any

from sandbox.business import MIRRORS, Business
from sandbox.cache import Cache
from sandbox.clock import Clock
from sandbox.demands import BARE, Query, check, demand_of
from sandbox.export import Export
from sandbox.filters import Filter, filter_of, includes_total, page_of
from sandbox.listing import Listing, numeric, position_of
from sandbox.sizes import PER_PARENT
from sandbox.table import Face, Table
from sandbox.writing import open_table, shows_active
from sources.servicetitan.catalog import BY_NAME, Entity, Feed

PAGES = 64 * 1024 * 1024
"""So many bytes of answers are kept for a tenant."""


def main_feed(entity: Entity) -> str:
    """The feed by which an entity is read: `export` or `list`."""
    return "export" if entity.feed is Feed.EXPORT else "list"


class Tenant:
    """One tenant's data and answers. It is not for two threads at once."""

    def __init__(self, business: Business, clock: Clock, export_page_size: int, export_lag: float) -> None:
        """`export_lag` is the age in seconds that a change must have before a plain export shows it."""
        self.business, self.clock = business, clock
        self.export_page_size, self.export_lag = export_page_size, int(export_lag * 10_000_000)
        self.tables: dict[str, Table] = {}
        self.listings: dict[Face, Listing] = {}
        self.exports: dict[str, Export] = {}
        self.pages: Cache[bytes] = Cache(PAGES)

    def table(self, name: str) -> Table:
        """The records of an entity."""
        root = MIRRORS.get(name, name)
        if root not in self.tables:
            self.tables[root] = open_table(self.business, root)
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

    def children(self, entity: Entity, filter_: Filter) -> list[int] | None:
        """The positions of the records that belong to the parents whose ids are asked for."""
        if not entity.parent or filter_.ids is None:
            return None
        table, (_, share) = self.table(entity.parent), PER_PARENT[entity.name]
        parents = (position_of(table, numeric(key)) for key in filter_.ids)
        found = (child for parent in parents if parent >= 0 for child in share.children(parent))
        size = self.table(entity.name).size
        return [child for child in found if child < size]

    def answer_list(self, entity: Entity, path: str, query: Query) -> bytes:
        """The JSON of a list's page. Raises Problem."""
        demand, is_bare = demand_of(entity, path), (entity.module, path) in BARE
        check(demand, query)
        filter_ = filter_of(entity, demand, query)
        page = (*page_of(entity, query), includes_total(query), is_bare)
        return self.listing(entity.name).answer(filter_, page, entity.first_page, self.children(entity, filter_))

    def answer_export(self, entity: Entity, query: Query) -> bytes:
        """The JSON of an export's page. Raises Problem."""
        wants_recent = query.get("includeRecentChanges", "").lower() == "true"
        until = None if wants_recent or not self.export_lag else self.clock.now() - self.export_lag
        return self.export(entity.name).answer(query.get("from", ""), until)

    def records(self, entity: Entity) -> list[dict[str, Any]]:
        """What a complete read of the entity's main feed gives."""
        table, feed = self.table(entity.name), main_feed(entity)
        everything = feed == "export"
        positions = range(table.size) if everything else self.listing(entity.name).select(Filter())
        return [table.record((entity.name, feed), position) for position in positions]

    def record(self, entity: Entity, position: int) -> dict[str, Any]:
        """One record as the entity's main feed shows it."""
        return self.table(entity.name).record((entity.name, main_feed(entity)), position)

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


OWN = frozenset({("id",), ("leadCall.id",)})
"""Keys that are the record's own id."""


@cache
def entity_named(name: str) -> Entity:
    """The catalog's row. Raises LookupError."""
    if name not in BY_NAME:
        raise LookupError(f"There is no entity `{name}` in the catalog.")
    return BY_NAME[name]
