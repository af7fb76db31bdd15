"""What answers look like, as msgspec structs made from relations: the OpenAPI document is made from them.

Answers themselves are written as bytes by `render.py`; tests decode every answer into these structs.
"""

from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

import msgspec

from api.relations import Column, Relation

TYPES: dict[str, Any] = {
    "BIGINT": int,
    "NUMERIC(18,6)": Decimal,
    "DOUBLE PRECISION": float,
    "BOOLEAN": bool,
    "TEXT": str,
    "TIMESTAMPTZ": datetime,
    "DATE": date,
    "JSONB": Any,
}
"""Python type by SQL type."""


class Meta(msgspec.Struct, kw_only=True):
    """What is told beside the rows of a page."""

    total: Annotated[int, msgspec.Meta(description="Rows that match, on all pages")]
    total_is_estimate: Annotated[
        bool, msgspec.Meta(description="Whether `total` is PostgreSQL's estimate, beyond 20,000")
    ]
    limit: Annotated[int, msgspec.Meta(description="Rows that a page may hold")]
    offset: Annotated[int, msgspec.Meta(description="Rows left out before this page")]
    has_more: Annotated[bool, msgspec.Meta(description="Whether rows follow")]
    next: Annotated[
        str | None, msgspec.Meta(description="The value of `after` for the next page; null on the last one")
    ]
    last_sync: Annotated[
        datetime | None, msgspec.Meta(description="When the entity was last read from ServiceTitan without an error")
    ]


def optional(column: Column) -> tuple[str, Any, Any]:
    """A column as a field that `fields` may leave out."""
    kind = TYPES[column.type]
    return (column.name, Annotated[kind | None, msgspec.Meta(description=column.description)], None)


def demanded(column: Column) -> tuple[str, Any]:
    """A column as a field that always has a value."""
    return (column.name, Annotated[TYPES[column.type], msgspec.Meta(description=column.description)])


@cache
def row(name: str, relation: Relation, more: tuple[tuple[str, type], ...] = ()) -> type[msgspec.Struct]:
    """A relation's row; `more` are fields that a detail adds."""
    always = [demanded(column) for column in relation.columns if column.name in relation.key]
    rest = [optional(column) for column in relation.columns if column.name not in relation.key]
    added = [(field, kind | None, None) for field, kind in more]
    made = msgspec.defstruct(name, [*always, *rest, *added], kw_only=True, module=__name__)
    RELATIONS[made] = (relation, more)
    return made


RELATIONS: dict[type, tuple[Relation, tuple[tuple[str, type], ...]]] = {}
"""What each row's type was made of."""


@cache
def page(name: str, kind: type) -> type[msgspec.Struct]:
    """A page of rows."""
    return msgspec.defstruct(f"{name}Page", [("data", list[kind]), ("meta", Meta)], kw_only=True, module=__name__)  # type: ignore[valid-type]


@cache
def detail(name: str, kind: type) -> type[msgspec.Struct]:
    """One record."""
    return msgspec.defstruct(f"{name}Detail", [("data", kind)], kw_only=True, module=__name__)


def camel(name: str) -> str:
    """`open_estimates` to `OpenEstimates`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
