"""What the project's SQL is on Spark, where SQLGlot does not know: JSON is text there, and an interval has no seconds.

Models say it in PostgreSQL's words. A document is parsed once a row, however many values are taken out of it.
"""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from sqlglot import exp

JSON = (exp.DataType.Type.JSON, exp.DataType.Type.JSONB)
STEPS = (exp.JSONExtract, exp.JSONExtractScalar)
PLAIN = re.compile(r"[A-Za-z_]\w*")
MICROSECONDS = 1_000_000
RAW = "raw"


def for_spark(statement: Any) -> Any:
    """The same statement with what SQLGlot would hand over as it is."""
    return statement.transform(replaced)


def replaced(node: Any) -> Any:
    """What stands for a part of a statement."""
    if isinstance(node, STEPS) or (isinstance(node, exp.Lambda) and isinstance(node.this, exp.Literal)):
        return taken_out(node if isinstance(node, STEPS) else step_of(node))
    if isinstance(node, exp.DataType) and node.this in JSON:
        return exp.DataType.build("TEXT")
    if isinstance(node, exp.Extract) and node.this.name.upper() == "EPOCH":
        return seconds(node.expression.unnest())
    if isinstance(node, exp.StringToArray):
        return exp.Anonymous(this="SPLIT", expressions=[for_spark(node.this), node.expression.copy()])
    if isinstance(node, exp.Dot) and node.this.name == RAW and isinstance(node.expression, exp.Func):
        return called(node.expression) or node
    return node


def called(call: Any) -> Any:
    """A function of the schema `raw`, as the text of what it does; None for one that is not ours."""
    does: dict[str, str] = import_module("macros.spark").CALLS
    if call.name.lower() not in does:
        return None
    arguments = [for_spark(one).sql(dialect="spark") for one in call.expressions]
    return exp.Var(this=f"({does[call.name.lower()].format(*arguments)})")


def taken_out(node: Any) -> Any:
    """A value of a document: its text, or as JSON. A number keeps its value, and not always its form: `1.50` is `1.5`."""
    document, steps = node, list[Any]()
    while isinstance(document, STEPS):
        steps[:0] = document.expression.expressions
        document = document.this.unnest()
    path = exp.Literal.string("$" + "".join(map(step, steps)))
    parsed = exp.Anonymous(this="TRY_PARSE_JSON", expressions=[for_spark(document)])
    kind = "string" if isinstance(node, exp.JSONExtractScalar) else "variant"
    value = exp.Anonymous(this="TRY_VARIANT_GET", expressions=[parsed, path, exp.Literal.string(kind)])
    return value if kind == "string" else exp.Anonymous(this="TO_JSON", expressions=[value])


def step_of(function: Any) -> Any:
    """`payload -> 'data'` among a function's arguments, which SQLGlot reads as a function that returns a text."""
    path = exp.JSONPath(expressions=[exp.JSONPathRoot(), exp.JSONPathKey(this=function.this.this)])
    return exp.JSONExtract(this=exp.column(function.expressions[0].copy()), expression=path)


def step(part: Any) -> str:
    """A step of a path."""
    if isinstance(part, exp.JSONPathRoot):
        return ""
    if isinstance(part, exp.JSONPathSubscript):
        return f"[{part.this}]"
    name = str(part.this)
    return f".{name}" if PLAIN.fullmatch(name) else "['" + name.replace("'", "\\'") + "']"


def seconds(difference: Any) -> Any:
    """The seconds between two moments."""
    later, earlier = (
        exp.Anonymous(this="UNIX_MICROS", expressions=[for_spark(moment)])
        for moment in (difference.this, difference.expression)
    )
    return exp.paren(exp.Div(this=exp.paren(later - earlier), expression=exp.Literal.number(f"{MICROSECONDS}.0")))


def with_raw_tables(query: Any, names: Iterable[str]) -> Any:
    """A question to `information_schema`, which Spark has not, answered by the raw tables of these names."""
    listed = ", ".join(f"('{RAW}', '{name}')" for name in ["", *names])
    for table in query.find_all(exp.Table):
        if table.db == "information_schema":
            table.replace(exp.Var(this=f"(SELECT * FROM VALUES {listed} AS t (table_schema, table_name))"))
    return query


def for_duckdb(query: Any) -> str:
    """A view's query as DuckDB, which reads the same files, takes it."""
    copy = query.copy()
    for table in copy.find_all(exp.Table):
        table.set("catalog", None)
    return str(copy.sql(dialect="duckdb", identify=True, comments=False))


def types_for_duckdb(columns: dict[str, Any]) -> dict[str, str]:
    """The types of columns in DuckDB's words."""
    return {name: "JSON" if kind.this in JSON else kind.sql(dialect="duckdb") for name, kind in columns.items()}


def types_for_spark(columns: dict[str, Any]) -> dict[str, str]:
    """The types of columns in Spark's words."""
    return {name: for_spark(kind).sql(dialect="spark") for name, kind in columns.items()}
