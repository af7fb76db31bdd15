"""The tree of an entity's fields, from the flat paths of the field registry."""

from dataclasses import dataclass
from dataclasses import field as made
from functools import cache

from sources.servicetitan import registry
from sources.servicetitan.catalog import CATALOG, Entity
from sources.servicetitan.registry import Field

ITEM = "[]"


@dataclass
class Node:
    """A field and what stands below it; the element of an array is its one child, named `[]`."""

    field: Field
    name: str
    parent: str
    children: dict[str, "Node"] = made(default_factory=dict)


def steps(path: str) -> list[str]:
    """`items[].sku.name` to `items`, `[]`, `sku`, `name`."""
    return path.replace(ITEM, f".{ITEM}").split(".")


def tree(fields: tuple[Field, ...]) -> dict[str, Node]:
    """The top-level nodes by name. A field whose parent is not registered is left out."""
    top: dict[str, Node] = {}
    for registered in fields:
        level, parent = top, ""
        *above, name = steps(registered.path)
        for step in above:
            if step not in level:
                break
            parent = step if step != ITEM else parent
            level = level[step].children
        else:
            level[name] = Node(registered, name, parent)
    return top


@cache
def fields_of(entity: Entity) -> tuple[Field, ...]:
    """The registered fields; where the documents know none, those of an entity whose path ends alike."""
    known = registry.load()
    if entity.name in known:
        return known[entity.name]
    ending = entity.path.rpartition("/")[2]
    return next(known[row.name] for row in CATALOG if row.name in known and row.path.rpartition("/")[2] == ending)


@cache
def fields_in(entity: Entity, feed: str) -> tuple[Field, ...]:
    """The fields that the feed, `list` or `export`, shows; all of them where it has none of its own."""
    every = fields_of(entity)
    return tuple(found for found in every if found.feed in {feed, "both"}) or every


def active_path(entity: Entity) -> str:
    """Where a record says whether it is active: beside its own modification time."""
    return entity.cursor.removesuffix("modifiedOn") + "active"
