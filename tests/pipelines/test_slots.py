"""What is done next, where only so much is done at once."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.slots import Slots

MINUTES = st.integers(1, 600)
HOUR = timedelta(hours=1)


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what threads are about to do."""
    over = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < over
        time.sleep(0.001)


@settings(max_examples=25, deadline=None)
@given(waiting=st.lists(st.tuples(MINUTES, MINUTES), min_size=1, max_size=8))
def test_the_latest_by_its_own_interval_is_next(waiting: list[tuple[int, int]]):
    """Ten minutes are much for what is due every five, and little for what is due once a day."""
    slots, now, order = Slots(1), datetime.now(UTC), []

    def work(late: timedelta, interval: timedelta) -> None:
        slots.take(now - late, interval, lambda: False)
        order.append(late / interval)
        slots.give_back()

    assert slots.take(now, HOUR, lambda: False)
    spans = [(timedelta(minutes=late), timedelta(minutes=interval)) for late, interval in waiting]
    threads = [threading.Thread(target=work, args=span) for span in spans]
    for thread in threads:
        thread.start()
    until(lambda: len(slots.waiting) == len(threads))
    slots.give_back()
    for thread in threads:
        thread.join()
    assert [round(late, 2) for late in order] == sorted((round(late, 2) for late in order), reverse=True)
    assert (slots.free, slots.waiting) == (1, [])


def test_nothing_is_passed_over_where_more_is_due_than_can_be_done():
    """Each comes as often as the others, give or take one: no turn is left to chance."""
    slots, done, total = Slots(2), Counter(), 600

    def work(name: int) -> None:
        due = datetime.now(UTC)
        while done.total() < total:
            slots.take(due, HOUR, lambda: False)
            done[name] += 1
            time.sleep(0.0005)
            due = datetime.now(UTC)
            slots.give_back()

    assert all(slots.take(datetime.now(UTC), HOUR, lambda: False) for _ in range(2))
    threads = [threading.Thread(target=work, args=(name,)) for name in range(30)]
    for thread in threads:
        thread.start()
    until(lambda: len(slots.waiting) == len(threads))
    for _ in range(2):
        slots.give_back()
    for thread in threads:
        thread.join()
    assert max(done.values()) - min(done.values()) <= 2


def test_who_is_told_to_stop_waits_no_longer():
    """And takes nothing: what comes free is for others."""
    slots = Slots(1)
    assert slots.take(datetime.now(UTC), HOUR, lambda: False)
    assert not slots.take(datetime.now(UTC), HOUR, lambda: True)
    slots.give_back()
    assert (slots.free, slots.waiting) == (1, [])
