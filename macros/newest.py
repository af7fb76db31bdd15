"""`@newest(entity, (SELECT ...))`: the frame of every master model, around a plain list of columns.

The list says what is peculiar to an entity: `CAST(payload ->> 'createdOn' AS TIMESTAMPTZ) AS created_on`. The frame
adds what is the same for all: the newest version of each key, casts that turn a bad value into NULL and its column's
name into `bad_columns`, and the envelope. It reads the whole history on a first build, and otherwise only versions
that landed since a day before the newest one in the table, so late and repeated rows are harmless.
"""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

from macros.functions import TRY_FUNCTIONS

FIRST_DAY = "2000-01-01"  # the models' start in config.py

NEWEST = """
SELECT r.tenant_id, r.st_id, r.payload, r.modified_on, r.payload_hash, r.is_deleted, r.sync_batch_id, r.synced_at,
  ROW_NUMBER() OVER (
    PARTITION BY r.tenant_id, r.st_id ORDER BY r.modified_on DESC NULLS LAST, r.synced_at DESC, r.payload_hash DESC
  ) AS version_rank
FROM raw.st_{entity} AS r
"""

NEWER_THAN_TARGET = """
LEFT JOIN {target} AS m ON m.tenant_id = r.tenant_id AND m.st_id = r.st_id
WHERE r.synced_at >= CAST('{watermark}' AS TIMESTAMPTZ) - INTERVAL '1 DAY'
  AND (
    m.st_id IS NULL
    OR COALESCE(r.modified_on, CAST('0001-01-01' AS TIMESTAMPTZ)) > COALESCE(m.version_at, CAST('0001-01-01' AS TIMESTAMPTZ))
    OR (
      r.modified_on IS NOT DISTINCT FROM m.version_at
      AND (r.synced_at > m.synced_at OR (r.synced_at = m.synced_at AND r.payload_hash > m.payload_hash))
    )
  )
"""

FRAME = """
WITH newer AS (SELECT 1), typed AS (
  SELECT tenant_id, st_id, is_deleted, modified_on AS version_at, payload_hash, sync_batch_id, synced_at, payload
  FROM newer WHERE version_rank = 1 OFFSET 0
)
SELECT
  tenant_id, st_id, is_deleted, version_at, payload_hash, sync_batch_id, synced_at,
  CAST(CURRENT_TIMESTAMP AS TIMESTAMPTZ) AS modeled_at
FROM typed
"""
HEAD = 2  # of the frame's columns, so many stand before the entity's own


@macro()
def newest(evaluator: Any, entity: exp.Expression, query: exp.Expression) -> exp.Expression:
    """The rows of `raw.st_<entity>` that are new in the model's table, typed by the columns of `query`.

    While its table is created the query is not needed: the model declares its columns, and the frame is costly.
    """
    if evaluator.runtime_stage == "creating":
        return exp.select("1")
    columns = query.unnest().selects
    typed = [attempt(column) for column in columns]
    doubts = [doubt(column) for column in columns if function_for(column)]
    frame = parse_one(FRAME, read="postgres")
    newer, inner = (cte for cte in frame.args["with_" if "with_" in frame.args else "with"].expressions)
    newer.set("this", parse_one(versions(evaluator, entity.name), read="postgres"))
    inner.this.set("expressions", inner.this.expressions + typed)
    outer = frame.expressions
    own = [exp.column(column.args["alias"].copy()) for column in columns]
    frame.set("expressions", outer[:HEAD] + own + outer[HEAD:] + [bad_columns(doubts)])
    return frame


def versions(evaluator: Any, entity: str) -> str:
    """The query for candidate versions: all, or those that may be newer than what the table holds."""
    every = NEWEST.format(entity=entity)
    target, mark = watermark(evaluator, "synced_at")
    return every + NEWER_THAN_TARGET.format(target=target, watermark=mark) if mark else every


def watermark(evaluator: Any, column: str) -> tuple[str, str]:
    """The model's own table and the greatest value of a column in it; no value when the whole history is wanted.

    A literal, because PostgreSQL plans a subquery in its place twenty times slower.
    """
    local = evaluator.locals
    adapter = local.get("engine_adapter")
    whole = str(local.get("start_ds", FIRST_DAY)) <= FIRST_DAY
    if whole or adapter is None or evaluator.runtime_stage != "evaluating":
        return "", ""
    table = evaluator.this_model
    greatest = exp.select(exp.cast(exp.func("MAX", exp.column(column)), "text")).from_(
        exp.to_table(table, dialect=adapter.dialect)
    )
    row = adapter.fetchone(greatest)
    return table, (row[0] if row and row[0] else "")


def function_for(column: exp.Expression) -> str | None:
    """The function that tries a column's cast; None for text and JSON, which take anything."""
    return TRY_FUNCTIONS.get(column.this.to.this.value)


def attempt(column: exp.Expression) -> exp.Expression:
    """A column whose cast gives NULL where the value does not fit."""
    if name := function_for(column):
        value = column.this.this
        call = exp.Dot(this=exp.to_identifier("raw"), expression=exp.Anonymous(this=name, expressions=[value.copy()]))
        cast = exp.Cast(this=call, to=column.this.to.copy())
        return exp.alias_(cast, column.args["alias"].copy())
    return column.copy()


def doubt(column: exp.Expression) -> exp.Expression:
    """`,name` where the column is NULL and the payload has a value, an empty text elsewhere."""
    alias = column.args["alias"]
    lost = exp.and_(
        exp.Is(this=exp.column(alias.copy()), expression=exp.null()),
        exp.Not(this=exp.Is(this=exp.paren(column.this.this.copy(), copy=False), expression=exp.null())),
    )
    case = exp.Case(ifs=[exp.If(this=lost, true=exp.Literal.string(f",{alias.name}"))], default=exp.Literal.string(""))
    return exp.paren(case, copy=False)


def bad_columns(doubts: list[exp.Expression]) -> exp.Expression:
    """The names of columns whose value was lost, separated by commas; NULL when there is none."""
    if not doubts:
        return exp.alias_(exp.cast(exp.null(), "text"), "bad_columns")
    text = doubts[0]
    for more in doubts[1:]:
        text = exp.DPipe(this=text, expression=more, safe=True)
    trimmed = exp.func("SUBSTRING", text, exp.Literal.number(2))
    return exp.alias_(exp.cast(exp.func("NULLIF", trimmed, exp.Literal.string("")), "text"), "bad_columns")
