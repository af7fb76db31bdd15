"""Time that has passed, the same on every engine and in every time zone."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro


@macro()
def days_since(evaluator: Any, moment: exp.Expression) -> exp.Expression:  # noqa: ARG001  the caller's signature
    """`@days_since(created_on)`: whole days of 24 hours since a moment; negative for one to come.

    Divided by a number that is no integer: SQLGlot takes seconds for integers, whose quotient it would round elsewhere.
    """
    text = (
        "CAST(FLOOR(CAST(EXTRACT(EPOCH FROM (CURRENT_TIMESTAMP - {moment})) AS DOUBLE PRECISION) / 86400.0) AS BIGINT)"
    )
    return parse_one(text.format(moment=moment.sql(dialect="postgres")), read="postgres")
