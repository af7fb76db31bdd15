"""What size asks for, by arithmetic and by simulated days: the cases, their results, and what moves the first wall."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import starmap

from bench.constants import ENGINES, Constants
from bench.demand import Plan, bill, first_wall
from bench.result import Figures, Result
from bench.simulation import Day, simulated, utilisation
from store.timetable import INTERVALS

SIZES = (1, 20, 200, 2000)
WORKERS = {1: (1,), 20: (1,), 200: (1, 4), 2000: (4, 16)}
"""How many workers each number of tenants is tried with; DuckDB's file belongs to one."""
MEDIAN, MOST = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Case:
    """A plan and a day of it."""

    plan: Plan
    day: Day

    @property
    def name(self) -> str:
        """What it is of."""
        return f"{self.plan.tenants}x{self.plan.workers}"

    @property
    def behind(self) -> float:
        """The share of the day's versions that nobody could read at its end."""
        made = self.plan.tenants / self.plan.installations * self.plan.business.versions_a_day
        return self.day.unread / made if made else 0.0


def plans(known: Constants, sizes: Sequence[int] = SIZES) -> Iterator[Plan]:
    """The plans that are simulated on an engine."""
    for tenants in sizes:
        for workers in WORKERS[tenants]:
            if known.engine != "duckdb" or workers == WORKERS[tenants][0]:
                yield Plan(known, tenants, 1 if known.engine == "duckdb" else workers)


def cases(known: Constants, sizes: Sequence[int] = SIZES) -> Iterator[Case]:
    """A day of each plan."""
    return starmap(Case, ((plan, simulated(plan)) for plan in plans(known, sizes)))


def levers(known: Constants) -> Iterator[tuple[str, Plan]]:
    """One worker on a server of two cores, and the same with one thing changed."""
    usual = Plan(known)
    yield "as it comes, one worker", usual
    if known.engine != "duckdb":
        yield "four workers", replace(usual, workers=4)
        yield "four workers, `max_connections` 400", replace(usual, workers=4, sessions=400)
        yield "sixteen workers, `max_connections` 800", replace(usual, workers=16, sessions=800)
        yield "the same, eight cores of the database", replace(usual, workers=16, sessions=800, cores=8)
    yield "intervals three times as long", replace(usual, slower=3.0)
    yield "webhooks for priorities 1 and 2", replace(usual, webhooks=True)
    yield "ten installations with a database each", replace(usual, installations=10)


def figures(case: Case) -> Figures:
    """A case as a result's figures: lags in seconds, shares of what there is."""
    found: Figures = {}
    for priority in INTERVALS:
        found[f"lag{priority}_p50_s"] = case.day.lag(priority, MEDIAN)
        found[f"lag{priority}_p95_s"] = case.day.lag(priority, MOST)
    cost = bill(case.plan)
    return found | {
        "workers_used": utilisation(case.plan, case.day),
        "queue": case.day.longest_queue,
        "behind": case.behind,
        "wall_at": first_wall(case.plan)[1],
        "core_s_a_tenant": cost.core_seconds,
    }


def results(found: Sequence[Case]) -> Iterator[Result]:
    """Cases as the other benches' results."""
    for case in found:
        yield Result("scale", case.name, case.plan.constants.engine, case.plan.tenants, figures(case))


def engines_of(stores: Sequence[str]) -> list[str]:
    """The engines that stand in these stores: a lake's catalog is in PostgreSQL."""
    return [engine for engine in ENGINES if ("duckdb" if engine == "duckdb" else "postgres") in stores]
