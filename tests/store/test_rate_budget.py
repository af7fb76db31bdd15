"""The rate budget: what is allowed, however many ask."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine
from hypothesis import given
from hypothesis import strategies as st

from store.operations import Operations, Row, open_operations
from store.rate_budget import BURST, RateBudget, application_name, open_budget_store
from store.settings import Settings


class Arrivals:
    """The store's one statement and its clock, in memory: what the property below is about is the waiting, not SQL."""

    def __init__(self, clock: "Clock") -> None:
        self.clock, self.arrival = clock, 0.0

    def run(self, query: str, **values: float) -> list[Row]:
        assert query == "take_from_budget"
        self.arrival = max(self.arrival, self.clock.now) + values["interval"]
        return [{"wait_seconds": self.arrival - values["burst_seconds"] - self.clock.now}]

    def close(self) -> None:
        pass


class Clock:
    """A clock that moves when someone sleeps on it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def budget(operations: Operations, rate: float, sleep: Callable[[float], None] = lambda _: None) -> RateBudget:
    """One whose requests come all at once, if it does not sleep: each waits for the ones before it."""
    return RateBudget(operations, "app", 1, rate, sleep=sleep)


def are_fair(waits: list[float], interval: float, elapsed: float) -> bool:
    """Whether requests that came within `elapsed` seconds wait each for its own turn, no shorter and no longer."""
    turns = [max(0.0, (number - BURST) * interval) for number in range(1, len(waits) + 1)]
    return all(turn - elapsed - 0.01 <= wait <= turn + 0.01 for turn, wait in zip(turns, waits, strict=True))


@given(rate=st.floats(1, 100), idle=st.lists(st.floats(0, 2), min_size=5, max_size=60))
def test_no_second_sees_more_than_the_rate_and_a_burst(rate: float, idle: list[float]):
    """Whatever the pauses between requests, every window of a second holds at most rate + burst requests."""
    clock = Clock()
    taken = budget(Arrivals(clock), rate, clock.sleep)
    sent = []
    for pause in idle:
        clock.now += pause / 50
        taken.take()
        sent.append(clock.now)
    for moment in sent:
        assert sum(moment <= other < moment + 1 for other in sent) <= rate + BURST + 1


def test_two_callers_share_one_row(settings: Settings):
    """Two budgets on two connections spend from the same allowance, on both stores."""
    first, second = budget(open_operations(settings), 0.01), budget(open_operations(settings), 0.01)
    begun = time.monotonic()
    waits = [each.take() for _ in range(20) for each in (first, second)]
    assert are_fair(waits, 100, time.monotonic() - begun)


def test_clocks_of_hosts_play_no_part(settings: Settings):
    """Two budgets of hosts whose clocks are an hour apart give each other turns: each waits as if they were the same."""
    right, fast = budget(open_operations(settings), 0.01), budget(open_operations(settings), 0.01)
    begun, waits = time.monotonic(), []
    for _ in range(10):
        waits.append(right.take())
        with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
            waits.append(fast.take())
    assert are_fair(waits, 100, time.monotonic() - begun)


def test_what_is_promised_is_told_by_the_clock_that_promised_it(settings: Settings):
    """A host whose clock is an hour fast tells the same seconds ahead, and of busy time, as any other."""
    operations, begun = open_operations(settings), time.monotonic()
    for _ in range(10):
        budget(operations, 0.01).take()
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        [row] = operations.run("budgets")
    elapsed = time.monotonic() - begun
    assert 1000 - elapsed - 0.01 <= row["ahead_seconds"] <= 1000
    assert 0 <= row["busy_seconds"] <= elapsed + 0.01


def test_tenants_and_applications_do_not_spend_each_others_budget(settings: Settings):
    """Another tenant's requests go at once."""
    operations = open_operations(settings)
    for _ in range(10):
        budget(operations, 0.01).take()
    assert RateBudget(operations, "app", 2, 0.01).take() == 0


def test_the_key_is_not_in_the_store(tmp_path: Path):
    """The application's key is written as a hash."""
    settings = Settings("", tmp_path, 3001, "warning")
    RateBudget(open_budget_store(settings), application_name("top-secret-key"), 1, 50).take()
    assert all(b"top-secret-key" not in path.read_bytes() for path in tmp_path.iterdir())
