"""The change that a customer's form asks for: what differs between a version and what was typed, as ServiceTitan takes it.

Pure. A field that stands as it was shown is no part of the change. ServiceTitan takes objects and lists whole, so that one
changed part sends the rest as it was.
"""

import re
from dataclasses import dataclass
from typing import Any

from api.digits import Number
from api.pages.customer_form import KEY, VALUE, Typed, at, children, texts
from api.pages.selection import Record
from outbound.difference import same
from outbound.registry import BodyField, Node

WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
DECIMAL = re.compile(r"-?\d{1,15}(?:\.\d{1,10})?", re.ASCII)
KINDS = {"integer": "a whole number", "number": "a number", "boolean": "yes or no"}


class UnfitTextError(ValueError):
    """A text that is no value of its field."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The change that a form asks for: the payload, and by path what is wrong with what was typed."""

    payload: dict[str, Any]
    faults: dict[str, str]


def wanted(base: Record, typed: Typed) -> Wanted:
    """What differs between a version and what was typed, as ServiceTitan takes it."""
    payload: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, node in children().items():
        value = new_value(name, node, base.get(name), typed, faults)
        if not same(value, base.get(name)):
            payload[name] = value
    return Wanted(payload, faults)


def new_value(name: str, node: Node, old: Any, typed: Typed, faults: dict[str, str]) -> Any:
    """A field's value as it is wanted; the old one where nothing else was typed."""
    if node.field.type == "object":
        parts = {
            part: scalar(f"{name}.{part}", inner.field, at(old, part), typed, faults)
            for part, inner in node.children.items()
        }
        if all(same(value, at(old, part)) for part, value in parts.items()):
            return old
        for part, inner in node.children.items():
            parts[part] = whole(f"{name}.{part}", parts[part], inner.field, faults)
        return parts
    if node.element and node.element.children:
        return customized(name, node.element.children[VALUE].field, old, typed, faults)
    if node.element:
        return several(name, node.element.field, old, typed, faults)
    return scalar(name, node.field, old, typed, faults)


def whole(path: str, value: Any, body: BodyField, faults: dict[str, str]) -> Any:
    """A part of an object that is sent: it may be required where the record has none."""
    if value is not None or body.nullable or not body.required:
        return value
    if body.type == "string":
        return ""
    faults.setdefault(path, "ServiceTitan takes this with the rest or not at all: give a value.")
    return None


def customized(
    name: str, body: BodyField, old: list[Record] | None, typed: Typed, faults: dict[str, str]
) -> list[Record] | None:
    """A record's custom fields with what was typed; as the record has them where that is nothing new."""
    paths = [f"{name}.{place}" for place in range(len(old or []))]
    found = [(path, one, texts(one.get(VALUE))) for path, one in zip(paths, old or [], strict=True)]
    if all(typed.get(path, was) == was for path, _, was in found):
        return old
    return [{KEY: one.get(KEY), VALUE: read(path, body, typed.get(path, was)[0], faults)} for path, one, was in found]


def several(name: str, body: BodyField, old: Any, typed: Typed, faults: dict[str, str]) -> Any:
    """A list of ids: those that were there in their order, then the new ones. Their order says nothing."""
    if name not in typed:
        return old
    chosen = dict.fromkeys(text for text in typed[name] if text)
    if not chosen and not old:
        return old
    kept = [each for each in old or [] if texts(each)[0] in chosen]
    known = {texts(each)[0] for each in kept}
    return kept + [read(name, body, text, faults) for text in chosen if text not in known]


def scalar(path: str, body: BodyField, old: Any, typed: Typed, faults: dict[str, str]) -> Any:
    """One value."""
    was = next(iter(texts(old)), "")
    text = typed.get(path, [was])[0]
    return old if text == was else read(path, body, text.strip(), faults)


def read(path: str, body: BodyField, text: str, faults: dict[str, str]) -> Any:
    """A text as a value of its field; what is wrong with it is noted."""
    try:
        return value_of(body, text)
    except UnfitTextError as error:
        faults[path] = str(error)
        return None


def value_of(body: BodyField, text: str) -> Any:
    """A text as a value of a field. Raises UnfitTextError."""
    if body.type == "string":
        if "\0" in text:
            raise UnfitTextError("It has a NUL, which no text may have.")
        return text
    if not text:
        if body.nullable:
            return None
        raise UnfitTextError("ServiceTitan lets nobody empty this: give a value.")
    match body.type:
        case "integer" if WHOLE.fullmatch(text):
            return int(text)
        case "number" if DECIMAL.fullmatch(text):
            return Number(re.sub(r"^(-?)0+(?=\d)", r"\1", text))  # JSON's numbers begin with no more than one
        case "boolean" if text in {"true", "false"}:
            return text == "true"
    raise UnfitTextError(f"`{text[:80]}` is not {KINDS[body.type]}.")
