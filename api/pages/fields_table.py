"""The fields of an entity as a table: what the registry says of each, its column, how often it is empty, and its drift. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from api.pages.null_shares import Shares
from api.relations import OURS, Relation
from sources.servicetitan.catalog import Entity
from sources.servicetitan.master import record_columns
from sources.servicetitan.registry import FEED_SEEN, Field
from sources.servicetitan.registry import Column as Typed
from store.operations import Row

TINY = 0.005  # a share that would be told as 0 %, or as 100 %
DRIFTED: Mapping[str, str] = {
    "added": "not in the field registry",
    "vanished": "no record has it any more",
    "retyped": "another type",
    "value": "a value that the registry does not list",
    "null": "without a value, where there always was one",
}
"""By kind of drift, what it is."""


@dataclass(frozen=True, slots=True)
class Drifted:
    """Where records differ from the registry, or from what they were."""

    what: str
    detail: str
    records: int
    first_seen: object


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field. Without a `column` it stands inside another one's, which `inside` names."""

    path: str
    type: str = ""
    format: str = ""
    may_be_empty: bool | None = None  # None: nobody knows
    values: Sequence[str] = ()
    is_in_optional: bool = False  # an object that may be empty as a whole
    is_seen_only: bool = False
    column: str = ""
    sql_type: str = ""
    inside: str = ""
    empty: float | None = None
    drift: Sequence[Drifted] = ()

    @property
    def is_contrary(self) -> bool:
        """Whether it is empty somewhere, and the registry says that neither it nor what it stands in ever is."""
        return self.may_be_empty is False and not self.is_in_optional and bool(self.empty)

    @property
    def depth(self) -> int:
        """How many fields it stands in."""
        return self.path.count(".")

    @property
    def leaf(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class OwnRow:
    """A column that is ours."""

    column: str
    sql_type: str
    description: str
    empty: float | None


def field_rows(entity: Entity, record: Sequence[Field], shares: Shares, drift: Iterable[Row]) -> list[FieldRow]:
    """The fields in the documents' order; behind them those that records have and the registry does not."""
    columns = {".".join(column.path): column for column in record_columns(entity, record) if column.path}
    drifts: dict[str, list[Drifted]] = {}
    for row in drift:
        drifts.setdefault(row["path"], []).append(drifted(row))
    known = [replace(row, drift=drifts.pop(row.path, ())) for row in documented(record, columns, shares)]
    return known + [FieldRow(path, drift=found) for path, found in drifts.items()]


def documented(record: Sequence[Field], columns: Mapping[str, Typed], shares: Shares) -> Iterator[FieldRow]:
    """The fields that the registry has."""
    optional = {field.path for field in record if field.nullable}
    for field in record:
        if field.path.endswith("[]"):
            continue  # the array itself says what its elements are
        column = columns.get(field.path)
        yield FieldRow(
            field.path,
            kind(field, record),
            field.format,
            field.nullable,
            field.enum,
            any(above in optional for above in around(field.path)),
            field.feed == FEED_SEEN,
            column.name if column else "",
            column.type if column else "",
            "" if column else holder(field.path, columns),
            shares.of(column.name) if column else None,
        )


def kind(field: Field, record: Sequence[Field]) -> str:
    """A field's type; of an array also that of its elements."""
    if field.type != "array":
        return field.type
    elements = next((other.type for other in record if other.path == f"{field.path}[]"), "")
    return f"array of {elements}s" if elements and elements != "any" else "array"


def holder(path: str, columns: Mapping[str, Typed]) -> str:
    """The column that holds a field which has none, with the objects around it; empty where its own fields have columns."""
    return next((columns[each].name for each in around(path) if each in columns), "")


def around(path: str) -> list[str]:
    """The paths of the objects and arrays that a field stands in, the innermost first."""
    parts = path.replace("[]", "").split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def drifted(row: Row) -> Drifted:
    """A difference as the store has it."""
    return Drifted(DRIFTED.get(row["kind"], row["kind"]), row["detail"], int(row["records"]), row["first_seen"])


def own_rows(relation: Relation, record: Sequence[Typed], shares: Shares) -> list[OwnRow]:
    """The columns of a master table that no field of the record gives."""
    theirs = {column.name for column in record if column.path}
    return [
        OwnRow(column.name, column.type, OURS.get(column.name, column.description), shares.of(column.name))
        for column in relation.columns
        if column.name not in theirs
    ]


def percent(share: float | None) -> str:
    """A share in per cent, which is 0 or 100 only where it is exactly so."""
    if share is None:
        return "\N{EN DASH}"
    if 0 < share < TINY:
        return "< 1 %"
    if 1 - TINY < share < 1:
        return "> 99 %"
    return f"{100 * share:.0f} %"
