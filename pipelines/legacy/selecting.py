"""The queries to the original's tables. Every value comes as text; identifiers are quoted, values bound."""

from collections.abc import Sequence
from typing import Any

from psycopg2 import sql

from pipelines.legacy.database import Column
from pipelines.legacy.spelling import JSON_TYPES, Shape

GROUPED = ("tenant", "key")
ORDERED = ("tenant", "key", "synced", "updated", "modified", "order")

Place = tuple[str | None, ...]
"""Tenant and key of a record as the original has them, as text."""


def grouping(shape: Shape) -> tuple[str, ...]:
    """The roles whose values name a record; none where the table has no key."""
    return tuple(role for role in GROUPED if role in shape.roles) if "key" in shape.roles else ()


def counting(shape: Shape) -> sql.Composable:
    """How many rows there are."""
    return sql.SQL("SELECT COUNT(*) FROM {}").format(sql.Identifier(shape.schema, shape.table))


def rows_of(shape: Shape, roles: Sequence[str], place: Place | None) -> tuple[sql.Composable, list[Any]]:
    """The rows behind a place, those of a record together and in the order of time, with a column for each role."""
    columns = sql.SQL(", ").join(text_of(shape.roles.get(role)) for role in roles)
    condition, values = behind(shape, place)
    table = sql.Identifier(shape.schema, shape.table)
    order = [sql.Identifier(each.name) for each in sorting(shape)]
    where = [sql.SQL("WHERE {}").format(condition)] if condition else []
    sort = [sql.SQL("ORDER BY {}").format(sql.SQL(", ").join(order))] if order else []
    parts = [sql.SQL("SELECT {} FROM {}").format(columns, table), *where, *sort]
    return sql.SQL(" ").join(parts), values


def sorting(shape: Shape) -> list[Column]:
    """The columns by which rows are sorted; JSON has no order."""
    return [shape.roles[role] for role in ORDERED if role in shape.roles and shape.roles[role].type not in JSON_TYPES]


def text_of(column: Column | None) -> sql.Composable:
    """A column's value as text, NULL where there is no such column."""
    return sql.SQL("CAST({} AS TEXT)").format(sql.Identifier(column.name)) if column else sql.SQL("NULL")


def behind(shape: Shape, place: Place | None) -> tuple[sql.Composable | None, list[Any]]:
    """The condition for records behind a place, NULL being the last one, and its values."""
    if place is None:
        return None, []
    choices: list[sql.Composable] = []
    same: list[sql.Composable] = []
    values: list[Any] = []
    same_values: list[Any] = []
    for role, value in zip(grouping(shape), place, strict=True):
        name = sql.Identifier(shape.roles[role].name)
        bound = sql.SQL("CAST(%s AS {})").format(sql.SQL(shape.roles[role].type))
        if value is not None:
            further = sql.SQL("({0} > {1} OR {0} IS NULL)").format(name, bound)
            choices.append(sql.SQL(" AND ").join([*same, further]))
            values += [*same_values, value]
            same.append(sql.SQL("{} = {}").format(name, bound))
            same_values.append(value)
        else:
            same.append(sql.SQL("{} IS NULL").format(name))
    if not choices:
        return sql.SQL("FALSE"), []
    return sql.SQL(" OR ").join(sql.SQL("({})").format(choice) for choice in choices), values
