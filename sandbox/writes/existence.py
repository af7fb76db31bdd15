"""Which records there are: what a path names and what a body points to."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sandbox.details import OWN
from sandbox.problem import Problem
from sandbox.references import entities_of, stem
from sandbox.sizes import PER_PARENT
from sandbox.table import values
from sources.servicetitan.catalog import BY_NAME, SCOPE, Entity, KeyType
from sources.servicetitan.registry import snake_case

if TYPE_CHECKING:
    from sandbox.tenant import Tenant

Pointer = tuple[str, Any]
"""The name of a field and the id in it."""


def words(name: str) -> str:
    """`customerId` and `customers` to `customer`, `job_types` to `job type`."""
    return snake_case(stem(name)).replace("_", " ")


def pointers(value: Any, name: str = "") -> Iterator[Pointer]:
    """Every id in a body, with the name of the field that says what it is an id of."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from pointers(part, name if key == "id" else key)
    elif isinstance(value, list):
        for part in value:
            yield from pointers(part, name)
    elif is_id(name, value):
        yield name, value


def is_id(name: str, value: Any) -> bool:
    """Whether a value may be an id: a number, or text in a field that says so."""
    if isinstance(value, str):
        return name.endswith(("Id", "Ids"))
    return isinstance(value, int) and not isinstance(value, bool)


class Existence:
    """Finds the records of one tenant that are there: neither deleted nor taken away."""

    def __init__(self, tenant: "Tenant") -> None:
        """Nothing is read yet."""
        self.tenant = tenant

    def is_there(self, name: str, position: int) -> bool:
        """Whether a position holds a record."""
        table = self.tenant.table(name)
        return 0 <= position < table.size and position not in table.deleted and position not in table.purged

    def found(self, name: str, key: object) -> int:
        """The position of a record by its id, or -1."""
        position = self.tenant.family.found(name, str(key))
        return position if self.is_there(name, position) else -1

    def named(self, entity: Entity, keys: Sequence[str]) -> int:
        """The position of a record by the parts of its key as a path has them. Raises Problem."""
        position = self.with_key(entity, keys)
        if position < 0:
            raise Problem(404, f"There is no such {words(entity.name)}.")
        return position

    def with_key(self, entity: Entity, keys: Sequence[str]) -> int:
        """The same, or -1."""
        if entity.key in OWN:
            return self.found(entity.name, keys[0])
        table, face = self.tenant.table(entity.name), (entity.name, "list")
        for position in range(table.size):
            parts = values(table.record(face, position), entity.key)
            if tuple(map(str, parts)) == tuple(keys) and self.is_there(entity.name, position):
                return position
        return -1

    def below(self, entity: Entity, owner: Entity, parent: int) -> list[int]:
        """The positions of what belongs to a record."""
        table = self.tenant.table(entity.name)
        if entity.name in PER_PARENT:
            return [place for place in table.children(parent) if self.is_there(entity.name, place)]
        ident = self.ident(owner, parent)
        return [
            place
            for place in range(table.size)
            if ident in {id_ for name, id_ in self.top(entity, place) if owner.name in entities_of(name)}
            and self.is_there(entity.name, place)
        ]

    def top(self, entity: Entity, position: int) -> list[Pointer]:
        """The ids among a record's own fields."""
        record = self.tenant.table(entity.name).record((entity.name, "list"), position)
        return [(name, value) for name, value in record.items() if isinstance(value, int | str) and name != "id"]

    def one_below(self, entity: Entity, places: Sequence[int], name: str, key: str) -> int:
        """Among some records the one that a path's parameter names, or -1."""
        table = self.tenant.table(entity.name)
        for place in places:
            record = table.record((entity.name, "list"), place)
            if key in {str(record.get(name)), str(self.ident(entity, place))}:
                return place
        return -1

    def ident(self, entity: Entity, position: int) -> Any:
        """What names a record: its id, or the values of a composite key."""
        table = self.tenant.table(entity.name)
        record = table.record((entity.name, "list"), position)
        if len(entity.key) > 1 and SCOPE not in entity.key:
            return values(record, entity.key)
        name = entity.key[0] if len(entity.key) == 1 else "id"
        return record.get(name, table.row(position).ident)

    def points_nowhere(self, name: str, key: Any) -> bool:
        """Whether a field names a record that is not there."""
        candidates = entities_of(name)
        if isinstance(key, str):
            candidates = tuple(one for one in candidates if BY_NAME[one].key_type is KeyType.TEXT)
        return bool(candidates) and all(self.found(one, key) < 0 for one in candidates)

    def check(self, body: Any) -> None:
        """Raise the Problem of the first field that names a record that is not there."""
        for name, key in pointers(body):
            if self.points_nowhere(name, key):
                raise Problem(409, f"Unknown {words(name)}")
