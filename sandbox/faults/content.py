"""Faults of content: odd records. What becomes of a record follows from the record's version alone.

Keys, `modifiedOn` and `active` stay as they are, so that it is known which record an odd one is.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from sandbox.chance import MASK, mix, salt
from sandbox.faults.board import Board
from sandbox.shape import active_path, fields_in
from sources.servicetitan.catalog import BY_NAME
from sources.servicetitan.registry import Field

DEPTH = 2
"""The record's own fields, and those of the objects in it."""

Record = dict[str, Any]
Draw = Callable[[Field, Any, int], Any]


def is_text(field: Field) -> bool:
    """Whether a field holds free text."""
    return (field.type, field.format, field.enum) == ("string", "", ())


def wrong_type(field: Field, value: Any, number: int) -> Any:
    """A value of another type than the documents promise."""
    if number % 3 == 0:
        return {"unexpected": value}
    return f"about {value}" if field.type in {"integer", "number"} else number % 1000


def with_nul(_: Field, value: Any, number: int) -> str:
    """A text with NUL in it."""
    return split(str(value), "\x00", number)


def with_half_a_pair(_: Field, value: Any, number: int) -> str:
    """A text with a high surrogate that has no low one."""
    return split(str(value), "\ud83d", number)


def as_integer(field: Field, value: Any, _: int) -> Any:
    """An enum's number."""
    return field.enum.index(value) if value in field.enum else value


def split(text: str, mark: str, number: int) -> str:
    """A text with a mark somewhere in it."""
    place = number % (len(text) + 1)
    return f"{text[:place]}{mark}{text[place:]}"


@dataclass(frozen=True, slots=True)
class Change:
    """A fault that changes one value: in which fields it may, and how."""

    fits: Callable[[Field], bool]
    draw: Draw


CHANGES: dict[str, Change] = {
    "integer_enums": Change(lambda field: bool(field.enum), as_integer),
    "wrong_types": Change(lambda field: field.is_scalar and field.type != "boolean", wrong_type),
    "nul": Change(is_text, with_nul),
    "half_pairs": Change(is_text, with_half_a_pair),
}


@cache
def changeable(name: str, feed: str, fault: str) -> tuple[Field, ...]:
    """The fields of an entity that a fault may change."""
    entity = BY_NAME[name]
    kept = {*entity.key, entity.cursor, active_path(entity)}
    return tuple(
        field
        for field in fields_in(entity, feed)
        if field.path not in kept
        and "[]" not in field.path
        and field.path.count(".") < DEPTH
        and CHANGES[fault].fits(field)
    )


def spoiled(record: Record, face: tuple[str, str], number: int, board: Board) -> Record:
    """A record as the faults that are on make it; `number` stands for its version."""
    for fault, change in CHANGES.items():
        mixed = mix(number ^ salt(fault))
        there = [field for field in changeable(*face, fault) if present(record, field)]
        if there and board.draws(fault, mixed):
            record = changed(record, there, change.draw, mixed & MASK)
    if board.draws("unknown_fields", number):
        record = record | {"unknownField": number % 1000, "unknownObject": {"name": "ñ", "since": "2027-01-01"}}
    return record


def present(record: Record, field: Field) -> bool:
    """Whether a record has a scalar in a field."""
    *above, leaf = field.path.split(".")
    holder = record.get(above[0]) if above else record
    return isinstance(holder, dict) and isinstance(holder.get(leaf), str | int | float)


def changed(record: Record, fields: Sequence[Field], draw: Draw, number: int) -> Record:
    """A record in which one of these fields has another value."""
    field = fields[number % len(fields)]
    *above, leaf = field.path.split(".")
    if not above:
        return record | {leaf: draw(field, record[leaf], number >> 8)}
    holder = record[above[0]]
    return record | {above[0]: holder | {leaf: draw(field, holder[leaf], number >> 8)}}


def encoded(record: Record) -> bytes:
    """A record as JSON; half a surrogate pair, which is no UTF-8, as an escape."""
    try:
        return msgspec.json.encode(record)
    except UnicodeEncodeError:
        return json.dumps(record, separators=(",", ":")).encode()
