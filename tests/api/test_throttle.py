"""How much a key may ask, by moments that the test names."""

from datetime import UTC, datetime

import pytest

from api.gate import HOUR, MINUTE, Throttle
from api.problems import TooManyError
from store.keys import Key


def key(per_minute: int, per_hour: int) -> Key:
    return Key("abcdefgh", "x", "", frozenset({"read"}), 1, per_minute, per_hour, datetime.now(UTC), None, None)


def refused(throttle: Throttle, asked_by: Key, moment: float) -> int:
    """The seconds that a refused request is told to wait; 0 when it is let in."""
    try:
        throttle.count(asked_by, moment)
    except TooManyError as error:
        return int(error.headers["Retry-After"])
    return 0


@pytest.mark.parametrize(("seconds", "limits"), [(MINUTE, (5, 0)), (HOUR, (0, 5))], ids=["minute", "hour"])
@pytest.mark.parametrize("into", [0.0, 0.25, 0.5, 0.99])
def test_who_waits_as_told_is_let_in_and_not_a_second_earlier(seconds: int, limits: tuple[int, int], into: float):
    """Wherever in a stretch the requests were used up."""
    begun = seconds * 1000 + seconds * into
    told = refused_after_five(key(*limits), begun)
    assert told > 0
    assert refused_after_five(key(*limits), begun, come_back_at=begun + told) == 0
    assert refused_after_five(key(*limits), begun, come_back_at=begun + told - 1) > 0


def refused_after_five(asked_by: Key, begun: float, come_back_at: float | None = None) -> int:
    """Use up five requests and ask once more, at the same moment or later."""
    throttle = Throttle(0, 0)
    assert [refused(throttle, asked_by, begun) for _ in range(5)] == [0] * 5
    return refused(throttle, asked_by, begun if come_back_at is None else come_back_at)


def test_no_stretch_of_time_holds_more_than_the_limit_by_much():
    """One who asks all the time is let in as often as the limit says, the stretch's weight apart."""
    throttle, asked_by = Throttle(0, 0), key(60, 0)
    moments = [60_000 + number / 10 for number in range(6000)]  # ten minutes, ten a second
    taken = [moment for moment in moments if not refused(throttle, asked_by, moment)]
    for first in taken:
        assert sum(first <= moment < first + MINUTE for moment in taken) <= 120
    assert len(taken) <= 60 * 11


def test_zero_is_no_limit():
    """For a key of its own, and as the usual."""
    throttle = Throttle(0, 0)
    assert [refused(throttle, key(0, 0), 1000.0) for _ in range(5000)] == [0] * 5000
