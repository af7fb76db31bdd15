"""The writers of every entity: compiled when first needed, and shared by all tenants."""

from functools import cache
from typing import Any

from sandbox.business import MIRRORS, Business
from sandbox.faults.board import Board
from sandbox.generator import Draw, compiled
from sandbox.row import Row
from sandbox.shape import ITEM, Node, active_path, fields_in, fields_of, tree
from sandbox.share import Share
from sandbox.stories import EMBEDDED, story_of
from sandbox.table import FACES, Face, Table, Writer
from sources.servicetitan.catalog import BY_NAME, CATALOG

SAMPLE = Business(seed=0, tenant=1, customers=10, horizon=1 << 54)


def row_of(business: Business, name: str, position: int) -> Row:
    """A record as it was when it was made."""
    story = story_of(name)
    near = story.near(business, name, position)
    created = story.created(business, name, position, near)
    return Row(business, name, position, business.number(name, position), created, created, active=True, near=near)


@cache
def told_names(name: str) -> frozenset[str]:
    """The fields that an entity's story tells."""
    return frozenset(story_of(name).fields(row_of(SAMPLE, name, 0)))


def embedding(nodes: dict[str, Node], field: str, child: str, share: Share) -> Draw:
    """An array that shows the records of `child`, with the fields that are registered for the array."""
    story, entity = story_of(child), BY_NAME[child]
    known = tree(fields_of(entity))
    shown = {name: known[name] for name in nodes[field].children[ITEM].children if name in known}
    make = compiled(entity, shown, story.fields, told_names(child), {})

    def draw(row: Row) -> list[dict[str, Any]]:
        return [make(row_of(row.business, child, position)) for position in share.children(row.position)]

    return draw


@cache
def writer(name: str, feed: str) -> Writer:
    """What makes an entity's records for one feed, `list` or `export`."""
    entity = BY_NAME[name]
    nodes = tree(fields_in(entity, feed))
    told = {}
    if name in EMBEDDED:
        field, child, share = EMBEDDED[name]
        told[field] = embedding(nodes, field, child, share)
    return compiled(entity, nodes, story_of(name).fields, told_names(name), told)


@cache
def shows_active(name: str, feed: str) -> bool:
    """Whether an entity's records have an active field in a feed."""
    entity = BY_NAME[name]
    return any(field.path == active_path(entity) for field in fields_in(entity, feed))


@cache
def family(name: str) -> tuple[str, ...]:
    """The entities that show the same records as `name`; the one they mirror stands first."""
    root = MIRRORS.get(name, name)
    return (root, *(entity.name for entity in CATALOG if MIRRORS.get(entity.name) == root))


def open_table(business: Business, root: str, faults: Board) -> Table:
    """The table of an entity and of those that mirror it."""
    faces: list[Face] = [(name, feed) for name in family(root) for feed in FACES]
    has_active = any(shows_active(*face) for face in faces)
    return Table(business, root, {face: writer(*face) for face in faces}, faults, has_active=has_active)
