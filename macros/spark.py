"""The functions of the schema `raw` on Spark, which has none there: what stands in the place of a call.

They give what those of the other engines give (`macros.functions`). Spark would take a function's text apart anew at each call.
"""

from macros.functions import DUCKDB, FLOAT, INTEGER, LARGEST, MOMENT, NUMBER, ZONE

CUT = r"regexp_replace(regexp_replace({0}, r'(\.\d{{6}})\d+', r'$1'), r'([-+]\d\d)(\d\d)$', r'$1:$2')"
"""A moment with six digits behind the point, and a colon in its zone."""


def doubled(pattern: str) -> str:
    """A pattern within a text that has places to be filled."""
    return pattern.replace("{", "{{").replace("}", "}}")


OLD, NEW = (f"from_json({place}, 'MAP<STRING, VARIANT>')" for place in ("{0}", "{1}"))
CALLS = {
    "try_numeric": f"""CASE WHEN {{0}} RLIKE r'{doubled(NUMBER)}' AND abs(try_cast(trim({{0}}) AS DECIMAL(18,6))) < {LARGEST}
      THEN try_cast(trim({{0}}) AS DECIMAL(18,6)) END""",
    "try_bigint": f"CASE WHEN {{0}} RLIKE r'{doubled(INTEGER)}' THEN try_cast(split_part({{0}}, '.', 1) AS BIGINT) END",
    "try_double": f"CASE WHEN {{0}} RLIKE r'{doubled(FLOAT)}' THEN try_cast({{0}} AS DOUBLE) END",
    "try_boolean": "CASE lower({0}) WHEN 'true' THEN true WHEN 'false' THEN false END",
    "try_timestamptz": f"""CASE WHEN {{0}} RLIKE r'{doubled(MOMENT)}' AND NOT startswith({{0}}, '0000') THEN try_cast(
      {CUT} || CASE WHEN {{0}} RLIKE r'{doubled(ZONE)}' OR length({{0}}) = 10 THEN '' ELSE '+00:00' END AS TIMESTAMP) END""",
    "try_date": f"""CASE WHEN {{0}} RLIKE r'{doubled(MOMENT)}' AND NOT startswith({{0}}, '0000')
      THEN try_cast(left({{0}}, 10) AS DATE) END""",
    "changed_fields": f"""to_json(map_from_entries(transform(
      filter(
        array_sort(array_distinct(concat(map_keys({OLD}), map_keys({NEW})))),
        k -> NOT (to_json({OLD}[k]) <=> to_json({NEW}[k]))
      ),
      k -> struct(k, named_struct('old', {OLD}[k], 'new', {NEW}[k])))), map('ignoreNullFields', 'false'))""",
    "field_names": "to_json(array_sort(json_object_keys({0})))",
    "text_at": "try_variant_get(try_parse_json({0}), '$.' || {1}, 'string')",
}
"""By name its text, with places for the arguments. JSON is text there, and its values are compared as parsed."""

OF_READERS = DUCKDB
"""What makes the functions for readers, which are DuckDB's."""
