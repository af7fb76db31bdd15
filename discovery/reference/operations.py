"""The table of write operations to its page."""

from itertools import groupby
from operator import attrgetter

from discovery.reference.page import code, listed, page, table
from outbound.operations import ALIASES, NOT_OFFERED, OPERATIONS, Effect, Operation

DOES = {
    Effect.CREATE: "makes a record",
    Effect.ADD: "makes something below a record",
    Effect.UPDATE: "changes a record's fields",
    Effect.REMOVE: "takes a record away",
    Effect.ACTION: "does something else",
}
INTRODUCTION = """
What `POST /api/v1/mutations` and `lazi mutations` take as `entity_type` and `operation`: {operations} operations. `GET
/api/v1/mutations/operations` has the same with the fields of each body. [Changes to ServiceTitan](../changes.md) tells how they
are sent. *Withdrawn* ones are gone from ServiceTitan's documents and refused unless `LAZI_WITHDRAWN_OPERATIONS=on`.
"""


def operations_page() -> str:
    """All write operations by what they write, and the original service's names."""
    parts = [INTRODUCTION.format(operations=len(OPERATIONS))]
    rows = sorted(OPERATIONS, key=lambda one: (one.entity, one.name))
    for entity, operations in groupby(rows, attrgetter("entity")):
        parts += [f"## {entity}", table(("operation", "what it does", "request"), map(row, operations))]
    aliases = [(code(each.entity), code(each.name), code(":".join(each.means))) for each in ALIASES]
    refused = [(code(each.entity), code(each.name), each.why, listed(each.nearest)) for each in NOT_OFFERED]
    parts += [
        "## Names of the original service",
        table(("entity", "name", "means"), aliases),
        "## What ServiceTitan has no operation for",
        table(("entity", "name", "why", "nearest"), refused),
    ]
    return page("Operations", *parts)


def row(operation: Operation) -> tuple[str, str, str]:
    """One operation's line."""
    does = DOES[operation.kind]
    notes = ["withdrawn"] if operation.is_withdrawn else []
    notes += ["a list"] if operation.is_list else []
    notes += ["a file"] if operation.is_upload else []
    told = f"{does} ({', '.join(notes)})" if notes else does
    return code(operation.name), told, code(f"{operation.method} {operation.base}{{tenant}}/{operation.path}")
