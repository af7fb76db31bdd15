"""What the path of an operation is about: whose record, and what is made, changed or taken away there."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from outbound.operations import BRACES, Operation
from sandbox.periods import is_made_for_dates
from sandbox.references import entity_of
from sandbox.sizes import PER_PARENT
from sandbox.templates import blank
from sources.servicetitan.catalog import BY_NAME, CATALOG, SCOPE, Entity, Feed


@dataclass(frozen=True)
class Target:
    """`own` is what is written, None where the catalog has no such thing; `owner` is what it belongs to by the path.

    `named_by` are the parameters that name it, none for what is made or is the only one of its owner; `rest` are the
    parameters behind those.
    """

    own: Entity | None
    owner: Entity | None = None
    named_by: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()

    @property
    def is_only_one(self) -> bool:
        """Whether an owner, or the tenant, has one and no more."""
        return self.own is not None and self.own.key == (SCOPE,)


@cache
def target_of(operation: Operation) -> Target:
    """The target of an operation."""
    names = tuple(name for name in operation.placeholders if name not in operation.beside)
    below = below_of(operation) if names else None
    if below:
        owner = PER_PARENT[below.name][0] if below.name in PER_PARENT else operation.entity
        count = 1 if below.key == (SCOPE,) else 2
        return Target(below, BY_NAME[owner], names[1:count], names[count:])
    entity = operation.catalog
    if entity is None or is_made_for_dates(entity) or not names:
        has_table = entity is not None and not is_made_for_dates(entity) and entity.feed is not Feed.REPORT
        return Target(entity if has_table else None, rest=names)
    if len(entity.key) > 1 and set(entity.key) <= set(names):
        return Target(entity, None, entity.key, tuple(name for name in names if name not in entity.key))
    other = entity_of(names[0])
    return Target(BY_NAME[other] if other else entity, None, names[:1], names[1:])


def below_of(operation: Operation) -> Entity | None:
    """What is read for the record in the path, or listed for all such records, and stands at the path or before it."""
    if operation.made:
        return BY_NAME[operation.made]
    module = operation.base.split("/")[1]
    tail = tail_of(operation)
    found = (row for row in CATALOG if row.module == module and any(stands(row, path) for path in ways(tail)))
    return next(found, None)


def tail_of(operation: Operation) -> str:
    """The path behind the parameters that name no record."""
    tail = operation.path
    for name in operation.beside:
        tail = tail.partition(f"{{{name}}}/")[2]
    return tail


def ways(tail: str) -> Iterator[tuple[str, bool]]:
    """A path with its placeholders, and without them where they stand between names."""
    yield blank(tail), True
    inner = [part for part in tail.split("/") if not BRACES.fullmatch(part)]
    if len(inner) > 1 and not tail.startswith("/".join(inner[:2])):
        yield "/".join(inner), False


def stands(row: Entity, way: tuple[str, bool]) -> bool:
    """Whether an entity's own path is the given one, or begins it: one with placeholders, or one of several names."""
    path, is_with_places = way
    own = blank(row.path)
    if "/" not in own or ("{}" in own) is not is_with_places:
        return False
    return path == own or path.startswith(f"{own}/")
