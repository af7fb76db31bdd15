"""SQL functions that both engines need and name differently; `@install_functions()` makes them in the schema `raw`.

`raw.try_<type>(text)` is a cast that gives NULL instead of an error. `raw.changed_fields(old, new)` compares two JSON
objects, field by field, by what the fields contain: the order of an object's fields is no change. `raw.field_names(json)`
is the sorted array of an object's field names. `raw.text_at(json, path)` is the text at a dotted path. The same input gives
the same result on every engine.
"""

from typing import Any

from sqlglot import exp
from sqlmesh import macro

TRY_FUNCTIONS = {  # by the name of the type; SQLMesh writes constants of macros down as text
    "BIGINT": "try_bigint",
    "DECIMAL": "try_numeric",
    "DOUBLE": "try_double",
    "BOOLEAN": "try_boolean",
    "TIMESTAMPTZ": "try_timestamptz",
    "DATE": "try_date",
}

NUMBER = r"^\s*[-+]?\d{1,12}(\.\d{1,20})?([eE][-+]?\d{1,2})?\s*$"
INTEGER = r"^[-+]?\d{1,19}(\.0+)?$"
SURE_INTEGER = r"^[-+]?\d{1,18}(\.0+)?$"  # fits whatever its digits are
FLOAT = r"^[-+]?\d{1,17}(\.\d{1,30})?([eE][-+]?\d{1,2})?$"
MONTH_AND_DAY = r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
LEAP_DAY = r"\d\d([02468][048]|[13579][26])-02-29"
TIME = r"[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[-+](0\d|1[0-4]):?[0-5]\d)?"
MOMENT = rf"^(\d{{4}}-{MONTH_AND_DAY}|{LEAP_DAY})({TIME})?$"
ZONE = r"(Z|[T ].*[-+][\d:]+)$"
LARGEST = "999999999999.99"  # of NUMERIC(18,6)

DIGITS = "0123456789"

# What ServiceTitan usually sends is recognized by cheap comparisons; a regular expression, which costs PostgreSQL five
# times as much, is left for the rest. Both ways give the same value.
PLAIN_INTEGER = f"v <> '' AND length(v) <= 18 AND ltrim(v, '{DIGITS}') = ''"
PLAIN_NUMBER = f"""length(v) <= 12 AND (
        ltrim(v, '{DIGITS}') = '' AND v <> '' OR v LIKE '_%._%' AND translate(v, '{DIGITS}', '') = '.')"""
SECONDS = "____-__-__T__:__:__"


def within(begin: int, length: int, first: int, last: int) -> str:
    """Whether a part of `v` is one of these numbers; PostgreSQL looks it up in a hash."""
    numbers = ", ".join(f"'{number:0{length}}'" for number in range(first, last + 1))
    return f"substr(v, {begin}, {length}) IN ({numbers})"


PLAIN_MOMENT = f"""(
          v LIKE '{SECONDS}.%Z' AND length(v) BETWEEN 22 AND 30 AND ltrim(substr(v, 21), '{DIGITS}') = 'Z'
          OR v LIKE '{SECONDS}Z'
        ) AND {within(1, 2, 19, 20)} AND {within(3, 2, 0, 99)} AND {within(6, 2, 1, 12)} AND {within(9, 2, 1, 28)}
        AND {within(12, 2, 0, 23)} AND {within(15, 2, 0, 59)} AND {within(18, 2, 0, 59)}"""
MICROSECONDS = 26  # characters of a moment up to them; a seventh digit is cut off, as everywhere else

POSTGRES = (
    "CREATE SCHEMA IF NOT EXISTS raw",
    # for pieces of text; without the extension, or the right to have it, they are found by looking at every row
    """DO $$ BEGIN CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA raw; EXCEPTION WHEN OTHERS THEN NULL; END $$""",
    f"""CREATE OR REPLACE FUNCTION raw.try_numeric(v text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE WHEN {PLAIN_NUMBER} THEN round(v::numeric, 6)
        WHEN v ~ '{NUMBER}' THEN CASE WHEN abs(v::numeric) < {LARGEST} THEN round(v::numeric, 6) END END $$""",
    f"""CREATE OR REPLACE FUNCTION raw.try_bigint(v text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE WHEN {PLAIN_INTEGER} THEN v::bigint WHEN v ~ '{SURE_INTEGER}' THEN split_part(v, '.', 1)::bigint
        WHEN v ~ '{INTEGER}' THEN CASE WHEN v::numeric BETWEEN {-(2**63)} AND {2**63 - 1} THEN split_part(v, '.', 1)::bigint END
      END $$""",
    f"""CREATE OR REPLACE FUNCTION raw.try_double(v text) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
      AS $$ SELECT CASE WHEN {PLAIN_NUMBER} OR v ~ '{FLOAT}' THEN v::double precision END $$""",
    """CREATE OR REPLACE FUNCTION raw.try_boolean(v text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE lower(v) WHEN 'true' THEN true WHEN 'false' THEN false END $$""",
    f"""CREATE OR REPLACE FUNCTION raw.try_timestamptz(v text) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
      SELECT CASE WHEN {PLAIN_MOMENT} THEN
        CASE WHEN length(v) > {MICROSECONDS} + 1 THEN left(v, {MICROSECONDS}) || 'Z' ELSE v END::timestamptz
      WHEN v ~ '{MOMENT}' AND v !~ '^0000' THEN
        (regexp_replace(v, '(\\.\\d{{6}})\\d+', '\\1') || CASE WHEN v ~ '{ZONE}' THEN '' ELSE ' UTC' END)::timestamptz
      END $$""",
    f"""CREATE OR REPLACE FUNCTION raw.try_date(v text) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT CASE WHEN v ~ '{MOMENT}' AND v !~ '^0000' THEN left(v, 10)::date END $$""",
    """CREATE OR REPLACE FUNCTION raw.changed_fields(old jsonb, new jsonb) RETURNS jsonb
      LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
      SELECT COALESCE(jsonb_object_agg(field, jsonb_build_object('old', was, 'new', is_now)), '{}'::jsonb) FROM (
        SELECT COALESCE(a.key, b.key) AS field, a.value AS was, b.value AS is_now
        FROM jsonb_each(old) AS a FULL JOIN jsonb_each(new) AS b ON a.key = b.key
        WHERE a.value IS DISTINCT FROM b.value
      ) AS differing $$""",
    """CREATE OR REPLACE FUNCTION raw.field_names(document jsonb) RETURNS jsonb
      LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
      SELECT COALESCE(jsonb_agg(name ORDER BY name COLLATE "C"), '[]'::jsonb) FROM jsonb_object_keys(document) AS name $$""",
    """CREATE OR REPLACE FUNCTION raw.text_at(document jsonb, path text) RETURNS text
      LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT document #>> string_to_array(path, '.') $$""",
)

AS_MAP = "CAST({} AS MAP(VARCHAR, JSON))"
OLD, NEW = AS_MAP.format("old"), AS_MAP.format("new")

# DuckDB compares JSON as text. What PostgreSQL keeps as JSONB comes back with its fields in another order, which is no change.
DEPTH = 4  # of objects and arrays within a field that are compared by content; what is deeper is compared as text
SCALAR = """CREATE OR REPLACE MACRO raw.content_0(v) AS
  CASE WHEN regexp_full_match(CAST(v AS VARCHAR), '-?[0-9]+[.][0-9]+') THEN rtrim(rtrim(CAST(v AS VARCHAR), '0'), '.')
  ELSE COALESCE(CAST(v AS VARCHAR), 'null') END"""
CONTENT = """CREATE OR REPLACE MACRO raw.content_{depth}(v) AS
  CASE WHEN starts_with(CAST(v AS VARCHAR), '{{') THEN COALESCE('{{' || array_to_string(list_sort(list_transform(
      map_entries(TRY_CAST(v AS MAP(VARCHAR, JSON))),
      lambda e: CAST(to_json(e.key) AS VARCHAR) || ':' || raw.content_{within}(e.value)
    )), ',') || '}}', CAST(v AS VARCHAR))
  WHEN starts_with(CAST(v AS VARCHAR), '[') THEN '[' || array_to_string(list_transform(
      CAST(v AS JSON[]), lambda x: raw.content_{within}(x)
    ), ',') || ']'
  ELSE raw.content_0(v) END"""
DIFFER = f"""CREATE OR REPLACE MACRO raw.differ(a, b) AS
  CASE WHEN a IS NOT DISTINCT FROM b THEN FALSE
  WHEN a IS NULL OR b IS NULL OR starts_with(CAST(a AS VARCHAR), '"') OR starts_with(CAST(b AS VARCHAR), '"') THEN TRUE
  ELSE raw.content_{DEPTH}(a) <> raw.content_{DEPTH}(b) END"""

DUCKDB = (
    "CREATE SCHEMA IF NOT EXISTS raw",
    f"""CREATE OR REPLACE MACRO raw.try_numeric(v) AS CASE WHEN regexp_matches(v, '{NUMBER}') THEN
      CASE WHEN abs(TRY_CAST(trim(v) AS DECIMAL(18,6))) < {LARGEST} THEN TRY_CAST(trim(v) AS DECIMAL(18,6)) END END""",
    f"""CREATE OR REPLACE MACRO raw.try_bigint(v) AS
      CASE WHEN regexp_matches(v, '{INTEGER}') THEN TRY_CAST(split_part(v, '.', 1) AS BIGINT) END""",
    f"CREATE OR REPLACE MACRO raw.try_double(v) AS CASE WHEN regexp_matches(v, '{FLOAT}') THEN TRY_CAST(v AS DOUBLE) END",
    "CREATE OR REPLACE MACRO raw.try_boolean(v) AS CASE lower(v) WHEN 'true' THEN true WHEN 'false' THEN false END",
    f"""CREATE OR REPLACE MACRO raw.try_timestamptz(v) AS
      CASE WHEN regexp_matches(v, '{MOMENT}') AND NOT starts_with(v, '0000') THEN TRY_CAST((
        regexp_replace(v, '(\\.\\d{{6}})\\d+', '\\1')
        || CASE WHEN regexp_matches(v, '{ZONE}') THEN '' WHEN length(v) = 10 THEN ' 00:00:00+00' ELSE '+00' END
      ) AS TIMESTAMPTZ) END""",
    f"""CREATE OR REPLACE MACRO raw.try_date(v) AS CASE WHEN regexp_matches(v, '{MOMENT}')
      AND NOT starts_with(v, '0000') THEN TRY_CAST(v[:10] AS DATE) END""",
    SCALAR,
    *(CONTENT.format(depth=depth, within=depth - 1) for depth in range(1, DEPTH + 1)),
    DIFFER,
    f"""CREATE OR REPLACE MACRO raw.changed_fields(old, new) AS to_json(map_from_entries(list_transform(
      list_filter(
        list_sort(list_distinct(list_concat(map_keys({OLD}), map_keys({NEW})))),
        lambda k: map_contains({OLD}, k) <> map_contains({NEW}, k) OR raw.differ({OLD}[k], {NEW}[k])
      ),
      lambda k: {{'k': k, 'v': {{'old': {OLD}[k], 'new': {NEW}[k]}}}})))""",
    """CREATE OR REPLACE MACRO raw.field_names(document) AS
      CASE WHEN document IS NOT NULL THEN to_json(list_sort(json_keys(document))) END""",
    "CREATE OR REPLACE MACRO raw.text_at(document, path) AS document ->> ('$.' || path)",
)
FUNCTIONS = {"postgres": POSTGRES, "duckdb": DUCKDB}


@macro()
def install_functions(evaluator: Any) -> exp.Expression:
    """Make the functions on the engine at hand; nothing where no engine is. SQLMesh wants a statement in return.

    Spark has none: `macros.spark`.
    """
    adapter = evaluator.locals.get("engine_adapter")
    if adapter is None or adapter.dialect in FUNCTIONS:
        make_functions(adapter)
    return exp.select("1 AS made")


def make_functions(adapter: Any) -> None:
    """Make the functions where an adapter leads; nothing without one."""
    for statement in FUNCTIONS[adapter.dialect] if adapter is not None else ():
        adapter.execute(statement)
