"""A day of an installation, event by event: turns come due, workers take them, the database and the models follow.

A worker is a process and works on one thing at a time, as one core does; what it leaves to the database server is taken by
that server's cores. Models run in a worker's time and never twice at once; they wait in the line of the turns, which are taken
as they came due. Looks take a share of each. Changes come evenly in working hours, each tenant's out of step with the
others'. No clock, no network: the same seed gives the same day.
"""

import heapq
import random
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from math import floor, inf
from typing import Any

from bench.constants import Cpu
from bench.demand import BUDGET, DAY, Plan, reconciled, run_of_models, turn
from store.timetable import INTERVALS

RECONCILE = 0  # among the priorities
NIGHT = 3 * 3600.0
ROUNDING = 1e-6
LEAST_SPEED = 0.001  # of what does nothing but look


@dataclass(slots=True)
class Duty:
    """A tenant's duty: when it is due, and up to when it has read."""

    priority: int
    due: float
    step: float  # 0 to 1: how much of its first change has come before the day
    read_to: float = 0.0


@dataclass(frozen=True, slots=True)
class Landed:
    """Versions of a priority that landed and are not shown yet, and between which moments they were made."""

    priority: int
    begin: float
    end: float
    versions: float


@dataclass(slots=True)
class Day:
    """What came of a day. `steps`: by how many more changes can be read after so many seconds than after one less."""

    steps: dict[int, dict[int, float]] = field(default_factory=lambda: {p: defaultdict(float) for p in INTERVALS})
    late: dict[int, dict[int, float]] = field(
        default_factory=lambda: {p: defaultdict(float) for p in (*INTERVALS, RECONCILE)}
    )
    longest_queue: int = 0
    turns: int = 0
    runs: int = 0
    run_seconds: float = 0.0
    worker_seconds: float = 0.0
    server_seconds: float = 0.0
    unread: float = 0.0  # versions that nobody can read at the end

    def lags(self, priority: int) -> dict[int, float]:
        """Whole seconds from a change in ServiceTitan until it can be read, with how many changes."""
        steps = self.steps[priority]
        sums = accumulate(steps.get(second, 0.0) for second in range(max(steps, default=0)))
        return {second: number for second, number in enumerate(sums) if number > ROUNDING}

    def lag(self, priority: int, share: float) -> int:
        """Within so many seconds this share of the changes could be read."""
        return quantile(self.lags(priority), share)


def quantile(counts: Mapping[int, float], share: float) -> int:
    """The least value that at least this share is not above; 0 of nothing."""
    wanted, seen, value = share * sum(counts.values()) - ROUNDING, 0.0, 0
    for value in sorted(counts):
        seen += counts[value]
        if seen >= wanted:
            break
    return value


class Simulation:
    """One day of one installation; `run` once."""

    def __init__(self, plan: Plan, seed: int = 1) -> None:
        """It is midnight, and nothing is due yet."""
        self.plan, self.chance, self.day = plan, random.Random(seed), Day()  # noqa: S311  not for cryptography
        self.tenants = -(-plan.tenants // plan.installations)
        look = plan.constants.cpu("tenant") * self.tenants
        self.speed = max(LEAST_SPEED, 1 - look.client)
        self.server_speed = max(LEAST_SPEED, 1 - look.server * plan.workers / plan.cores)
        self.events: list[tuple[float, int, str, Any]] = []
        self.number, self.free = 0, plan.workers
        self.waiting: deque[Duty | None] = deque()  # None: the models
        self.cores = [0.0] * max(1, plan.cores)
        self.landed: list[Landed] = []
        self.is_modelling = False
        self.night = reconciled(plan)

    def run(self) -> Day:
        """Until the day is over."""
        for duty in self.duties():
            self.at(duty.due, "due", duty)
        while self.events and self.events[0][0] < DAY:
            moment, _, kind, what = heapq.heappop(self.events)
            getattr(self, kind)(moment, what)
            self.serve(moment)
        self.count_unread()
        return self.day

    def duties(self) -> Iterator[Duty]:
        """Every tenant's, first due somewhere in their interval; reconciling at night for all at once."""
        for _ in range(self.tenants):
            for priority in INTERVALS:
                due = self.chance.random() * self.plan.interval(priority)
                yield Duty(priority, due, self.chance.random())
            yield Duty(RECONCILE, NIGHT, 0.0)

    def at(self, moment: float, kind: str, what: Any) -> None:
        """Have something happen; of what happens at once, the first told."""
        self.number += 1
        heapq.heappush(self.events, (moment, self.number, kind, what))

    def due(self, _: float, duty: Duty) -> None:
        """A turn has come."""
        self.waiting.append(duty)
        self.day.longest_queue = max(self.day.longest_queue, len(self.waiting))

    def serve(self, moment: float) -> None:
        """Give free workers something to do."""
        if self.landed and not self.is_modelling:
            self.is_modelling = True
            self.waiting.append(None)
        while self.free and self.waiting:
            duty = self.waiting.popleft()
            if duty:
                self.begin_turn(moment, duty)
            else:
                self.begin_models(moment)

    def begin_turn(self, moment: float, duty: Duty) -> None:
        """A worker takes a turn."""
        plan = self.plan
        self.free, self.day.turns = self.free - 1, self.day.turns + 1
        self.day.late[duty.priority][int(moment - duty.due)] += 1
        if duty.priority == RECONCILE:
            cost, requests, versions = self.night.cpu, self.night.requests, 0.0
        else:
            versions = self.made(duty, moment)
            cost = turn(plan, duty.priority, versions) if versions else self.idle(duty.priority)
            requests = plan.constants[f"idle{duty.priority}_requests"]
        begun, duty.read_to = duty.read_to, moment
        done = self.work(moment, cost)
        seen = Landed(duty.priority, begun, moment, versions)
        self.at(done, "leave", None)
        self.at(max(self.ask(done, cost), moment + requests / BUDGET), "land", (duty, seen))

    def made(self, duty: Duty, moment: float) -> float:
        """Whole versions that were made since a duty has last read."""
        versions = self.plan.business.versions
        before, now = (versions(duty.priority, 0.0, until) + duty.step for until in (duty.read_to, moment))
        return float(floor(now) - floor(before))

    def idle(self, priority: int) -> Cpu:
        """What a turn costs that finds nothing."""
        return self.plan.constants.cpu(f"idle{priority}")

    def work(self, moment: float, cost: Cpu) -> float:
        """When a worker that begins now has done its part."""
        self.day.worker_seconds += cost.client
        return moment + cost.client / self.speed

    def ask(self, moment: float, cost: Cpu) -> float:
        """When the database server has done its part of what comes now."""
        if not self.plan.has_server:
            return moment
        self.day.server_seconds += cost.server
        begin = max(moment, heapq.heappop(self.cores))
        done = begin + cost.server / self.server_speed
        heapq.heappush(self.cores, done)
        return done

    def leave(self, _: float, __: Any) -> None:
        """A worker has done its part."""
        self.free += 1

    def land(self, moment: float, what: tuple[Duty, Landed]) -> None:
        """A turn has come to its end; the next one comes an interval behind its beginning."""
        duty, seen = what
        if seen.versions:
            self.landed.append(seen)
        if duty.priority != RECONCILE:
            duty.due = max(moment, duty.read_to + self.plan.interval(duty.priority))
            self.at(duty.due, "due", duty)

    def begin_models(self, moment: float) -> None:
        """A worker brings up to date what landed until now."""
        shown, self.landed = self.landed, []
        _, cost = run_of_models(self.plan, sum(one.versions for one in shown))
        self.free, self.day.runs = self.free - 1, self.day.runs + 1
        done = self.work(moment, cost)
        ended = self.ask(done, cost)
        self.day.run_seconds += ended - moment
        self.at(done, "leave", None)
        self.at(ended, "show", shown)

    def show(self, moment: float, shown: list[Landed]) -> None:
        """The models have run."""
        self.is_modelling = False
        for one in shown:
            self.count(one, moment)

    def count(self, one: Landed, moment: float) -> None:
        """Changes that can be read at a moment, by their age, of which there are as many of each second."""
        business = self.plan.business
        oldest = int(moment - max(one.begin, business.begin * 3600))
        youngest = int(moment - min(one.end, business.end * 3600))
        each, steps = one.versions / (oldest - youngest + 1), self.day.steps[one.priority]
        steps[youngest] += each
        steps[oldest + 1] -= each

    def count_unread(self) -> None:
        """What landed and is not shown, or was never read, is as old as the day's end makes it at least."""
        left = [*self.landed]
        for _, _, kind, what in self.events:
            left += what if kind == "show" else [what[1]] if kind == "land" else []
        duties = [*self.waiting, *(what for _, _, kind, what in self.events if kind == "due")]
        for duty in duties:
            if duty and duty.priority != RECONCILE:
                left.append(Landed(duty.priority, duty.read_to, DAY, self.made(duty, DAY)))
        for one in left:
            if one.versions:
                self.day.unread += one.versions
                self.count(one, DAY)


def simulated(plan: Plan, seed: int = 1) -> Day:
    """A day of a plan."""
    return Simulation(plan, seed).run()


def utilisation(plan: Plan, day: Day) -> float:
    """How much of the workers' whole day was used, looks included."""
    look = plan.constants.cpu("tenant").client * plan.tenants / plan.installations
    return min(inf, day.worker_seconds / DAY / plan.workers + look)
