"""The business behind the answers: who its customers are, what was done for them and when, as arithmetic.

Nothing is stored. A position, the seed and the day give every relation and date, so that an invoice can name its
customer without that customer having been made.
"""

from functools import lru_cache

from sandbox import clock, naming, share
from sandbox.chance import GOLDEN, below, mix, salt
from sandbox.sizes import size
from sources.servicetitan.catalog import CATALOG

SERIES = 100_000_000
"""Ids of an entity stand in a series of their own, this far from the next."""
BITS = 24
"""A position fits into so many bits."""
PLACE = (1 << BITS) - 1
"""The bits of a position."""

MIRRORS = {"inventory_bills": "inventory_bills_paginated", "calls_v2": "calls"}
"""Entities that show the records of another one in a shape of their own."""
NUMBERED_WITH = {
    "employees": "technicians",
    "business_unit_intacct_mappings": "business_units",
}
"""Entities whose ids are also ids of another one: they number their own, or describe the same thing."""

NUMBERS = {entity.name: number for number, entity in enumerate(CATALOG, 1)}

REMEMBERED = 4096
"""So many dates of customers and jobs are kept, because neighbouring records ask for the same ones."""

LIFE, QUIET, WHEN, START, LENGTH, LATER, PRICE, SITE, COUNT = map(
    salt, ("life", "quiet", "when", "start", "length", "later", "price", "site", "count")
)

YEARS = 1095 * clock.DAY
FRESH = 30 * clock.DAY
SILENCES = (
    (45, 0, 20 * clock.DAY),
    (65, 20 * clock.DAY, 100 * clock.DAY),
    (85, 120 * clock.DAY, 280 * clock.DAY),
    (100, 400 * clock.DAY, 500 * clock.DAY),
)
"""Up to which percentile of the customers the last work is so long ago at least, and so much more at most."""


def series(name: str) -> int:
    """The number of the series in which an entity's ids stand."""
    name = MIRRORS.get(name, name)
    return NUMBERS[NUMBERED_WITH.get(name, name)]


class Business:
    """One tenant's business on one day."""

    def __init__(self, seed: int, tenant: int, customers: int, horizon: int) -> None:
        """`customers` scales everything that grows; `horizon`, in ticks, is the latest moment of any record."""
        self.tenant, self.customers, self.horizon = tenant, customers, horizon
        self.sizes = {entity.name: size(entity.name, customers) for entity in CATALOG}
        root = mix(mix(seed) ^ tenant)
        self.seeds = {name: root ^ salt(MIRRORS.get(name, name)) for name in self.sizes}
        self.bases = {name: series(name) * SERIES + 1 for name in self.sizes}
        self.birth, self.last_seen = lru_cache(REMEMBERED)(self.came), lru_cache(REMEMBERED)(self.went)
        self.job_created = lru_cache(REMEMBERED)(self.booked)
        self.price = lru_cache(REMEMBERED)(self.priced)

    def number(self, name: str, position: int) -> int:
        """The hash from which everything about a record is drawn."""
        return mix(self.seeds[name] + position * GOLDEN)

    def ident(self, name: str, position: int) -> int:
        """The id of a record."""
        return self.bases[name] + position

    def called(self, name: str, position: int) -> str:
        """The name of a record."""
        if name in {"customers", "locations"}:
            return naming.customer(self.number("customers", self.customer_of(name, position)))
        return naming.called(name, position, self.number(name, position))

    def customer_of(self, name: str, position: int) -> int:
        """The customer of a location or of a customer: its own position."""
        return share.LOCATIONS.parent(position) % self.customers if name == "locations" else position

    def capped(self, moment: int, number: int) -> int:
        """A moment, or one in the last hour when it lies ahead."""
        return moment if moment <= self.horizon else self.horizon - number % clock.HOUR

    def came(self, customer: int) -> int:
        """When a customer came."""
        number = self.number("customers", customer)
        span = FRESH if below(7, number, COUNT) == 0 else YEARS
        return self.horizon - clock.DAY - below(span, number, LIFE)

    def went(self, customer: int) -> int:
        """The end of the time in which work was ordered."""
        number = self.number("customers", customer)
        percentile = below(100, number, QUIET)
        _, least, more = next(silence for silence in SILENCES if percentile < silence[0])
        birth = self.birth(customer)
        return max(self.horizon - least - below(more, number, QUIET + 1), birth + (self.horizon - birth) // 10)

    def job_customer(self, job: int) -> int:
        """The customer of a job."""
        return share.JOBS.parent(job) % self.customers

    def job_location(self, job: int) -> int:
        """Where a job is done: one of its customer's locations."""
        places = share.LOCATIONS.children(self.job_customer(job))
        return places[below(len(places), self.number("jobs", job), SITE)]

    def booked(self, job: int) -> int:
        """When a job was booked."""
        customer = self.job_customer(job)
        birth = self.birth(customer)
        return birth + below(max(self.last_seen(customer) - birth, 1), self.number("jobs", job), WHEN)

    def priced(self, service: int) -> int:
        """What a service costs, in cents."""
        return 4900 + below(2400, self.number("pricebook_services", service), PRICE) * 100 + 95
