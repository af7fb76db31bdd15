"""A row of the log as a page shows it: which fields differ, down to the parts of objects. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.pages.cell import ABSENT, Cell, cell, readable
from api.pages.customer_history import DID, KEPT_BY_SERVICETITAN, who
from api.pages.selection import Record, document

FOLDED = 6  # differences that are shown before the others are folded
DEEPEST = 8
CALLED = ("name", "id", "typeId")  # what tells the records in a list apart, if all of them have it
PAGES = {"customers": "/customers/"}
"""Entities whose records have a page of their own."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, or a part of one, as it was and is."""

    path: str
    old: Cell
    new: Cell


@dataclass(frozen=True, slots=True)
class Change:
    """A version of a record, and who made it."""

    at: datetime
    entity: str
    record_id: str
    did: str
    operation: str
    differences: list[Difference]
    who: str
    actor: str | None
    is_ours: bool
    mutation_id: str | None

    @property
    def page(self) -> str:
        """The address of the record's own page; empty where there is none."""
        return f"{PAGES[self.entity]}{self.record_id}" if self.entity in PAGES else ""

    @property
    def shown(self) -> list[Difference]:
        """The differences that one sees at once."""
        return self.differences[:FOLDED]

    @property
    def folded(self) -> list[Difference]:
        """Those that one must ask for."""
        return self.differences[FOLDED:]


def change(row: Record, names: dict[str, str], field: str = "") -> Change:
    """A row of the log. `names` are those of ServiceTitan's users; the differences of `field` come first."""
    fields: dict[str, Any] = document(row["changes"]) or {}
    asked = field.partition(".")[0]
    quiet = [name for name in sorted(fields) if name in KEPT_BY_SERVICETITAN and name != asked]
    told = sorted(fields.keys() - set(quiet), key=lambda name: (name != asked, name)) or quiet
    return Change(
        at=row["synced_at"],
        entity=row["entity"],
        record_id=row["record_id"],
        did=DID[row["operation"]],
        operation=row["operation"],
        differences=[
            each for name in told for each in differences(name, fields[name].get("old"), fields[name].get("new"))
        ],
        who=who(row["actor_type"], row["actor_id"], names),
        actor=row["actor_id"],
        is_ours=row["actor_type"] == "lazi",
        mutation_id=row["mutation_id"],
    )


def differences(path: str, old: Any, new: Any, depth: int = 0) -> Iterator[Difference]:
    """What differs in a field: of an object each part that does, of a list of records each one, by what it is called."""
    was, is_now = parts(old), parts(new)
    if was is None or is_now is None or depth >= DEEPEST:
        yield Difference(path, shown(old), shown(new))
        return
    for name in sorted(was.keys() | is_now.keys()):
        before, after = was.get(name, ABSENT), is_now.get(name, ABSENT)
        if before != after or type(before) is not type(after):
            yield from differences(f"{path}{name}", before, after, depth + 1)


def parts(value: Any) -> dict[str, Any] | None:
    """The parts of an object (`.street`), or of a list whose records have a name or number of their own (`[Gate code]`)."""
    if isinstance(value, dict):
        return {f".{name}": part for name, part in value.items()}
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        for name in CALLED:
            known = {f"[{one[name]}]": one for one in value if one.get(name) is not None}
            if len(known) == len(value):
                return known
    return None


def shown(value: Any) -> Cell:
    """A value for the eye; a list of plain values in one line."""
    if isinstance(value, list) and value and not any(isinstance(one, dict | list) for one in value):
        return Cell(readable(", ".join(cell(one).text for one in value)))
    return cell(value)
