"""Slices of dates: a fixed grid without gaps."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.servicetitan.catalog import MONTHLY, Window
from sources.servicetitan.window import BEGINNING, slices, start_of

WINDOWS = (MONTHLY, Window(days=1), Window(days=14), Window(days=90))
moments = st.datetimes(datetime(2018, 1, 1), datetime(2040, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001


@pytest.mark.parametrize("window", WINDOWS)
@given(moment=moments, later=st.timedeltas(timedelta(0), timedelta(days=900)))
def test_slices_touch_and_cover(window: Window, moment: datetime, later: timedelta):
    """From the slice that holds the first moment to the one that holds the last, each beginning where the other ends."""
    found = list(slices(window, moment, moment + later + timedelta(seconds=1)))
    assert found[0][0] <= moment < found[0][1]
    assert found[-1][0] <= moment + later < found[-1][1]
    assert all(before[1] == behind[0] for before, behind in pairwise(found))


@pytest.mark.parametrize("window", WINDOWS)
@given(moment=moments)
def test_a_slice_is_the_same_from_each_of_its_moments(window: Window, moment: datetime):
    """So that what is read again replaces what was read before."""
    start, end = next(slices(window, moment, moment + timedelta(days=1)))
    assert start_of(window, start) == start_of(window, end - timedelta(microseconds=1)) == start


def test_the_first_read_begins_with_history_unless_the_row_says_otherwise():
    """What is looked at ahead has no past."""
    now = datetime(2026, 5, 20, 12, tzinfo=UTC)
    assert next(slices(MONTHLY, None, now))[0] == BEGINNING
    ahead = list(slices(Window(days=14, is_history=False, ahead=14), None, now))
    assert ahead == list(slices(Window(days=14, is_history=False, ahead=14), now - timedelta(days=30), now))
    assert ahead[0][0] <= now
    assert ahead[-1][1] >= now + timedelta(days=14)
    assert len(ahead) <= 2
