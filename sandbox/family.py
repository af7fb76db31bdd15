"""Parents and children of one tenant: whose records an address asks for."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

from sandbox import clock
from sandbox.filters import Filter
from sandbox.listing import numeric, position_of
from sandbox.problem import Problem
from sandbox.sizes import PER_PARENT
from sandbox.writing import shows_active
from sources.servicetitan.catalog import BY_NAME, SCOPE, Entity, Feed
from sources.servicetitan.registry import load

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

EVERY = Filter()
BY_ASSIGNMENT = frozenset({"technicianId", "appointmentId"})
"""What names an assignment in place of its id."""


@cache
def is_child(entity: Entity) -> bool:
    """Whether records are asked for by their parents."""
    return entity.name in PER_PARENT and (entity.feed is Feed.CHILD or "{" in entity.path)


@cache
def has_named_ids(name: str) -> bool:
    """Whether an entity's ids are words."""
    return any(field.path == "id" and (field.type, field.format) == ("string", "") for field in load()[name])


class Family:
    """Finds parents by what an address names, and children by their parents."""

    def __init__(self, tenant: "Tenant", now: Callable[[], int]) -> None:
        """`now` gives ticks."""
        self.tenant, self.now = tenant, now
        self.words: dict[str, tuple[int, dict[str, int]]] = {}

    def parent(self, entity: Entity, values: Mapping[str, str]) -> int:
        """The position of the parent that an address names. Raises Problem when there is none."""
        name = PER_PARENT[entity.name][0]
        position = self.named(name, values)
        if position < 0 or not self.tenant.table(name).is_shown(position, hides=not shows_active(name, "list")):
            raise Problem(404, f"There is no such record of {name.replace('_', ' ')}.")
        return position

    def named(self, name: str, values: Mapping[str, str]) -> int:
        """The position of a record by its id, or by its parent's too; -1 when there is none."""
        if values.keys() >= BY_ASSIGNMENT:
            return self.assigned(name, values)
        if SCOPE not in values:
            return self.found(name, next(iter(values.values())))
        owner = self.found(PER_PARENT[name][0], values[SCOPE])
        ident = next(value for key, value in values.items() if key != SCOPE)
        table = self.tenant.table(name)
        own = table.children(owner) if owner >= 0 else []
        return next((place for place in own if str(table.row(place).ident) == ident), -1)

    def assigned(self, name: str, values: Mapping[str, str]) -> int:
        """The position of an assignment by technician and appointment."""
        table, appointment = self.tenant.table(name), self.found(PER_PARENT[name][0], values["appointmentId"])
        own = table.children(appointment) if appointment >= 0 else []
        ident = values["technicianId"]
        return next((place for place in own if str(table.record((name, "list"), place)["technicianId"]) == ident), -1)

    def found(self, name: str, key: str) -> int:
        """The position of a record by the text of its id, or -1."""
        table = self.tenant.table(name)
        if not has_named_ids(name):
            return position_of(table, numeric(key))
        version, words = self.words.get(name, (-1, {}))
        if version != table.version:
            words = {str(table.record((name, "list"), place)["id"]): place for place in range(table.size)}
            self.words[name] = table.version, words
        return words.get(key, -1)

    def children(self, entity: Entity, parents: Sequence[int]) -> list[int]:
        """The positions of the records of these parents."""
        table = self.tenant.table(entity.name)
        return [place for parent in parents for place in table.children(parent)]

    def shown(self, name: str) -> Sequence[int]:
        """The positions of all records that a list shows."""
        return self.tenant.listing(name).select(EVERY)

    def whole(self, entity: Entity) -> list[int]:
        """The positions of the records of all parents that are asked for."""
        name = PER_PARENT[entity.name][0]
        parents = self.parents(entity, name) if not is_child(BY_NAME[name]) else self.whole(BY_NAME[name])
        return self.children(entity, parents)

    def parents(self, entity: Entity, name: str) -> Sequence[int]:
        """The positions of the parents that are asked for: those modified lately where the row says so."""
        if not entity.recent_days:
            return self.shown(name)
        table, oldest = self.tenant.table(name), self.now() - entity.recent_days * clock.DAY
        return [place for place in self.shown(name) if table.moments(place)[1] >= oldest]
