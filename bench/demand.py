"""The arithmetic of size: what so many tenants ask of ServiceTitan, of workers, of the database and of disks in a day.

Pure. What is measured comes from `bench.constants`, what the code decides from the code, and what only an owner knows is
assumed in `Business` and `Prices`, where it can be changed.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import ceil, expm1, inf
from operator import add
from typing import Any

from bench.constants import Constants, Cpu
from pipelines.sync import groups
from pipelines.wishes import LOOK_EVERY
from sources.servicetitan.catalog import CATALOG, Feed
from store.settings import RATE
from store.timetable import INTERVALS

DAY = 86_400.0
BUDGET = float(RATE.default)  # requests a second for a tenant
LIMIT = 60.0  # ServiceTitan's own, for an application and tenant
SESSIONS = 100  # PostgreSQL's `max_connections` as it comes
PAGE = max(Counter(entity.page_size for entity in CATALOG).items(), key=lambda one: one[1])[0]
ENTITIES = {p: sum(entity.priority == p for entity in CATALOG) for p in INTERVALS}
GROUPS = {p: sum(1 for _ in groups([entity for entity in CATALOG if entity.priority == p])) for p in INTERVALS}
"""Loads that a turn of a priority may be: one for parents, one for what is asked for them, and so on."""
CHILDREN = max(Counter(one.parent for one in CATALOG if one.feed is Feed.CHILD and not one.is_batched).values())
"""Requests that a changed record may cause at most for what belongs to it."""
MODELS_EVERY = 60.0  # seconds within which models should run
LOOK = LOOK_EVERY.total_seconds()


@dataclass(frozen=True, slots=True)
class Business:
    """A tenant, as assumed."""

    versions_a_day: float = 10_000.0
    shares: Mapping[int, float] = field(default_factory=lambda: {1: 0.35, 2: 0.45, 3: 0.19, 4: 0.01})
    changing: Mapping[int, int] = field(default_factory=lambda: {1: 3, 2: 10, 3: 10, 4: 3})  # entities that do so daily
    parents: float = 0.3  # of the versions are of records that have others below them
    records: float = 500_000.0  # in the copy, all of which reconciling reads
    payload_bytes: float = 2_000.0
    begin: float = 7.0  # hour
    end: float = 19.0

    @property
    def busy(self) -> float:
        """Seconds a day in which records change."""
        return (self.end - self.begin) * 3600

    def versions(self, priority: int, begin: float, end: float) -> float:
        """Versions that are made between two moments of a day, in seconds."""
        within = max(0.0, min(end, self.end * 3600) - max(begin, self.begin * 3600))
        return self.versions_a_day * self.shares[priority] * within / self.busy

    def tables(self, priority: int, versions: float) -> float:
        """Entities that so many versions are of, as expected."""
        return spread(versions, self.changing[priority])


@dataclass(frozen=True, slots=True)
class Plan:
    """So many tenants, and what is there to serve them."""

    constants: Constants
    tenants: int = 1
    workers: int = 1  # processes, of which each uses a core
    cores: int = 2  # of the database server
    sessions: int = SESSIONS  # that it allows
    slower: float = 1.0  # intervals are so many times the usual
    webhooks: bool = False  # priorities 1 and 2 are read when told, and by themselves every hour
    installations: int = 1  # with a database of their own each, among which tenants are shared out
    business: Business = field(default_factory=Business)

    @property
    def has_server(self) -> bool:
        """Whether there is a database server."""
        return self.constants.engine != "duckdb"

    def interval(self, priority: int) -> float:
        """Seconds between two turns."""
        usual = INTERVALS[priority].total_seconds() * self.slower
        return max(usual, 3600.0) if self.webhooks else usual

    def with_tenants(self, number: int) -> "Plan":
        """The same with another number of tenants."""
        return replace(self, tenants=number)


def spread(things: float, boxes: float) -> float:
    """How many boxes hold something when so many things fall into them by chance."""
    return -boxes * expm1(-things / boxes) if boxes else 0.0


def loads(priority: int, versions: float) -> float:
    """Loads of a turn with so many versions: none without any, and at most one for each of its groups."""
    return -expm1(-versions) * max(1.0, min(float(GROUPS[priority]), versions))


def turn(plan: Plan, priority: int, versions: float) -> Cpu:
    """What a turn costs that finds so many versions, as expected."""
    of, tables = plan.constants.cpu, plan.business.tables(priority, versions)
    return (
        of(f"idle{priority}")
        + of("package") * loads(priority, versions)
        + of("table") * tables
        + of("version") * versions
    )


def wished(plan: Plan, priority: int) -> tuple[float, float]:
    """With webhooks: reads in a busy second, and the versions that each finds. Those of two seconds are read together."""
    a_second = plan.business.versions_a_day * plan.business.shares[priority] / plan.business.busy
    if not plan.webhooks or plan.interval(priority) == INTERVALS[priority].total_seconds():
        return 0.0, 0.0
    reads = -expm1(-a_second * LOOK) / LOOK
    return reads, a_second / reads if reads else 0.0


@dataclass(slots=True)
class Rates:
    """What a tenant asks for: turns, loads, requests, versions and CPU, in a second or a day."""

    turns: float = 0.0
    loads: float = 0.0
    requests: float = 0.0
    versions: float = 0.0
    statements: float = 0.0  # of operations and leases
    leases: float = 0.0
    cpu: Cpu = field(default_factory=Cpu)

    def __add__(self, other: "Rates") -> "Rates":
        """Both together."""
        return Rates(*map(add, values(self), values(other)))

    def __mul__(self, times: float) -> "Rates":
        """So many times."""
        return Rates(*(value * times for value in values(self)))


def values(rates: Rates) -> list[Any]:
    """The fields, in order."""
    return [getattr(rates, each.name) for each in fields(rates)]


def of_turn(plan: Plan, priority: int, versions: float, share: float = 1.0) -> Rates:
    """A turn that finds so many versions; `share` of its entities are asked for."""
    known, word = plan.constants, f"idle{priority}"
    quiet = known.cpu(word) * (share - 1)
    requests = known[f"{word}_requests"] * share + versions * plan.business.parents * CHILDREN
    leases = known[f"{word}_leases"] + 2  # the turn's own: taken and given back
    statements = known[f"{word}_statements"] + leases
    cost = turn(plan, priority, versions) + quiet
    return Rates(1.0, loads(priority, versions), requests, versions, statements, leases, cost)


def at_work(plan: Plan) -> Rates:
    """What a tenant asks for in a second of working hours."""
    total = Rates()
    for priority in INTERVALS:
        versions = plan.business.versions_a_day * plan.business.shares[priority] / plan.business.busy
        reads, each = wished(plan, priority)
        interval = plan.interval(priority)
        rest = 0.0 if reads else versions * interval
        total += of_turn(plan, priority, rest) * (1 / interval)
        if reads:
            share = plan.business.tables(priority, each) / ENTITIES[priority]
            total += of_turn(plan, priority, each, share) * reads
    return total


def asleep(plan: Plan) -> Rates:
    """What a tenant asks for in a second in which nothing changes."""
    turns = (of_turn(plan, priority, 0.0) * (1 / plan.interval(priority)) for priority in INTERVALS)
    return sum(turns, Rates())


def reconciled(plan: Plan) -> Rates:
    """What a tenant's nightly reconciling asks for: every record once more."""
    records = plan.business.records
    return Rates(1.0, 0.0, ceil(records / PAGE), 0.0, 0.0, 0.0, plan.constants.cpu("reread") * records)


def a_day(plan: Plan) -> Rates:
    """What a tenant asks for in a day, without models and looks."""
    busy = plan.business.busy
    return at_work(plan) * busy + asleep(plan) * (DAY - busy) + reconciled(plan)


@dataclass(frozen=True, slots=True)
class Modelling:
    """The models of an installation in working hours: runs a second, what each holds and costs."""

    a_second: float
    entities: float
    versions: float
    cost: Cpu

    @property
    def seconds(self) -> float:
        """How long a run takes."""
        return self.cost.both


def run_of_models(plan: Plan, versions: float) -> tuple[float, Cpu]:
    """The entities that a run with so many versions is of, and its cost."""
    of, changing = plan.constants.cpu, plan.business.changing
    entities = sum(spread(versions * plan.business.shares[p], changing[p]) for p in changing)
    return entities, of("model") + of("model_entity") * max(0.0, entities - 1) + of("model_version") * versions


def modelling(plan: Plan) -> Modelling:
    """One run after another: what lands during a run is the next one's. A run grows until it keeps up, or for ever."""
    one, here = at_work(plan), plan.tenants / plan.installations
    landings, versions = one.loads * here, one.versions * here
    if versions * plan.constants.cpu("model_version").both >= 1:
        return Modelling(0.0, 0.0, inf, Cpu(inf, inf))
    apart = 1 / landings if landings else inf
    length = 0.0
    for _ in range(400):  # each step comes nearer to the run that holds what comes in its own time
        entities, cost = run_of_models(plan, versions * max(length, apart) if landings else 0.0)
        length = cost.both
    between = max(length, apart)
    return Modelling(1 / between if landings else 0.0, entities, versions * between, cost)


def models_in_time(plan: Plan) -> Cpu:
    """What the models need in a second when they run as often as something lands, but not more than once a minute.

    They could run more often, and do when there is time; from 1 on, a run takes longer than that.
    """
    one, here = at_work(plan), plan.tenants / plan.installations
    if not one.loads:
        return Cpu()
    between = max(MODELS_EVERY, 1 / (one.loads * here))
    _, cost = run_of_models(plan, one.versions * here * between)
    return cost * (1 / between)


def walls(plan: Plan) -> dict[str, float]:
    """How much of each thing is used in working hours: from 1 on there is too little of it."""
    one, here = at_work(plan), plan.tenants / plan.installations
    look, models = plan.constants.cpu("tenant"), models_in_time(plan)
    client = one.cpu.client * here + models.client + look.client * here * plan.workers
    server = one.cpu.server * here + models.server + look.server * here * plan.workers
    found = {
        "ServiceTitan's limit": one.requests / BUDGET,
        "workers": client / plan.workers,
        "looks of one worker": look.client * here,
        "models": models.both,
    }
    if plan.has_server:
        found["database"] = server / plan.cores
        found["connections"] = plan.workers * plan.constants["connections"] / plan.sessions
    return found


def first_wall(plan: Plan) -> tuple[str, int]:
    """What is used up first as tenants become more, and the most tenants before that; 0 when one is too many."""
    if max(walls(plan.with_tenants(1)).values()) >= 1:
        low, high = 0, 1
    else:
        low, high = 1, 2
        while max(walls(plan.with_tenants(high)).values()) < 1:
            low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if max(walls(plan.with_tenants(middle)).values()) < 1 else (low, middle)
    used = walls(plan.with_tenants(high))
    return max(used, key=lambda name: used[name]), low


@dataclass(frozen=True, slots=True)
class Prices:
    """What a core's hour and a gigabyte's month cost: to be replaced by one's own."""

    core_hour: float = 0.05
    gigabyte_month: float = 0.10


@dataclass(frozen=True, slots=True)
class Bill:
    """What a tenant needs: seconds of cores a day, gigabytes on disk after a year, and what that costs a month."""

    core_seconds: float
    gigabytes: float
    a_month: float


def bill(plan: Plan, prices: Prices | None = None) -> Bill:
    """A tenant's share, in the twelfth month of a copy that has kept everything."""
    prices, business, known = prices or Prices(), plan.business, plan.constants
    models = modelling(plan)
    here = plan.tenants / plan.installations
    of_models = models.cost.both * models.a_second * business.busy / here if models.a_second else inf
    looks = known.cpu("tenant").both * DAY * plan.workers
    seconds = a_day(plan).cpu.both + of_models + looks
    versions = business.records + 365 * business.versions_a_day
    size = (versions * known["raw_bytes"] + business.records * known["shown_bytes"]) / 1e9
    month = seconds * 365 / 12 / 3600 * prices.core_hour + size * prices.gigabyte_month
    return Bill(seconds, size, month)
