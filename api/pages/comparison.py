"""A change beside what it changes, field by field: as the copy has it, as it is in ServiceTitan, as it is wanted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.pages.customer_form import KEY, NAME, VALUE, Choices, at, label, texts
from api.pages.selection import Record
from outbound.difference import same

LONGEST = 2_000  # characters of a value
Names = Mapping[str, str]
"""Names of records by their keys."""


@dataclass(frozen=True, slots=True)
class Row:
    """One field that changes; `now` is None where nobody asked ServiceTitan."""

    label: str
    was: str
    now: str | None
    will_be: str
    is_conflict: bool


def compared(
    base: Record, payload: Record, live: Record | None, conflicts: Mapping[str, Any], choices: Choices
) -> list[Row]:
    """The fields of a payload that differ from the version it was made on, or from what is there."""
    rows = []
    for name, value in payload.items():
        names = dict(choices.get(name, ()))
        for words, was, will_be, now in parts(name, base.get(name), value, at(live, name)):
            if not same(will_be, was) or (live is not None and not same(will_be, now)):
                told = in_words(now, names) if live is not None else None
                rows.append(Row(words, in_words(was, names), told, in_words(will_be, names), name in conflicts))
    return rows


def changed(fields: Mapping[str, Mapping[str, Any]], names: Mapping[str, Names]) -> list[tuple[str, str, str]]:
    """What a version changed, by label: old and new. `fields` are as the log has them, `names` are of records by field."""
    return [
        (words, in_words(was, names.get(name, {})), in_words(is_now, names.get(name, {})))
        for name, change in fields.items()
        for words, was, is_now, _ in parts(name, change.get("old"), change.get("new"), None)
        if not same(is_now, was)
    ]


def parts(name: str, was: Any, will_be: Any, now: Any) -> list[tuple[str, Any, Any, Any]]:
    """A field, or each part of an object and each custom field in it: its label, what it was, will be and is now."""
    if isinstance(will_be, dict):
        head = label(name)
        return [(f"{head}: {label(part).lower()}", at(was, part), new, at(now, part)) for part, new in will_be.items()]
    if isinstance(will_be, list) and will_be and all(isinstance(each, dict) and KEY in each for each in will_be):
        keys = [each[KEY] for each in will_be]
        return [(called(name, was, key), known(was, key), known(will_be, key), known(now, key)) for key in keys]
    return [(label(name), was, will_be, now)]


def called(name: str, fields: Any, key: Any) -> str:
    """What a custom field is called."""
    return known(fields, key, NAME) or f"{label(name)} {key}"


def known(fields: Any, key: Any, name: str = VALUE) -> Any:
    """What a record has for a custom field."""
    return next((each.get(name) for each in fields or [] if at(each, KEY) == key), None)


def in_words(value: Any, names: Names) -> str:
    """A value as people read it; nothing is empty."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{label(part).lower()} {in_words(each, names)}" for part, each in value.items())
    if isinstance(value, list):
        return ", ".join(in_words(each, names) for each in value)
    text = names.get(texts(value)[0]) or texts(value)[0]
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
