"""`@bad_records(customers, jobs, ...)`: the records of these master tables in which a value could not be typed."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

from macros.functions import make_functions
from macros.history import union

BAD = """
SELECT '{entity}' AS entity, tenant_id, CAST(st_id AS TEXT) AS record_id, bad_columns, payload, synced_at
FROM master.{entity}
INNER JOIN raw.st_{entity} USING (tenant_id, st_id, synced_at, payload_hash)
WHERE NOT bad_columns IS NULL
"""


@macro()
def bad_records(evaluator: Any, *entities: exp.Expression) -> exp.Expression:
    """Their keys, bad columns and payloads. The first entity stands for all where no warehouse is asked.

    So the model loads quickly, and a unit test gives one entity's rows.
    """
    adapter = evaluator.locals.get("engine_adapter")
    if evaluator.runtime_stage == "testing":
        make_functions(adapter)
    # the stage does not tell: a plan that puts a view on rebuilt tables does so while it is "loading"
    asked = entities[:1] if adapter is None or evaluator.runtime_stage == "testing" else entities
    return union([parse_one(BAD.format(entity=entity.name), read="postgres") for entity in asked])
