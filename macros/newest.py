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
SELECT r.tenant_id, r.st_id, r.payload, r.modified_on, r.payload_hash, r.is_deleted, r.sync_batch_id, r.synced_at, r.scope,
  ROW_NUMBER() OVER (
    PARTITION BY r.tenant_id, r.st_id ORDER BY r.modified_on DESC NULLS LAST, r.synced_at DESC, r.payload_hash DESC
  ) AS version_rank
FROM raw.st_{entity} AS r
"""

NEWER_THAN_TARGET = """
LEFT JOIN {held} ON {condition}
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

SAME_KEY = "m.tenant_id = r.tenant_id AND m.st_id = r.st_id"
PROBED = """LATERAL (
  SELECT m.st_id, m.version_at, m.synced_at, m.payload_hash FROM {target} AS m WHERE {same_key} OFFSET 0
) AS m"""
"""On PostgreSQL each candidate looks its key up in the table's index. On a long history its planner takes the day's rows
for a hundred times as many as there are, and would read the whole table instead."""

FRAME = """
WITH newer AS (SELECT 1), unpacked AS (
  SELECT tenant_id, st_id, is_deleted, modified_on AS version_at, payload_hash, sync_batch_id, synced_at,
    {payload} AS payload, scope
  FROM newer WHERE version_rank = 1 OFFSET 0
), untyped AS (
  SELECT tenant_id, st_id, is_deleted, version_at, payload_hash, sync_batch_id, synced_at FROM unpacked OFFSET 0
), typed AS (
  SELECT tenant_id, st_id, is_deleted, version_at, payload_hash, sync_batch_id, synced_at FROM untyped OFFSET 0
)
SELECT
  tenant_id, st_id, is_deleted, version_at, payload_hash, sync_batch_id, synced_at,
  CAST(CURRENT_TIMESTAMP AS TIMESTAMPTZ) AS modeled_at
FROM typed
"""
UNPACKED = {"postgres": "payload #> '{}'"}
"""The same payload, by dialect, but decompressed once a row: PostgreSQL would do it for each value that is taken out."""

TEXT = "{}__text"  # a column's value before it is typed; taken out of the payload once, used many times
LONGEST = 63  # characters of a name on PostgreSQL
HEAD = 2  # of the frame's columns, so many stand before the entity's own


@macro()
def newest(evaluator: Any, entity: exp.Expression, query: exp.Expression) -> exp.Expression:
    """The rows of `raw.st_<entity>` that are new in the model's table, typed by the columns of `query`.

    The frame is costly, and the model declares its columns: while the project is loaded the list alone stands for the
    query, so that a change of it is seen, and while the table is created nothing does.
    """
    if evaluator.runtime_stage == "creating":
        return exp.select("1")
    if evaluator.runtime_stage == "loading":
        return query.unnest()
    columns = query.unnest().selects
    tried = [column for column in columns if function_for(column)]
    payload = UNPACKED.get(dialect_of(evaluator), "payload")
    frame = parse_one(FRAME.format(payload=payload), read="postgres")
    newer, _, untyped, typed = (cte for cte in frame.args["with_" if "with_" in frame.args else "with"].expressions)
    newer.set("this", parse_one(versions(evaluator, entity.name), read="postgres"))
    untyped.this.set("expressions", untyped.this.expressions + [found(column) for column in columns])
    passed = [exp.column(text_of(column)) for column in tried]
    typed.this.set("expressions", typed.this.expressions + [attempt(column) for column in columns] + passed)
    outer = frame.expressions
    own = [exp.column(column.args["alias"].copy()) for column in columns]
    frame.set("expressions", outer[:HEAD] + own + outer[HEAD:] + [bad_columns(tried)])
    return frame


def dialect_of(evaluator: Any) -> str:
    """The dialect of the engine at hand; an empty text where none is."""
    adapter = evaluator.locals.get("engine_adapter")
    return adapter.dialect if adapter else ""


def versions(evaluator: Any, entity: str) -> str:
    """The query for candidate versions: all, or those that may be newer than what the table holds."""
    every = NEWEST.format(entity=entity)
    target, mark = watermark(evaluator, "synced_at")
    if not mark:
        return every
    held, condition = f"{target} AS m", SAME_KEY
    if dialect_of(evaluator) == "postgres":
        held, condition = PROBED.format(target=target, same_key=SAME_KEY), "TRUE"
    return every + NEWER_THAN_TARGET.format(held=held, condition=condition, watermark=mark)


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


def text_of(column: exp.Expression) -> exp.Expression:
    """The name under which the text of a column's value is passed on; short enough for PostgreSQL."""
    name = TEXT.format(column.alias)
    return exp.to_identifier(name if len(name) <= LONGEST else f"{name[:28]}_{len(name)}_{name[-30:]}")


def found(column: exp.Expression) -> exp.Expression:
    """A column as it stands in the payload: the text of its value where a cast is to be tried, else the column itself."""
    if function_for(column):
        return exp.alias_(column.this.this.copy(), text_of(column))
    return column.copy()


def attempt(column: exp.Expression) -> exp.Expression:
    """A column whose cast gives NULL where the value does not fit."""
    alias = column.args["alias"]
    if name := function_for(column):
        call = exp.Anonymous(this=name, expressions=[exp.column(text_of(column))])
        cast = exp.Cast(this=exp.Dot(this=exp.to_identifier("raw"), expression=call), to=column.this.to.copy())
        return exp.alias_(cast, alias.copy())
    return exp.column(alias.copy())


def lost(column: exp.Expression) -> exp.Expression:
    """Whether the column is NULL although the payload has a value."""
    return exp.and_(
        exp.Is(this=exp.column(column.args["alias"].copy()), expression=exp.null()),
        exp.Not(this=exp.Is(this=exp.column(text_of(column)), expression=exp.null())),
    )


def doubt(column: exp.Expression) -> exp.Expression:
    """`,name` where the column's value was lost, an empty text elsewhere."""
    name = exp.Literal.string(f",{column.args['alias'].name}")
    case = exp.Case(ifs=[exp.If(this=lost(column), true=name)], default=exp.Literal.string(""))
    return exp.paren(case, copy=False)


def bad_columns(columns: list[exp.Expression]) -> exp.Expression:
    """The names of columns whose value was lost, separated by commas; NULL when there is none.

    Names are put together only for a row that lost one: it costs more than all the comparisons.
    """
    if not columns:
        return exp.alias_(exp.cast(exp.null(), "text"), "bad_columns")
    text = doubt(columns[0])
    for more in columns[1:]:
        text = exp.DPipe(this=text, expression=doubt(more), safe=True)
    trimmed = exp.func("SUBSTRING", text, exp.Literal.number(2))
    found = exp.Case(ifs=[exp.If(this=exp.or_(*map(lost, columns)), true=trimmed)])
    return exp.alias_(exp.cast(found, "text"), "bad_columns")
