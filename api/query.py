"""SQL for reads.

A query's text depends on the shape of a request alone, never on its values, so that texts are few, kept, and free of
anything that a stranger wrote. A row comes as its columns (DuckDB) or as one JSON text (PostgreSQL, which makes it itself),
followed by the text of each column that it is sorted by, which is what the next page goes on behind.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from sqlglot import exp, parse_one

from api.relations import Column, Relation
from api.resources import Comparison, Filter, Resource
from store.looped import Plan
from store.texts import COMPARED_CHARACTERS, SORTED_CHARACTERS

TRY_FUNCTIONS = {
    "BIGINT": "try_bigint",
    "NUMERIC(18,6)": "try_numeric",
    "DOUBLE PRECISION": "try_double",
    "BOOLEAN": "try_boolean",
    "TIMESTAMPTZ": "try_timestamptz",
    "DATE": "try_date",
}
"""The functions in the schema `raw` that try a cast, by type."""

ISO = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
MARKS = {"postgres": "%s", "duckdb": "?"}


class Behind(StrEnum):
    """Where a page begins."""

    BEGINNING = "beginning"
    VALUE = "value"  # behind a row whose first sort value is known
    NULL = "null"  # behind a row whose first sort value is null
    NULLS = "nulls"  # at the first row whose sort value is null


@dataclass(frozen=True, slots=True)
class Shape:
    """All of a request that decides the text of its query."""

    resource: Resource
    columns: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    fixed: tuple[str, ...] = ()  # columns that the path gives a value
    search: bool = False
    deleted: str = "include"  # exclude, include or only
    sort: str = ""  # empty: the relation's key
    descending: bool = False
    behind: Behind = Behind.BEGINNING

    @property
    def of_all(self) -> "Shape":
        """The same rows, whatever is shown of them and in which order."""
        return replace(self, columns=(), sort="", descending=False)

    @property
    def sorts(self) -> tuple[str, ...]:
        """The columns that rows are sorted by; the last ones tell rows apart."""
        key = self.resource.relation.key
        return (self.sort, *(name for name in key if name != self.sort)) if self.sort else key


def warm(dialect: str) -> None:
    """Load what writing queries needs, which the first request would wait for otherwise."""
    exp.select("1").sql(dialect=dialect)


@dataclass(frozen=True, slots=True)
class Query:
    """A query's text, and the names of its values in order."""

    sql: str
    slots: tuple[str, ...]
    plan: Plan | None = Plan.OWN  # see Question


class Writer:
    """Writes one query in one dialect, noting its values in the order in which they stand."""

    def __init__(self, dialect: str) -> None:
        """Nothing is written yet."""
        self.dialect, self.slots = dialect, list[str]()

    def value(self, slot: str, kind: str = "") -> exp.Expr:
        """The place of a value."""
        self.slots.append(slot)
        mark = exp.Var(this=MARKS[self.dialect])
        return exp.cast(mark, kind, dialect="postgres") if kind else mark

    def written(self, query: exp.Expr, plan: Plan = Plan.OWN) -> Query:
        """The whole of it."""
        return Query(query.sql(dialect=self.dialect), tuple(self.slots), plan)


def column(name: str, table: str = "") -> exp.Column:
    """A column by name."""
    return exp.column(exp.to_identifier(name, quoted=True), table=table or None)


@lru_cache(4096)
def rows(shape: Shape, dialect: str) -> Query:
    """The rows of a page: slots `limit` and `offset`, and what the filters are named."""
    writer = Writer(dialect)
    relation = shape.resource.relation
    shown = [relation.column(name) for name in shape.columns]
    sorts = [f"_sort_{number}" for number in range(len(shape.sorts))]
    picked: list[exp.Expr] = [column(each.name) for each in shown]
    picked += [exp.alias_(place(relation, name), alias) for name, alias in zip(shape.sorts, sorts, strict=True)]
    found = exp.select(*picked).from_(exp.to_table(relation.name))
    for condition in (*conditions(writer, shape), *behind(writer, shape)):
        found = found.where(condition, copy=False)
    for name in shape.sorts:
        found = found.order_by(ordered(name, relation, descending=shape.descending), copy=False)
    found = found.limit(writer.value("limit"), copy=False).offset(writer.value("offset"), copy=False)
    return writer.written(packed(found, shown, sorts, dialect))


def ordered(name: str, relation: Relation, *, descending: bool) -> exp.Ordered:
    """A column to sort by: null is the lowest value. Keys are never null and go as PostgreSQL's indexes do."""
    nulls_first = descending if name in relation.key else not descending
    return exp.Ordered(this=place(relation, name), desc=descending, nulls_first=nulls_first)


def place(relation: Relation, name: str) -> exp.Expr:
    """What rows are sorted by for a column: of a text its beginning, as indexes have it; but a key's text is unique."""
    if relation.column(name).type == "TEXT" and name not in relation.key:
        return beginning(column(name), SORTED_CHARACTERS)
    return column(name)


def beginning(text: exp.Expr, characters: int) -> exp.Expr:
    """So many characters of a text at most."""
    return exp.Left(this=text, expression=exp.Literal.number(characters))


@lru_cache(4096)
def count(shape: Shape, dialect: str, *, most: bool = False) -> Query:
    """How many rows there are; with `most` at most as many as the slot `most` says."""
    writer = Writer(dialect)
    inner = exp.select("1").from_(exp.to_table(shape.resource.relation.name))
    for condition in conditions(writer, shape):
        inner = inner.where(condition, copy=False)
    if most:
        inner = inner.limit(writer.value("most"), copy=False)
    return writer.written(exp.select("COUNT(*)").from_(inner.subquery("counted")))


@lru_cache(4096)
def estimate(shape: Shape) -> Query:
    """What PostgreSQL would do to find them all, with the number of rows that it expects."""
    writer = Writer("postgres")
    found = exp.select("1").from_(exp.to_table(shape.resource.relation.name))
    for condition in conditions(writer, shape):
        found = found.where(condition, copy=False)
    made = writer.written(found)
    return Query(f"EXPLAIN (FORMAT JSON) {made.sql}", made.slots, None)


@lru_cache(4096)
def detail(resource: Resource, columns: tuple[str, ...], fixed: tuple[str, ...], dialect: str) -> Query:
    """The row whose `fixed` columns have these values."""
    writer = Writer(dialect)
    relation = resource.relation
    found = exp.select(*map(column, columns)).from_(exp.to_table(relation.name))
    for condition in conditions(writer, Shape(resource, columns, fixed=fixed)):
        found = found.where(condition, copy=False)
    whole = packed(found.limit(1, copy=False), [relation.column(name) for name in columns], [], dialect)
    return writer.written(whole, Plan.SHARED)


@lru_cache(4096)
def as_of(resource: Resource, columns: tuple[str, ...], dialect: str) -> Query:
    """The record with the key `key` of `tenant` as it was at the moment `as_of`, typed as in master."""
    writer = Writer(dialect)
    relation = resource.relation
    shown = [relation.column(name) for name in columns]
    newest = exp.select("*").from_(exp.to_table(f"raw.{relation.raw_table}"))
    newest = newest.where(exp.EQ(this=column("tenant_id"), expression=writer.value("tenant")), copy=False)
    newest = newest.where(exp.EQ(this=column("st_id"), expression=writer.value("key")), copy=False)
    newest = newest.where(exp.LTE(this=column("synced_at"), expression=writer.value("as_of")), copy=False)
    for name, nulls_first in (("modified_on", False), ("synced_at", False), ("payload_hash", False)):
        newest = newest.order_by(exp.Ordered(this=column(name), desc=True, nulls_first=nulls_first), copy=False)
    typed = exp.select(*(exp.alias_(historic(relation, each), each.name, quoted=True) for each in shown))
    typed = typed.from_(newest.limit(1, copy=False).subquery("newest"))
    return writer.written(packed(typed, shown, [], dialect))


def historic(relation: Relation, wanted: Column) -> exp.Expr:
    """A master column as an older version has it."""
    if wanted.source:
        return tried(wanted)
    match wanted.name:
        case "version_at":
            return column("modified_on")
        case "modeled_at":
            return column("synced_at")
        case "bad_columns":
            return doubts(relation)
    return column(wanted.name)


def taken(wanted: Column) -> exp.Expr:
    """A column's value as its model takes it from a raw row, not yet of its type."""
    return exp.paren(parse_one(wanted.source, read="postgres"), copy=False)


def tried(wanted: Column) -> exp.Expr:
    """A column's value, NULL where it does not fit its type."""
    if wanted.type in TRY_FUNCTIONS and wanted.source != "scope":
        call = exp.Anonymous(this=TRY_FUNCTIONS[wanted.type], expressions=[taken(wanted)])
        return exp.Dot(this=exp.to_identifier("raw"), expression=call)
    return exp.cast(taken(wanted), wanted.type, dialect="postgres")


def doubts(relation: Relation) -> exp.Expr:
    """The names of columns whose value does not fit, separated by commas; NULL when there is none."""
    cases: list[exp.Expr] = []
    for each in relation.columns:
        if each.source not in {"", "scope"} and each.type in TRY_FUNCTIONS:
            lost = exp.and_(tried(each).is_(exp.null()), exp.not_(taken(each).is_(exp.null())))
            cases.append(exp.Case(ifs=[exp.If(this=lost, true=exp.Literal.string(each.name))]))
    while len(cases) > 1:  # PostgreSQL takes a hundred arguments at most
        cases = [joined(cases[first : first + MOST_ARGUMENTS]) for first in range(0, len(cases), MOST_ARGUMENTS)]
    return exp.cast(cases[0] if cases else exp.null(), "text")


MOST_ARGUMENTS = 90


def joined(texts: list[exp.Expr]) -> exp.Expr:
    """Texts with commas between; NULLs are left out, and nothing is NULL."""
    return exp.func("NULLIF", exp.func("CONCAT_WS", exp.Literal.string(","), *texts), exp.Literal.string(""))


def output(shown: Column, dialect: str) -> exp.Expr:
    """A column as the answer shows it; PostgreSQL writes moments itself, in UTC with a Z."""
    if dialect == "postgres" and shown.type == "TIMESTAMPTZ":
        in_utc = exp.AtTimeZone(this=column(shown.name, "page"), zone=exp.Literal.string("UTC"))
        return exp.Anonymous(this="TO_CHAR", expressions=[in_utc, exp.Literal.string(ISO)])
    return column(shown.name, "page")


def packed(found: exp.Select, shown: list[Column], sorts: list[str], dialect: str) -> exp.Select:
    """Rows as they are handed over; see the module."""
    places = [exp.cast(exp.column(name, table="page"), "text") for name in sorts]
    outputs = [exp.alias_(output(each, dialect), each.name, quoted=True) for each in shown]
    if dialect != "postgres":
        return exp.select(*outputs, *places).from_(found.subquery("page"))
    row = exp.Anonymous(this="ROW_TO_JSON", expressions=[exp.column("shown")])
    made = exp.select(exp.cast(row, "text")).from_(exp.select(*outputs).subquery("shown"))
    return exp.select(made.subquery(), *places).from_(found.subquery("page"))


def conditions(writer: Writer, shape: Shape) -> list[exp.Expr]:
    """What the rows must be, whatever page it is."""
    relation = shape.resource.relation
    found: list[exp.Expr] = [exp.EQ(this=column("tenant_id"), expression=writer.value("tenant"))]
    found += [exp.EQ(this=column(name), expression=writer.value(f"fixed_{name}")) for name in shape.fixed]
    for each in shape.filters:
        if each.via is None:
            found.append(tested(writer, relation, each))
    for via in dict.fromkeys(each.via for each in shape.filters if each.via is not None):
        inner = [tested(writer, via, each) for each in shape.filters if each.via == via]
        found.append(among(writer, relation, via, inner))
    if shape.search:
        looked = searched(writer, shape.resource)
        elsewhere = shape.resource.search_via
        found.append(among(writer, relation, elsewhere, [looked]) if elsewhere else looked)
    if shape.deleted != "include":
        is_deleted = column("is_deleted")
        found.append(is_deleted if shape.deleted == "only" else exp.not_(is_deleted))
    return found


def among(writer: Writer, relation: Relation, via: Relation, inner: list[exp.Expr]) -> exp.Expr:
    """Whether another relation has a row with this key of which all that holds."""
    found = exp.select(column(via.key[0])).from_(exp.to_table(via.name))
    for condition in inner:
        found = found.where(condition, copy=False)
    found = found.where(exp.EQ(this=column("tenant_id"), expression=writer.value("tenant")), copy=False)
    return exp.In(this=column(relation.key[0]), query=found.subquery())


def tested(writer: Writer, relation: Relation, each: Filter) -> exp.Expr:
    """One filter."""
    this = column(each.column)
    match each.test:
        case Comparison.IS_TEXT:
            found: exp.Expr = exp.EQ(  # the value is shorter than what is compared, so that this is exact
                this=beginning(exp.Lower(this=this), COMPARED_CHARACTERS),
                expression=exp.Lower(this=writer.value(each.name, "text")),
            )
        case Comparison.NOT_BEFORE:
            found = exp.GTE(this=this, expression=writer.value(each.name))
        case Comparison.BEFORE:
            found = exp.LT(this=this, expression=writer.value(each.name))
        case Comparison.HOLDS | Comparison.HOLDS_RECORD:
            found = holds(writer, this, each.name)
        case Comparison.IS_LIVE:
            found = exp.func("COALESCE", this, exp.true())
            found = exp.and_(found, exp.not_(column("is_deleted"))) if relation.has("is_deleted") else found
        case Comparison.NEVER:
            found = exp.false()
        case _:
            found = exp.EQ(this=this, expression=writer.value(each.name))
    return found


def holds(writer: Writer, this: exp.Expr, slot: str) -> exp.Expr:
    """Whether an array holds what a value, an array of one, holds."""
    if writer.dialect == "postgres":
        return exp.ArrayContainsAll(this=this, expression=writer.value(slot, "jsonb"))
    return exp.Anonymous(this="json_contains", expressions=[this, writer.value(slot, "json")])


def searched(writer: Writer, resource: Resource) -> exp.Expr:
    """Whether one of the columns holds the piece of text."""
    return exp.paren(
        exp.or_(*(like(column(name), writer.value("search")) for name in resource.searched)),
        copy=False,
    )


def like(this: exp.Expr, pattern: exp.Expr) -> exp.Expr:
    """Whether a text has the pattern, whatever the case; DuckDB escapes nothing unless it is told to."""
    return exp.Escape(this=exp.ILike(this=this, expression=pattern), expression=exp.Literal.string("\\"))


def behind(writer: Writer, shape: Shape) -> list[exp.Expr]:
    """What the rows must be to stand behind the former page."""
    relation, first = shape.resource.relation, shape.sorts[0]
    compare = exp.LT if shape.descending else exp.GT
    if shape.behind is Behind.NULLS:
        return [column(first).is_(exp.null())]
    if shape.behind is Behind.VALUE:
        further = compare(this=together(relation, shape.sorts), expression=values(writer, relation, shape.sorts))
        return [further, exp.not_(column(first).is_(exp.null()))]  # in DuckDB's tuples NULL is the greatest
    if shape.behind is Behind.NULL:
        rest = shape.sorts[1:]
        later = exp.and_(
            column(first).is_(exp.null()),
            compare(this=together(relation, rest), expression=values(writer, relation, rest)),
        )
        return [later if shape.descending else exp.paren(exp.or_(later, exp.not_(column(first).is_(exp.null()))))]
    return []


def together(relation: Relation, names: tuple[str, ...]) -> exp.Expr:
    """Columns compared one after the other."""
    places = [place(relation, name) for name in names]
    return exp.Tuple(expressions=places) if len(places) > 1 else places[0]


def values(writer: Writer, relation: Relation, names: tuple[str, ...]) -> exp.Expr:
    """The values that they are compared with."""
    found = [writer.value(f"after_{name}", relation.column(name).type) for name in names]
    return exp.Tuple(expressions=found) if len(found) > 1 else found[0]
