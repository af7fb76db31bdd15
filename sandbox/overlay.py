"""What was written over records, and how it shows: in each feed's own shape, whatever the request called its parts.

An object is merged field by field, an array replaced. What a record has no field for is kept and not shown.
"""

from decimal import Decimal
from functools import cache
from typing import Any, Final

from sandbox import clock
from sandbox.chance import salt
from sandbox.quantities import UNKNOWN_IDS
from sandbox.shape import ITEM, Node, fields_in, tree
from sources.servicetitan.catalog import BY_NAME

Json = dict[str, Any]
KEPT = frozenset({"id", "createdOn", "modifiedOn", "externalData"})
"""Fields that no body's field of the same name changes."""
MISFIT: Final = object()
"""In place of a value that a field cannot take."""
CENTS = Decimal("0.01")


def merged(old: Any, new: Any) -> Any:
    """One value over another."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return old | {name: merged(old.get(name), value) for name, value in new.items()}


def fitted(value: Any, node: Node, shown: Any) -> Any:
    """A value as a record's field takes it, over the value that is shown; MISFIT where it cannot."""
    if value is None or node.field.type == "any":
        return value
    if node.field.type == "object":
        return fitted_object(value, node, shown)
    if node.field.type == "array":
        return fitted_array(value, node)
    return fitted_scalar(value, node)


def fitted_object(value: Any, node: Node, shown: Any) -> Any:
    """An object with the fields that the record's has, those that were not sent as they were."""
    if not isinstance(value, dict):
        return MISFIT
    if not node.children:
        return value
    kept = shown if isinstance(shown, dict) else dict.fromkeys(node.children)
    parts = {name: fitted(value[name], child, kept.get(name)) for name, child in node.children.items() if name in value}
    return kept | {name: part for name, part in parts.items() if part is not MISFIT}


def fitted_array(value: Any, node: Node) -> Any:
    """An array of elements of the record's shape; each has an id where they have ids."""
    if not isinstance(value, list):
        return MISFIT
    element = node.children.get(ITEM)
    if element is None:
        return value
    found = [fitted(one, element, None) for one in value]
    if "id" in element.children and element.children["id"].field.type == "integer":
        for place, one in enumerate(found):
            if isinstance(one, dict) and one["id"] is None:
                one["id"] = UNKNOWN_IDS + (salt(repr(one)) + place) % 1_000_000_000
    return [one for one in found if one is not MISFIT]


def fitted_scalar(value: Any, node: Node) -> Any:
    """A number, a text or a truth value."""
    kind, form = node.field.type, node.field.format
    if isinstance(value, bool) or kind == "boolean":
        return value if isinstance(value, bool) and kind == "boolean" else MISFIT
    if kind == "string":
        return fitted_text(value, form, node.field.enum)
    if kind == "integer":
        return value if isinstance(value, int) else MISFIT
    return value if isinstance(value, int | float) else MISFIT


def fitted_text(value: Any, form: str, enum: tuple[str, ...]) -> Any:
    """A text as ServiceTitan writes it back: amounts with two places, moments in UTC, an enum's own spelling."""
    if isinstance(value, int | float):
        exact = Decimal(str(value))
        return str(exact.quantize(CENTS) if exact == exact.quantize(CENTS) else exact)
    if not isinstance(value, str):
        return MISFIT
    if form == "date-time":
        return moment(value)
    return next((known for known in enum if known.casefold() == value.casefold()), value)


def moment(value: str) -> str:
    """A moment in UTC with seven digits; what is none stays."""
    try:
        return clock.stamp(clock.parse(value))
    except ValueError:
        return value


@cache
def nodes(name: str, feed: str) -> dict[str, Node]:
    """The fields that an entity shows in one feed."""
    return tree(fields_in(BY_NAME[name], feed))


class Overlays:
    """What was written over the records of one table, by position."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.sent: dict[int, Json] = {}

    def add(self, position: int, sent: Json) -> None:
        """Put these fields over a record, and over what was put there before."""
        self.sent[position] = merged(self.sent.get(position, {}), sent)

    def drop(self, position: int, names: Json) -> None:
        """Take fields away, because another value was given to them."""
        if position in self.sent:
            self.sent[position] = {name: value for name, value in self.sent[position].items() if name not in names}

    def over(self, record: Json, face: tuple[str, str], position: int) -> Json:
        """A record of this face with what was written over it."""
        if position not in self.sent:
            return record
        shape = nodes(*face)
        parts = {
            name: fitted(value, shape[name], record[name])
            for name, value in self.sent[position].items()
            if name in record and name in shape and name not in KEPT
        }
        return record | {name: part for name, part in parts.items() if part is not MISFIT}
