"""The rate budget: what is allowed, however many ask."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from store.operations import Operations, Row, open_operations
from store.rate_budget import BURST, RateBudget, application_name, open_budget_store
from store.settings import Settings


class Arrivals:
    """The store's one statement, in memory: what the property below is about is the waiting, not SQL."""

    def __init__(self) -> None:
        self.arrival = 0.0

    def run(self, query: str, **values: float) -> list[Row]:
        assert query == "take_from_budget"
        self.arrival = max(self.arrival, values["now"]) + values["interval"]
        return [{"arrival": self.arrival}]

    def close(self) -> None:
        pass


class Clock:
    """A clock that moves when someone sleeps on it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def budget(operations: Operations, clock: Clock, rate: float) -> RateBudget:
    return RateBudget(operations, "app", 1, rate, clock=lambda: clock.now, sleep=clock.sleep)


@given(rate=st.floats(1, 100), idle=st.lists(st.floats(0, 2), min_size=5, max_size=60))
def test_no_second_sees_more_than_the_rate_and_a_burst(rate: float, idle: list[float]):
    """Whatever the pauses between requests, every window of a second holds at most rate + burst requests."""
    clock = Clock()
    taken = budget(Arrivals(), clock, rate)
    sent = []
    for pause in idle:
        clock.now += pause / 50
        taken.take()
        sent.append(clock.now)
    for moment in sent:
        assert sum(moment <= other < moment + 1 for other in sent) <= rate + BURST + 1


def test_two_callers_share_one_row(settings: Settings):
    """Two budgets on two connections spend from the same allowance, on both stores."""
    clock = Clock()
    first = budget(open_operations(settings), clock, 10)
    second = budget(open_operations(settings), clock, 10)
    start = clock.now
    for _ in range(20):
        first.take()
        second.take()
    assert clock.now - start >= (40 - BURST - 1) / 10


def test_tenants_and_applications_do_not_spend_each_others_budget(settings: Settings):
    """Another tenant's requests go at once."""
    operations, clock = open_operations(settings), Clock()
    for _ in range(10):
        budget(operations, clock, 1).take()
    other = RateBudget(operations, "app", 2, 1, clock=lambda: clock.now, sleep=clock.sleep)
    assert other.take() == 0


def test_the_key_is_not_in_the_store(tmp_path: Path):
    """The application's key is written as a hash."""
    settings = Settings("", tmp_path, 3001, "warning")
    RateBudget(open_budget_store(settings), application_name("top-secret-key"), 1, 50).take()
    assert all(b"top-secret-key" not in path.read_bytes() for path in tmp_path.iterdir())
