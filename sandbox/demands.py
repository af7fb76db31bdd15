"""What some lists insist on, by module and path: plain data, and the check that reads it."""

from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl

from sandbox.problem import bad
from sources.servicetitan.catalog import Entity

Query = dict[str, str]


@dataclass(frozen=True)
class Demand:
    """What a list refuses to answer without, and how it treats inactive records."""

    all_of: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    refuses_page_0: bool = False
    shows_inactive: bool = False  # even when not asked to


DEMANDS: dict[tuple[str, str], Demand] = {
    ("crm", "customers/contacts"): Demand(any_of=("modifiedOnOrAfter", "modifiedBefore", "ids")),
    ("crm", "locations/contacts"): Demand(any_of=("modifiedOnOrAfter", "modifiedBefore", "ids")),
    ("equipmentsystems", "installed-equipment/custom-field-types"): Demand(all_of=("page", "pageSize", "descending")),
    ("inventory", "return-types"): Demand(all_of=("activeOnly",)),
    ("jpm", "job-cancel-reasons"): Demand(shows_inactive=True),
    ("jpm", "job-hold-reasons"): Demand(shows_inactive=True),
    ("memberships", "invoice-templates"): Demand(all_of=("ids",)),
    ("settings", "business-units/intacct"): Demand(all_of=("page", "pageSize", "includeTotal")),
}
BY_ENDING: dict[str, Demand] = {"custom-fields": Demand(refuses_page_0=True)}
ALWAYS = frozenset({"performanceSegmentationType"})
"""Parameters that are demanded although a row gives them one value."""

UNCATALOGED: dict[tuple[str, str], str] = {("memberships", "invoice-templates"): "export/invoice-templates"}
"""Lists that exist although the catalog reads only the export, with that export."""


@cache
def demand_of(entity: Entity, path: str) -> Demand:
    """What the list at a path demands."""
    ending = path.rpartition("/")[2]
    found = DEMANDS.get((entity.module, path)) or BY_ENDING.get(ending)
    return found or Demand(all_of=demanded(entity))


def demanded(entity: Entity) -> tuple[str, ...]:
    """The parameters that a row fills: dates, ids and a parent's fields."""
    return tuple(name for name, value in parse_qsl(entity.params) if "{" in value or name in ALWAYS)


def check(demand: Demand, query: Query) -> None:
    """Raise the Problem of the first demand that a query does not meet."""
    for name in demand.all_of:
        if not query.get(name):
            raise bad(name, f"The {name} field is required.")
    if demand.any_of and not any(query.get(name) for name in demand.any_of):
        raise bad(demand.any_of[0], f"One of {', '.join(demand.any_of)} is required.")
    if demand.refuses_page_0 and query.get("page") == "0":
        raise bad("page", "The page starts from 1.")
