"""What differs between a record as it was known, as it is, and as it is wanted. Pure: values in, values out.

Values are compared as ServiceTitan means them: `12.5` and `"12.50"` are one amount, moments are equal whatever their
fractions' length, an empty text is no text, and of an object only the fields that are wanted count.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

BOOKKEEPING = frozenset({"modifiedOn", "modifiedById", "modifiedBy", "externalData", "createdOn"})
"""Fields that ServiceTitan keeps itself, or shows in one answer and not in another."""

AMOUNT = re.compile(r"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?", re.ASCII)
"""An amount as ServiceTitan sends it as text; a postal code that begins with 0 is none."""

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


def difference(base: Record | None, live: Record, wanted: Record) -> Difference:
    """Compare the record as it was known, as it is and as it is wanted."""
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
    merged = sorted(
        name
        for name in base.keys() & live.keys() - BOOKKEEPING
        if name not in wanted and not same(base[name], live[name])
    )
    return Difference(conflicts, merged, changes, unseen)


def alike(base: Any, live: Any, wanted: Any) -> bool:
    """Whether what is wanted of a value has not changed; of an object only the fields that are wanted count."""
    if isinstance(wanted, dict) and isinstance(base, dict) and isinstance(live, dict):
        return all(alike(base.get(name), live.get(name), part) for name, part in wanted.items())
    return same(base, live)


def not_taken(live: Record, wanted: Record) -> dict[str, dict[str, Any]]:
    """By field what was wanted and what is there instead, of the fields that the record shows."""
    return {
        name: {"wanted": value, "found": live[name]}
        for name, value in wanted.items()
        if name in live and name not in BOOKKEEPING and not fits(value, live[name])
    }


def fits(wanted: Any, found: Any) -> bool:
    """Whether nothing of what is there differs from what is wanted.

    Bodies and records do not always have the same form: what the record does not show, or shows as a list where the body
    has an object, cannot differ.
    """
    if isinstance(wanted, dict | list) and isinstance(found, dict | list) and type(wanted) is not type(found):
        return True
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(fits(part, found[name]) for name, part in wanted.items() if name in found)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(fits, wanted, found))
    return same(wanted, found)


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
    return (
        wanted == found
        or (amount(wanted) is not None and amount(wanted) == amount(found))
        or same_moment(wanted, found)
    )


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
