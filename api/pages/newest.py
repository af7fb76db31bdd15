"""The records of an entity that changed last, as a page lists them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlglot import exp

from api.query import Query, Writer, column, packed
from api.relations import Relation, master
from api.render import DECODER, as_json
from api.resources import searched
from store.reader import Reader

MOST = 10
NAMES = 2  # columns that say what a record is
LONGEST = 90  # characters of a name
CUSTOMER = {"customers": "st_id"}
"""By entity the column with the key of the customer that a record is of; elsewhere it is `customer_id`."""


@dataclass(frozen=True, slots=True)
class Newest:
    """Records, the newest first, as values by column. Columns are empty where the entity has none of the kind."""

    records: Sequence[Mapping[str, Any]]
    names: Sequence[str]
    customer: str
    modified: str


def newest(reader: Reader, tenant: int, entity: str) -> Newest:
    """The records of an entity that changed last and are not deleted. Raises StoreError."""
    relation = master(entity)
    names = tuple(searched(relation)[:NAMES])
    customer = CUSTOMER.get(entity) or ("customer_id" if relation.has("customer_id") else "")
    modified = "modified_on" if relation.has("modified_on") else "version_at"
    shown = tuple(dict.fromkeys(filter(None, ("st_id", *names, customer, modified, "synced_at"))))
    made = query(relation, shown, reader.dialect)
    columns = [relation.column(name) for name in shown]
    rows = reader.fetch(made.sql, [tenant])
    return Newest([DECODER.decode(as_json(row, columns, reader.dialect)) for row in rows], names, customer, modified)


@lru_cache(512)
def query(relation: Relation, names: tuple[str, ...], dialect: str) -> Query:
    """These columns of the newest records, in an order that PostgreSQL has an index for."""
    writer = Writer(dialect)
    found = exp.select(*map(column, names)).from_(exp.to_table(relation.name))
    found = found.where(exp.EQ(this=column("tenant_id"), expression=writer.value("tenant")), copy=False)
    found = found.where(exp.not_(column("is_deleted")), copy=False)
    found = found.order_by(*order(relation), copy=False).limit(MOST, copy=False)
    return writer.written(packed(found, [relation.column(name) for name in names], [], dialect))


def order(relation: Relation) -> list[exp.Ordered]:
    """By ServiceTitan's moment of modification where records have one, else by when they landed."""
    if relation.has("modified_on"):
        return [down("modified_on", nulls_first=False), down("st_id", nulls_first=True)]
    return [down("synced_at", nulls_first=True)]


def down(name: str, *, nulls_first: bool) -> exp.Ordered:
    """A column downwards; whether nulls come first decides whether an index serves, also where there are none."""
    return exp.Ordered(this=column(name), desc=True, nulls_first=nulls_first)


def shortened(value: Any) -> str:
    """A name in a line."""
    text = " ".join(str("" if value is None else value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
