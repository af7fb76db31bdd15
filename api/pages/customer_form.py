"""The form of a customer's fields, filled with a version's values or with what was typed over them.

Pure. Fields, their types and what they may be come from the registry of bodies.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.digits import Number
from api.pages.selection import Record
from outbound.operations import BY_TITLE
from outbound.registry import BodyField, Node, tree

TITLE = "customers:update"
OPERATION = BY_TITLE[TITLE]
LEFT_OUT = frozenset({"externalData"})
"""Fields that are for programs: a GUID of theirs and its keys. The API writes them."""

RECORDS = {"paymentTermId": "payment_terms", "tagTypeIds": "tag_types"}
"""Fields that name records of an entity, which can be chosen by name."""

KEY, VALUE, NAME = "typeId", "value", "name"
"""Of a custom field, as bodies and records have it."""

WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
TRUTHS = (("true", "Yes"), ("false", "No"))
Typed = Mapping[str, list[str]]
"""What was typed, by a field's path; a list of ids as several texts."""

Choices = Mapping[str, list[tuple[str, str]]]
"""Keys and names of records that can be chosen, by the field that names them."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What stands in a form beside a version's values: records by the field that names them, what was typed, what is wrong."""

    choices: Choices
    typed: Typed
    faults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """A field as the form shows it."""

    path: str
    label: str
    kind: str  # text, long, decimal, whole, choice or several
    values: list[str]
    choices: list[tuple[str, str]] = field(default_factory=list)
    fault: str = ""

    @property
    def value(self) -> str:
        """Its one value."""
        return self.values[0] if self.values else ""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together: those of an object, or of a customer itself."""

    label: str
    fields: list[Field]


def label(name: str) -> str:
    """A field's name in words: `paymentTermId` is "Payment term", `tagTypeIds` is "Tag types"."""
    parts = [part.lower() for part in WORDS.findall(name)]
    if len(parts) > 1 and parts[-1] in {"id", "ids"}:
        plural = "s" if parts.pop() == "ids" else ""
        parts[-1] += plural
    return " ".join(parts).capitalize()


def children() -> dict[str, Node]:
    """The fields that the form has, by name."""
    root = tree(TITLE)
    assert root is not None  # noqa: S101  an update has a body
    return {name: node for name, node in root.children.items() if name not in LEFT_OUT}


def groups(base: Record, filled: Filled) -> list[Group]:
    """The form: a version's values, or what was typed over them."""
    own, below = [], []
    for name, node in children().items():
        value = base.get(name)
        if node.field.type == "object":
            parts = [shown(f"{name}.{part}", inner, at(value, part), filled) for part, inner in node.children.items()]
            below.append(Group(label(name), parts))
        elif node.element and node.element.children:
            below += custom(name, node.element, value or [], filled)
        else:
            own.append(shown(name, node, value, filled))
    return [Group("Customer", own), *below]


def shown(path: str, node: Node, value: Any, filled: Filled) -> Field:
    """A field with its value, or with what was typed."""
    values, present = filled.typed.get(path, texts(value)), texts(value)
    if node.element:
        values, present = list(filter(None, values)), list(filter(None, present))
    offered = offered_for(path, node, filled.choices, [*values, *present])
    if node.element:  # what the record has can be seen without looking for it
        offered.sort(key=lambda choice: choice[0] not in present)
    kind = "several" if node.element else "choice" if offered else kind_of(node.field, values)
    return Field(path, label(node.field.name), kind, values, offered, filled.faults.get(path, ""))


def custom(name: str, node: Node, fields: list[Record], filled: Filled) -> list[Group]:
    """The custom fields that the record has; which others there could be, ServiceTitan's documents do not tell."""
    found = []
    for place, one in enumerate(fields):
        path = f"{name}.{place}"
        values = filled.typed.get(path, texts(one.get(VALUE)))
        called = one.get(NAME) or f"Field {one.get(KEY)}"
        kind = kind_of(node.children[VALUE].field, values)
        found.append(Field(path, called, kind, values, [], filled.faults.get(path, "")))
    return [Group(label(name), found)] if found else []


def kind_of(body: BodyField, values: list[str]) -> str:
    """How a field is typed."""
    kinds = {"integer": "whole", "number": "decimal"}
    return kinds.get(body.type) or ("long" if any("\n" in value for value in values) else "text")


def offered_for(path: str, node: Node, choices: Choices, present: list[str]) -> list[tuple[str, str]]:
    """What can be chosen; a present value that is none of it stays one. A field without a value can be left so."""
    if node.field.type == "boolean":
        found = list(TRUTHS)
    elif node.field.enum:
        found = [(each, each) for each in node.field.enum]
    else:
        found = list(choices.get(path, ()))
        if not found:
            return []
    known = {value for value, _ in found}
    more = [(each, each) for each in dict.fromkeys(present) if each not in known]
    return [(value, name if value else "(none)") for value, name in more] + found


def texts(value: Any) -> list[str]:
    """A value as it stands in a form."""
    if isinstance(value, list):
        return [text for each in value for text in texts(each)]
    match value:
        case None:
            return [""]
        case bool():
            return ["true" if value else "false"]
        case Number():
            return [value.text]
        case _:
            return [unified(str(value))]


def unified(text: str) -> str:
    """A text whose lines end alike: browsers send other ends than they were given."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def at(value: Any, name: str) -> Any:
    """A part of an object."""
    return value.get(name) if isinstance(value, dict) else None
