"""Making records: what a body says of a new one, what follows from whose it is, and what is made along with it."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from sandbox.family import is_child
from sandbox.frames import frame_of
from sandbox.frames import one as alone
from sandbox.frames import value as bare
from sandbox.references import entities_of, entity_of
from sandbox.share import ONE_EACH
from sandbox.sizes import PER_PARENT
from sandbox.stories.born import BORN
from sandbox.table import activity
from sandbox.writes.existence import Existence, is_id
from sources.servicetitan.catalog import BY_NAME, Entity
from sources.servicetitan.registry import snake_case

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

Json = dict[str, Any]
Owner = tuple[Entity, int]
"""An entity and the position of a record of it."""


@cache
def one_of_each(parent: str) -> tuple[Entity, ...]:
    """What is asked for by a record of `parent`, each of which has one: a wish for a technician, the history of a job."""
    owned = (BY_NAME[name] for name, pattern in PER_PARENT.items() if pattern == (parent, ONE_EACH))
    return tuple(entity for entity in owned if is_child(entity) and frame_of(entity, entity.path) in {alone, bare})


class Birth:
    """Makes the records of one tenant."""

    def __init__(self, tenant: "Tenant", existence: Existence) -> None:
        """`existence` knows the tenant's records."""
        self.tenant, self.existence = tenant, existence

    def make(self, entity: Entity, body: Json, owner: Owner | None = None) -> int:
        """Make a record with a body's fields, and those that a list in the body describes; returns its position."""
        table, now = self.tenant.table(entity.name), self.tenant.clock.now()
        owner = owner or self.owner_in(entity, body)
        self.adopt(entity, owner)
        position = table.add(now, activity(body))
        table.lay(position, BORN.get(entity.name, {}) | body)
        if owner:
            table.lay(position, self.inherited(entity, position, owner, body))
        table.lay(position, self.childless(entity, position, body))
        for child, parts in self.along(entity, position, body):
            made = [self.make(child, part, (entity, position)) for part in parts]
            table.lay(position, self.links(entity, position, child, made))
        table.lay(position, self.loose_ends(entity, position))
        self.complete(entity, position)
        return position

    def complete(self, entity: Entity, position: int) -> None:
        """Give a new record what every record of its entity has one of: ServiceTitan answers for it, and not 404."""
        for child in one_of_each(entity.name):
            table = self.tenant.table(child.name)
            table.adopt(table.size, position)
            table.add(self.tenant.clock.now(), {})

    def adopt(self, entity: Entity, owner: Owner | None) -> None:
        """Say whose the next record will be, where that matters."""
        if entity.name not in PER_PARENT:
            return
        table, (name, share) = self.tenant.table(entity.name), PER_PARENT[entity.name]
        if owner and owner[0].name == name:
            table.adopt(table.size, owner[1])
        elif is_child(entity):
            table.adopt(table.size, share.parent(table.size) % self.tenant.table(name).size)

    def owner_in(self, entity: Entity, body: Json) -> Owner | None:
        """The record to which a new one belongs by its body."""
        if entity.name not in PER_PARENT:
            return None
        name = PER_PARENT[entity.name][0]
        for field, value in body.items():
            if entity_of(field) == name and is_id(field, value):
                return BY_NAME[name], self.existence.found(name, value)
        return None

    def inherited(self, entity: Entity, position: int, owner: Owner, body: Json) -> Json:
        """Ids that a record has of its owner: the owner's own, and those of the owner's customer and place."""
        above, place = owner
        near = self.tenant.table(above.name).near(place).keys() | {above.name}
        known = dict(self.existence.top(above, place))
        names = [name for name, _ in self.existence.top(entity, position) if entity_of(name) in near]
        own = {name: self.existence.ident(above, place) for name in names if entity_of(name) == above.name}
        same = {name: known[name] for name in names if name in known}
        return {name: value for name, value in (same | own).items() if name not in body}

    def childless(self, entity: Entity, position: int, body: Json) -> Json:
        """Nothing for each field that names what belongs to the record: a new job has no invoice."""
        shown = self.record(entity, position)
        own = [name for name in shown if PER_PARENT.get(entity_of(name), ("",))[0] == entity.name and name not in body]
        return {name: [] if isinstance(shown[name], list) else None for name in own}

    def along(self, entity: Entity, position: int, body: Json) -> Iterator[tuple[Entity, list[Json]]]:
        """What a body describes in lists of their own, and the record itself does not show: appointments of a job."""
        shown = self.record(entity, position)
        for field, value in body.items():
            name = snake_case(field)
            names = {name, f"{entity.name.removesuffix('s')}_{name}"}
            child = next((one for one in names if one in PER_PARENT and PER_PARENT[one][0] == entity.name), "")
            if child and field not in shown and isinstance(value, list):
                yield BY_NAME[child], [part for part in value if isinstance(part, dict)]

    def links(self, entity: Entity, position: int, child: Entity, made: list[int]) -> Json:
        """What a record shows of what was made along with it: the ids of the first and the last, and how many."""
        if not made:
            return {}
        ids, shown = [self.existence.ident(child, place) for place in made], self.record(entity, position)
        found: Json = {
            name: ids if isinstance(value, list) else ids[-1 if name.startswith("last") else 0]
            for name, value in shown.items()
            if entity_of(name) == child.name
        }
        return found | {f"{child.name.removesuffix('s')}Count": len(made)}

    def loose_ends(self, entity: Entity, position: int) -> Json:
        """Null, or a shorter list, for each field that was drawn to point to a record that is not there."""
        missing = self.existence.points_nowhere
        ends: Json = {}
        for name, value in self.record(entity, position).items():
            if name in entity.key or not entities_of(name):
                continue
            if isinstance(value, list):
                ends[name] = [one for one in value if not (is_id(name, one) and missing(name, one))]
            elif is_id(name, value) and missing(name, value):
                ends[name] = None
        return {name: value for name, value in ends.items() if value != self.record(entity, position)[name]}

    def record(self, entity: Entity, position: int) -> Json:
        """A record as its list shows it."""
        return self.tenant.table(entity.name).record((entity.name, "list"), position)
