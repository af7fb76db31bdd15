"""From an entity's shape to a function that makes its records: compiled once, so that a record costs microseconds."""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox import clock, moments, naming, quantities, texts
from sandbox.chance import GOLDEN, MASK, SHIFT, salt
from sandbox.form import section
from sandbox.references import entity_of, stem
from sandbox.row import Row
from sandbox.shape import ITEM, Node
from sources.servicetitan.catalog import Entity

Draw = Callable[[Row], Any]
Teller = Callable[[Row], dict[str, Any]]

ABSENT = 6
"""One nullable value in so many is null."""
BROKEN = 40
"""One value in so many is null although the documents promise otherwise."""
BREAKABLE = frozenset({"memo", "serialNumber", "customFields", "summary", "description", "zip", "street", "unit"})
"""Fields seen null in spite of the documents."""
UNASKED = frozenset({"externalData"})
"""Fields that come only when asked for by an application's GUID: mostly null."""
FEW = 3
MANY = frozenset({"items", "history", "rates", "durationBilling", "units"})
"""Arrays that are never empty."""


def constant(value: object) -> Draw:
    """Always the same."""
    return lambda _row: value


def bound(make: Callable[[Row, int], Any], grain: int) -> Draw:
    """A maker with its salt."""
    return lambda row: make(row, grain)


def sometimes_null(draw: Draw, one_in: int, grain: int) -> Draw:
    """Null for one record in so many."""
    grain = salt(f"null{grain}")
    return lambda row: draw(row) if ((row.number ^ grain) * GOLDEN >> SHIFT) % one_in else None


def own_id(node: Node) -> Draw:
    """The record's own id, as its type wants it."""
    if node.field.format == "guid":
        return lambda row: texts.guid(row.ident)
    if node.field.type == "string":
        return lambda row: f"{row.name}-{row.position + 1}"
    return lambda row: row.ident


def reference(node: Node, entity: str, what: str, grain: int) -> Draw:
    """The id or the name of a related record."""
    if what == "name":
        return lambda row: row.name_of(entity, grain)
    if node.field.format == "guid":
        return lambda row: texts.guid(row.id_of(entity, grain))
    if node.field.type == "string":
        return lambda row: str(row.id_of(entity, grain))
    return lambda row: row.id_of(entity, grain)


class Compiler:
    """Makes the draws of one entity's fields."""

    def __init__(self, entity: Entity, told: Mapping[str, Draw]) -> None:
        """`told` holds draws by path for fields that must agree with another entity's records."""
        self.entity, self.told = entity, told

    def draw(self, node: Node) -> Draw:
        """How to make a field, nulls included."""
        path, grain = node.field.path, salt(node.field.path)
        if path in self.told:
            return self.told[path]
        if fixed := self.fixed(node):
            return fixed
        made = self.present(node, grain)
        if node.name in UNASKED:
            return sometimes_null(made, 2, grain)
        if node.field.nullable:
            return sometimes_null(made, ABSENT, grain)
        return sometimes_null(made, BROKEN, grain) if node.name in BREAKABLE else made

    def fixed(self, node: Node) -> Draw | None:
        """Keys, cursors and the like, which are never null."""
        path = node.field.path
        if path in self.entity.key and not entity_of(node.name):
            return own_id(node)
        if path == "id":
            return constant(0)
        if path == self.entity.cursor:
            return lambda row: clock.stamp(row.modified)
        if node.name in {"createdOn", "modifiedOn", "dateTime", "submittedOn"} and ITEM not in path:
            return lambda row: clock.stamp(row.created)
        if node.name == "active" and path.removesuffix("active") == self.entity.cursor.removesuffix("modifiedOn"):
            return lambda row: row.active
        return None

    def present(self, node: Node, grain: int) -> Draw:
        """How to make a field that is not null."""
        if node.field.type == "object":
            return self.object(node)
        if node.field.type == "array":
            return self.array(node, grain)
        if node.field.enum:
            values = [int(value) if node.field.type == "integer" else value for value in node.field.enum]
            count = len(values)
            return lambda row: values[((row.number ^ grain) * GOLDEN >> SHIFT) % count]
        return self.related(node) or self.plain(node, grain)

    def related(self, node: Node) -> Draw | None:
        """A related record's id or name, where the field's name or its object's tells of one."""
        if node.field.type not in {"integer", "string"}:
            return None
        if node.name in {"id", "name", "number"}:
            owner, what = node.parent, node.name
        elif node.name.endswith(("Name", "Number")):
            what = "name" if node.name.endswith("Name") else "number"
            owner = node.name.removesuffix("Name").removesuffix("Number")
        elif node.name == ITEM or node.name.endswith("Id"):
            owner, what = (node.parent if node.name == ITEM else node.name), "id"
        else:
            return None
        entity = entity_of(owner)
        is_text = node.field.type == "string" and node.name == ITEM
        return None if is_text or not entity else reference(node, entity, what, salt(stem(owner)))

    def plain(self, node: Node, grain: int) -> Draw:
        """A scalar by type, format and name."""
        name = f"{node.parent}{ITEM}" if node.name == ITEM else node.name
        kind, form = node.field.type, node.field.format
        if kind == "boolean":
            return lambda row: ((row.number ^ grain) * GOLDEN >> SHIFT) & 1 == 0
        if kind == "integer":
            return bound(quantities.whole(name, form), grain)
        if kind == "number":
            return bound(quantities.decimal(name), grain)
        if kind == "string":
            return self.text(node, name, grain)
        return bound(section, grain)

    def text(self, node: Node, name: str, grain: int) -> Draw:
        """A string by format and name."""
        form = node.field.format
        if form in {"date-time", "date"}:
            return bound(moments.moment(name, form), grain)
        if form == "decimal" or name in quantities.AMOUNTS:
            return bound(quantities.money(name), grain)
        if form == "duration":
            return bound(moments.duration, grain)
        if form == "guid":
            return lambda row: texts.guid(quantities.UNKNOWN_IDS + row.chance(1_000_000, grain))
        if node.field.path == "name":
            return lambda row: naming.called(row.name, row.position, row.number)
        return bound(texts.text(name), grain)

    def object(self, node: Node) -> Draw:
        """An object of its registered fields."""
        parts = tuple((name, self.draw(child)) for name, child in node.children.items())
        return lambda row: {name: draw(row) for name, draw in parts}

    def array(self, node: Node, grain: int) -> Draw:
        """A few elements, each with a hash of its own; none where the element's shape is not known."""
        element = node.children.get(ITEM)
        if element is None or (element.field.type == "object" and not element.children):
            return lambda _row: []
        draw, least = self.draw(element), int(node.name in MANY)
        scalar = element.field.is_scalar

        def make(row: Row) -> list[Any]:
            number, found = row.number, []
            for place in range(1, least + 1 + row.chance(FEW, grain)):
                row.number = ((number ^ grain) * GOLDEN + place * grain) & MASK
                found.append(draw(row))
            row.number = number
            return list(dict.fromkeys(found)) if scalar else found

        return make


def compiled(
    entity: Entity, nodes: Mapping[str, Node], story: Teller, keys: frozenset[str], told: Mapping[str, Draw]
) -> Draw:
    """A function from a row to its record.

    `keys` are the fields that the story tells; of those it keeps the ones among `nodes`.
    """
    compiler = Compiler(entity, told)
    parts = tuple((name, compiler.draw(node)) for name, node in nodes.items() if name not in keys)
    surplus = tuple(keys - nodes.keys())

    def make(row: Row) -> dict[str, Any]:
        record = story(row)
        for name in surplus:
            del record[name]
        for name, draw in parts:
            record[name] = draw(row)
        return record

    return make
