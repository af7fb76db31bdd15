"""Drift: where landed records differ from the field registry, or from what they were at the last look. Pure, but for `look`.

Drift is told and kept, never an error: raw has every record whole, and a value that does not fit its column is NULL there
and stands in `audit.quarantine`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from typing import Any

from discovery.shapes import Shape, shape
from sources.servicetitan.catalog import BY_NAME, Feed
from sources.servicetitan.reading import Outcome
from sources.servicetitan.registry import FEED_SEEN, Field
from store.operations import Operations
from store.warehouse import DuckDB, Postgres

DEEPEST = 1  # dots in a path of which a column is made
Kinds = Mapping[str, tuple[Counter[str], bool]]
"""By path what was seen before: records with each kind of value, and whether every record had it."""
NEVER: tuple[Counter[str], bool] = (Counter(), False)
SCALAR = {"string", "integer", "number", "boolean"}


class Change(StrEnum):
    """What is different."""

    ADDED = "added"  # a field that the registry does not have
    VANISHED = "vanished"  # every record had it, none has
    RETYPED = "retyped"  # a value of another kind than the registry's
    VALUE = "value"  # one that the registry's list does not have
    NULL = "null"  # no value, where the registry says that there is always one, and there was


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference, and in how many records of those that have a value there."""

    entity: str
    path: str
    change: Change
    detail: str
    records: int
    looked_at: int = 0  # where it is not known

    @property
    def share(self) -> float:
        """The part of the values that differ; all, where it is not known."""
        return self.records / self.looked_at if self.looked_at else 1.0

    def __str__(self) -> str:
        """For the eye."""
        return f"{self.entity}.{self.path}: {self.change}{f' {self.detail}' if self.detail else ''}"


def fits(field: Field, kind: str) -> bool:
    """Whether a kind of value is of a field's type."""
    return field.type in {"any", kind} or (field.type == "number" and kind == "integer")


def drift(entity: str, found: Shape, record: Sequence[Field], before: Kinds) -> Iterator[Drift]:
    """What differs in a batch of records, and did not before."""
    fields = {field.path: field for field in record if "[]" not in field.path and field.path.count(".") <= DEEPEST}
    for path, kinds in sorted(found.kinds.items()):
        field, seen = fields.get(path), before.get(path, NEVER)[0]
        if field:
            yield from misfits(field, kinds, seen)
            yield from new_values(field, found.values.get(path, set()))
        elif not seen and is_column(path, fields):
            yield Drift(entity, path, Change.ADDED, told(kinds), sum(kinds.values()))
    for path, (_, was_constant) in sorted(before.items()):
        if was_constant and path not in found.kinds and found.has_object(path.rpartition(".")[0]):
            yield Drift(entity, path, Change.VANISHED, "", found.records)


def misfits(field: Field, kinds: Mapping[str, int], seen: Counter[str]) -> Iterator[Drift]:
    """Values of kinds that a field does not have."""
    looked_at = values(seen + Counter(kinds))
    for kind, times in kinds.items():
        if kind == "null":
            if seen and not field.nullable and kind not in seen:
                yield Drift(field.entity, field.path, Change.NULL, "", times)
        elif kind not in seen and not fits(field, kind):
            yield Drift(field.entity, field.path, Change.RETYPED, f"{field.type} -> {kind}", times, looked_at)


def values(kinds: Counter[str]) -> int:
    """Records with a value."""
    return kinds.total() - kinds["null"]


def new_values(field: Field, found: set[str]) -> Iterator[Drift]:
    """Values that a field's list does not have."""
    for value in sorted(found - set(field.enum)) if field.enum else ():
        yield Drift(field.entity, field.path, Change.VALUE, value, 1)


def is_column(path: str, fields: Mapping[str, Field]) -> bool:
    """Whether an unknown field would be a column: not below one that is JSON as a whole, or is unknown itself."""
    parent = path.rpartition(".")[0]
    return not parent or (parent in fields and any(other.startswith(f"{parent}.") for other in fields))


def told(kinds: Iterable[str]) -> str:
    """Kinds of value as one type of the registry."""
    real = {kind for kind in kinds if kind != "null"}
    return reduce(wider, real, real.pop()) if real else "any"


def look(
    operations: Operations,
    warehouse: DuckDB | Postgres,
    registry: Mapping[str, Sequence[Field]],
    outcomes: Iterable[Outcome],
) -> list[Drift]:
    """Look at what these reads appended; what differs, which is also written down."""
    found: list[Drift] = []
    for outcome in outcomes:
        entity = outcome.entity
        if not outcome.tally.appended or entity.feed is Feed.REPORT:
            continue
        record = registry[entity.name]
        seen = shape(warehouse, outcome, [one.path for one in record if one.enum and "[]" not in one.path])
        if seen.records:
            found += noted(operations, outcome.tenant_id, entity.name, seen, record)
    return found


def noted(operations: Operations, tenant_id: int, entity: str, seen: Shape, record: Sequence[Field]) -> list[Drift]:
    """What differs in a batch, written down together with its shape.

    The shape goes last: what differs is told again where this ends between the two, and never where a shape has it.
    """
    now, whose = datetime.now(UTC), {"tenant_id": tenant_id, "entity": entity}
    before = {
        row["path"]: (counted(row["kinds"]), bool(row["is_constant"])) for row in operations.run("shapes", **whose)
    }
    found = list(drift(entity, seen, record, before))
    operations.run_all(
        "note_drift",
        [
            {
                **whose,
                "path": one.path,
                "kind": str(one.change),
                "detail": one.detail,
                "records": one.records,
                "now": now,
            }
            for one in found
        ],
    )
    operations.run_all(
        "note_shape",
        [
            {**whose, "path": path, "kinds": listed(kinds), "is_constant": is_constant, "now": now}
            for path, (kinds, is_constant) in together(before, seen, found).items()
        ],
    )
    return found


def together(before: Kinds, seen: Shape, found: Iterable[Drift]) -> Kinds:
    """What was seen before and now, of the paths that are there now or are gone.

    What is not known from before was in no record, unless there was none; then it is in every one that has it now.
    """
    both = {
        path: (
            before.get(path, NEVER)[0] + Counter(kinds),
            seen.is_constant(path) and (not before or before.get(path, NEVER)[1]),
        )
        for path, kinds in seen.kinds.items()
    }
    return both | {one.path: (before[one.path][0], False) for one in found if one.change is Change.VANISHED}


def counted(text: str) -> Counter[str]:
    """Kinds of value as the store has them, `integer:995,string:5`; of former versions without their numbers."""
    parts = (part.partition(":") for part in text.split(","))
    return Counter({kind: int(times or 1) for kind, _, times in parts})


def listed(kinds: Counter[str]) -> str:
    """Kinds of value for the store."""
    return ",".join(f"{kind}:{times}" for kind, times in sorted(kinds.items()))


def applied(record: Sequence[Field], changes: Iterable[Drift]) -> tuple[Field, ...]:
    """A record's fields with these differences taken over. What vanished stays: old records have it."""
    fields = {field.path: field for field in record}
    for one in changes:
        old = fields.get(one.path)
        match one.change:
            case Change.ADDED if old is None:
                fields[one.path] = Field(one.entity, one.path, one.detail, "", nullable=True, enum=(), feed=FEED_SEEN)
            case Change.RETYPED if old:
                kind = one.detail.rpartition(" ")[2]
                fields[one.path] = replace(old, type=wider(old.type, kind), format="", enum=())
            case Change.VALUE if old and one.detail not in old.enum:
                fields[one.path] = replace(old, enum=(*old.enum, one.detail))
            case Change.NULL if old:
                fields[one.path] = replace(old, nullable=True)
            case _:
                pass
    return tuple(fields.values())


def wider(one: str, other: str) -> str:
    """The narrowest type that holds values of both: a text holds every scalar."""
    if {one, other} <= {"integer", "number"}:
        return "number"
    return "string" if {one, other} <= SCALAR else "any"


def of_rows(rows: Iterable[Mapping[str, Any]]) -> list[Drift]:
    """Differences as the store has them, of entities that there still are."""
    return [of_row(row) for row in rows if row["entity"] in BY_NAME]


def of_row(row: Mapping[str, Any]) -> Drift:
    """One of them. Another kind of value is counted ever since, with all that was looked at."""
    found = Drift(row["entity"], row["path"], Change(row["kind"]), row["detail"], int(row["records"]))
    if found.change is not Change.RETYPED or not row["kinds"]:
        return found
    kinds = counted(row["kinds"])
    return replace(found, records=kinds[found.detail.rpartition(" ")[2]] or found.records, looked_at=values(kinds))
