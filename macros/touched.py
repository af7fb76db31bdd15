"""What `crm.customer_facts` needs to recompute only the customers that something happened to."""

from typing import Any

from sqlglot import exp, parse_one
from sqlmesh import macro

from macros.newest import watermark

EVERY = "SELECT c.tenant_id, c.st_id AS customer_id FROM master.customers AS c"

NEWER = "SELECT c.tenant_id, c.{key} AS customer_id FROM master.{entity} AS c WHERE c.modeled_at > CAST('{mark}' AS TIMESTAMPTZ)"

OWNERS = """
SELECT m.tenant_id, raw.try_bigint(raw.text_at(r.payload, '{path}')) AS customer_id
FROM master.{entity} AS m
INNER JOIN raw.st_{entity} AS r ON r.tenant_id = m.tenant_id AND r.st_id = m.st_id
WHERE m.modeled_at > CAST('{mark}' AS TIMESTAMPTZ)
"""


@macro()
def touched_customers(evaluator: Any, **owned: exp.Expression) -> exp.Expression:
    """`@touched_customers(jobs := 'customerId')`: keys of customers that are new in master or own what is new there.

    An argument names an entity and where in its payload its customer's id stands. All versions of a record are asked,
    so that a record which moves to another customer leaves the former one's facts too. Every customer when the whole
    history is wanted.
    """
    _, mark = watermark(evaluator, "modeled_at")
    if not mark:
        return parse_one(EVERY, read="postgres")
    query = parse_one(NEWER.format(entity="customers", key="st_id", mark=mark), read="postgres")
    for entity, path in owned.items():
        text = OWNERS.format(entity=entity, path=path.name, mark=mark)
        query = exp.Union(this=query, expression=parse_one(text, read="postgres"), distinct=True)
    return query
