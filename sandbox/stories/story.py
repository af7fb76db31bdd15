"""What a story is, and what is told of a record of which no story is known."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox import clock, share
from sandbox.business import Business
from sandbox.chance import below, salt
from sandbox.row import Row
from sandbox.sizes import grows

Near = dict[str, int]
AGE, DELAY = salt("age"), salt("delay")


def near_job(business: Business, job: int) -> Near:
    """A job and what belongs to it."""
    job %= business.sizes["jobs"]
    return {
        "jobs": job,
        "invoices": job,
        "customers": business.job_customer(job),
        "locations": business.job_location(job),
        "appointments": share.APPOINTMENTS.children(job)[0],
    }


def near_any(business: Business, name: str, position: int) -> Near:
    """A job for every record, each job at most once where the jobs suffice."""
    jobs, own = business.sizes["jobs"], business.sizes[name]
    return near_job(business, position * jobs // own if own <= jobs else position)


def created_any(business: Business, name: str, position: int, near: Near) -> int:
    """Within three days of the job for what business brings; in the year before the first customer otherwise."""
    number = business.number(name, position)
    if grows(name):
        return business.capped(business.job_created(near["jobs"]) + below(3 * clock.DAY, number, DELAY), number)
    return business.horizon - 1100 * clock.DAY - below(365 * clock.DAY, number, AGE)


@dataclass(frozen=True)
class Story:
    """How the records of one entity hang together with the rest of the business."""

    fields: Callable[[Row], dict[str, Any]] = lambda _row: {}
    """The fields that must agree with other records; the same names for every row."""
    near: Callable[[Business, str, int], Near] = near_any
    """What a record belongs to, by name and position."""
    created: Callable[[Business, str, int, Near], int] = created_any
    settled: Callable[[Business, int, int], int] = lambda _business, _position, created: created
    """The last event of a record by position and creation, in ticks: it was not modified before."""
    is_edited: bool = True
    """Whether a record is touched again behind its last event, as most are."""
    source: Callable[[Business, int], tuple[str, int]] | None = None
    """The record, by entity and position, of which one repeats the content."""
