"""Reports: which there are, what they ask for and what they answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import clock
from sandbox.business import Business
from sandbox.row import Row
from sandbox.stories.billing import balance, total
from sandbox.stories.story import Story

Values = Mapping[str, Any]
"""The values of a report's parameters by name."""

CATEGORIES = (
    "accounting",
    "marketing",
    "operations",
    "technician",
    "call-center",
    "payroll",
    "business-unit-dashboard",
    "other",
)
SETS = {"business-units": "business_units", "technicians": "technicians", "campaigns": "campaigns"}
"""The entity whose ids and names a dynamic set of values lists."""


def column(name: str, kind: str) -> dict[str, Any]:
    """A column of a report."""
    return {"name": name, "label": name, "dataType": kind}


def parameter(name: str, kind: str, set_: str = "", *, is_required: bool = False) -> dict[str, Any]:
    """A parameter of a report; `set_` names the dynamic set of its values."""
    fields = [{"name": "Id", "label": "Id"}, {"name": "Name", "label": "Name"}]
    accepted = {"fields": fields, "dynamicSetId": set_, "values": None} if set_ else None
    return {
        "name": name,
        "label": name,
        "dataType": kind,
        "isArray": bool(set_),
        "isRequired": is_required,
        "acceptValues": accepted,
    }


DATES = (parameter("From", "Date", is_required=True), parameter("To", "Date", is_required=True))
SORTS: dict[str, Any] = parameter("Order", "String") | {
    "acceptValues": {"fields": [], "dynamicSetId": None, "values": [["1", "Name"], ["2", "Total"]]}
}


def jobs_between(business: Business, values: Values) -> list[int]:
    """The jobs booked in a report's time, both days included."""
    start, end = clock.parse(values["From"]), clock.parse(values["To"]) + clock.DAY
    return [job for job in range(business.sizes["jobs"]) if start <= business.job_created(job) < end]


def revenue(business: Business, values: Values) -> list[list[Any]]:
    """A row for each job."""
    return [
        [
            str(business.ident("jobs", job)),
            business.called("customers", business.job_customer(job)),
            clock.date(business.job_created(job)),
            total(business, job) / 100,
            balance(business, job) == 0,
        ]
        for job in jobs_between(business, values)
    ]


def by_technician(business: Business, values: Values) -> list[list[Any]]:
    """A row for each technician: how many jobs and what they brought."""
    count = business.sizes["technicians"]
    sums = [[0, 0] for _ in range(count)]
    for job in jobs_between(business, values):
        mine = sums[business.number("jobs", job) % count]
        mine[0] += 1
        mine[1] += total(business, job)
    wanted = set(values.get("Technicians") or (business.ident("technicians", place) for place in range(count)))
    return [
        [business.ident("technicians", place), business.called("technicians", place), jobs, cents / 100]
        for place, (jobs, cents) in enumerate(sums)
        if business.ident("technicians", place) in wanted
    ]


@dataclass(frozen=True)
class Kind:
    """What a report asks for and answers. A slow one is not ready at once."""

    title: str
    columns: tuple[dict[str, Any], ...]
    parameters: tuple[dict[str, Any], ...]
    rows: Callable[[Business, Values], list[list[Any]]]
    is_slow: bool = False


KINDS = (
    Kind(
        "Revenue by job",
        (
            column("JobNumber", "String"),
            column("CustomerName", "String"),
            column("BookedOn", "Date"),
            column("Total", "Number"),
            column("IsPaid", "Boolean"),
        ),
        (*DATES, parameter("BusinessUnits", "Number", "business-units"), SORTS),
        revenue,
    ),
    Kind(
        "Technician performance",
        (
            column("TechnicianId", "Number"),
            column("TechnicianName", "String"),
            column("Jobs", "Number"),
            column("Revenue", "Number"),
        ),
        (*DATES, parameter("Technicians", "Number", "technicians"), parameter("Campaigns", "Number", "campaigns")),
        by_technician,
        is_slow=True,
    ),
)


def kind_of(report: int) -> Kind:
    """What the report at a position is."""
    return KINDS[report % len(KINDS)]


def category(row: Row) -> dict[str, Any]:
    """A category's slug and name."""
    slug = CATEGORIES[row.position % len(CATEGORIES)] + (f"-{row.position}" if row.position >= len(CATEGORIES) else "")
    return {"id": slug, "name": slug.replace("-", " ").capitalize()}


def report(row: Row) -> dict[str, Any]:
    """A report's name."""
    return {"name": f"{kind_of(row.position).title} {row.position + 1}"}


def definition(row: Row) -> dict[str, Any]:
    """What a report is made of."""
    kind = kind_of(row.position)
    fields, parameters = list(kind.columns), list(kind.parameters)
    return report(row) | {"parameters": parameters, "fields": fields}


STORIES = {
    "report_categories": Story(category),
    "reports": Story(report),
    "report_definitions": Story(definition, source=lambda _business, position: ("reports", position)),
}
