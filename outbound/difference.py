"""What differs between a record as it was known, as it is, and as it is wanted. Pure: values in, values out.

Values are compared as ServiceTitan means them: `12.5` and `"12.50"` are one amount where one of them is a number, moments
are equal whatever their fractions' length, an empty text is no text, and of an object only the fields that are wanted
count. Two texts are never amounts: a code `10.10` is another one than `10.1`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from outbound.registry import Node

BOOKKEEPING = frozenset({"modifiedOn", "modifiedById", "modifiedBy", "externalData", "createdOn"})
"""Fields that ServiceTitan keeps itself, or shows in one answer and not in another."""

AMOUNT = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?", re.ASCII)
"""An amount as ServiceTitan sends it as text; a postal code that begins with 0 is none."""

NAMES = ("id", "name", "value")
"""By which an object stands for a value: `{"id": 5, "name": "Sold"}` for 5, and for `Sold`."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What wanting some values means for a record as it is."""

    conflicts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by field base, theirs and mine
    merged: list[str] = field(default_factory=list)  # changed there, and none of ours
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)  # by field old and new
    unseen: list[str] = field(default_factory=list)  # wanted, and not shown by the record

    @property
    def is_there(self) -> bool:
        """Whether the record is as wanted already, as far as can be seen of all that is wanted."""
        return not self.changes and not self.unseen


def difference(base: Record | None, live: Record, wanted: Record, emptied: Iterable[str] = ()) -> Difference:
    """Compare the record as it was known, as it is and as it is wanted.

    `emptied` are fields that sending `wanted` empties because it leaves them out, as a PUT does: what changed there in one
    of them is a conflict whose `mine` is None.
    """
    changes = {
        name: {"old": live[name], "new": value}
        for name, value in wanted.items()
        if name in live and not same(value, live[name])
    }
    unseen = [name for name in wanted if name not in live]
    if base is None:
        return Difference({}, [], changes, unseen)
    conflicts = {
        name: {"base": base[name], "theirs": live[name], "mine": wanted[name]}
        for name in changes
        if name in base and not alike(base[name], live[name], wanted[name])
    }
    others = sorted(
        name
        for name in base.keys() & live.keys() - BOOKKEEPING
        if name not in wanted and not same(base[name], live[name])
    )
    lost = set(others) & set(emptied)
    conflicts |= {name: {"base": base[name], "theirs": live[name], "mine": None} for name in sorted(lost)}
    return Difference(conflicts, [name for name in others if name not in lost], changes, unseen)


def alike(base: Any, live: Any, wanted: Any) -> bool:
    """Whether what is wanted of a value has not changed; of an object only the fields that are wanted count."""
    if isinstance(wanted, dict) and isinstance(base, dict) and isinstance(live, dict):
        return all(alike(base.get(name), live.get(name), part) for name, part in wanted.items())
    return same(base, live)


def not_taken(live: Record, wanted: Record, body: Node | None = None) -> dict[str, dict[str, Any]]:
    """By field what was wanted and what is there instead, of the fields that the record shows.

    `body` is what the registry knows of the operation's body: names that ServiceTitan takes in any case.
    """
    return {
        name: {"wanted": value, "found": live[name]}
        for name, value in wanted.items()
        if name in live and name not in BOOKKEEPING and taken(value, live[name], child(body, name)) is False
    }


def taken(wanted: Any, found: Any, node: Node | None = None) -> bool | None:
    """Whether what is there is what was wanted; None where the record's form does not tell.

    Bodies and records do not always have the same form. Names come back in ServiceTitan's own case, ids as the objects that
    they stand for, lists of ids in another order; what is shown as a list where the body has an object cannot be compared.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        return together(taken(part, found[name], child(node, name)) for name, part in wanted.items() if name in found)
    if isinstance(wanted, list) and isinstance(found, list):
        return taken_list(wanted, found, node.element if node else None)
    if is_scalar(wanted) and isinstance(found, dict) and wanted not in (None, ""):
        named = [found[name] for name in NAMES if found.get(name) is not None]
        return any(taken(wanted, each, node) for each in named) if named else None
    if isinstance(wanted, dict | list) and isinstance(found, dict | list):
        return None
    if node and node.field.enum and isinstance(wanted, str) and isinstance(found, str):
        return wanted.casefold() == found.casefold()
    return same(wanted, found)


def taken_list(wanted: list[Any], found: list[Any], node: Node | None) -> bool | None:
    """Whether a list is the wanted one; of ids the order does not count."""
    if len(wanted) != len(found):
        return False
    if all(map(is_scalar, wanted)) and all(map(is_scalar, found)):
        return Counter(map(plain, wanted)) == Counter(map(plain, found))
    if all(map(is_scalar, wanted)):
        left = list(found)
        for value in wanted:
            hit = next((each for each in left if taken(value, each, node) is not False), None)
            if hit is None:
                return False
            left.remove(hit)
        return True
    return together(taken(value, each, node) for value, each in zip(wanted, found, strict=True))


def together(parts: Iterable[bool | None]) -> bool | None:
    """False where one part is, None where no part tells."""
    told = [part for part in parts if part is not None]
    return all(told) if told else None


def child(node: Node | None, name: str) -> Node | None:
    """What is known of a field inside an object."""
    return node.children.get(name) if node else None


def is_scalar(value: Any) -> bool:
    """Whether a value has no parts."""
    return not isinstance(value, dict | list)


def plain(value: Any) -> Any:
    """A scalar as it is counted: numbers by their amount."""
    return value if isinstance(value, bool | str) else amount(value)


def visible(live: Record, wanted: Record) -> list[str]:
    """The wanted fields that the record shows."""
    return [name for name in wanted if name in live and name not in BOOKKEEPING]


def same(wanted: Any, found: Any) -> bool:
    """Whether a value is the wanted one."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(same(part, found.get(name)) for name, part in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(same, wanted, found))
    if wanted in (None, "") and found in (None, ""):
        return True
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return wanted == found or same_amount(wanted, found) or same_moment(wanted, found)


def same_amount(one: Any, other: Any) -> bool:
    """Whether two values are one amount; at least one of them is a number."""
    if isinstance(one, str) and isinstance(other, str):
        return False
    first = amount(one)
    return first is not None and first == amount(other)


def amount(value: Any) -> Decimal | None:
    """A number, also when it is sent as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, str):
        return Decimal(value) if AMOUNT.fullmatch(value) else None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def same_moment(one: Any, other: Any) -> bool:
    """Whether two texts are the same moment."""
    first, second = moment(one), moment(other)
    return first is not None and first == second


def moment(value: Any) -> datetime | None:
    """A moment in a text, without a zone in UTC; None for anything else."""
    if not isinstance(value, str) or len(value) < len("2026-01-02"):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
