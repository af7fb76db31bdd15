"""The census: no list that moved counts as read whole before every row that stayed in it was met."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sources.servicetitan.head import Head
from sources.servicetitan.passes import Passes

BEGUN = datetime(2026, 5, 1, tzinfo=UTC)
OLD, RECENT = BEGUN - timedelta(days=1), BEGUN + timedelta(seconds=1)
SIZE = 3

Event = tuple[str, int, int]
EVENTS = st.tuples(st.sampled_from(["leave", "enter", "move", "nothing"]), st.integers(0, 40), st.integers(0, 40))


def head(key: int) -> Head:
    """Rows from 1,000 on came while the list was read."""
    return Head(key, RECENT if key >= 1000 else OLD, is_deleted=False)


def happen(rows: list[int], event: Event, number: int) -> None:
    """One row leaves, comes or moves."""
    what, one, other = event
    if what == "enter":
        rows.insert(one % (len(rows) + 1), 1000 + number)
    elif what != "nothing" and rows:
        row = rows.pop(one % len(rows))
        if what == "move":
            rows.insert(other % (len(rows) + 1), row)


def read(rows: list[int], census: Passes, events: list[Event], *, with_total: bool = True) -> set[int]:
    """One pass over a list, with an event before each page but the first; what was met."""
    met: set[int] = set()
    start, more = 0, True
    census.begin()
    while more:
        if start and events:
            happen(rows, events.pop(0), start + len(met))
        shown, more = rows[start : start + SIZE], start + SIZE < len(rows)
        met |= set(shown)
        census.count([head(key) for key in shown], len(rows) if with_total else None)
        start += SIZE
    return met


@hypothesis_settings(max_examples=400)
@given(length=st.integers(1, 20), events=st.lists(EVENTS, max_size=8))
def test_a_pass_is_complete_only_when_it_met_every_row_that_stayed(length: int, events: list[Event]):
    """Whatever left, came and moved, one at a time; and once the list is still, the next pass ends the reading."""
    rows, census = list(range(length)), Passes(BEGUN)
    met = read(rows, census, events)
    if census.is_complete():
        assert set(rows) & set(range(length)) <= met
    else:
        met |= read(rows, census, [])
        assert census.is_complete()
        assert set(rows) <= met


@given(length=st.integers(0, 20), with_total=st.booleans())
def test_a_list_that_holds_still_is_read_once(length: int, with_total: bool):  # noqa: FBT001  hypothesis' way
    """No second pass, with a total or without."""
    census = Passes(BEGUN)
    read(list(range(length)), census, [], with_total=with_total)
    assert census.is_complete()


def test_a_single_page_cannot_move():
    """Nothing is counted, nothing is missing."""
    census = Passes(BEGUN)
    census.begin()
    assert census.is_complete()


def test_a_total_that_two_passes_contradict_is_not_believed():
    """Some totals are wrong; the reader does not read for ever because of them."""
    census = Passes(BEGUN)
    for is_complete in (False, True):
        census.begin()
        census.count([head(1), head(2)], 99)
        assert census.is_complete() is is_complete


def test_rows_that_came_meanwhile_do_not_keep_a_busy_list_from_being_read():
    """Newest first, one more row before every page: the second pass brings nothing that is not the next run's."""
    rows, census = list(range(12)), Passes(BEGUN)
    news = [("enter", 0, 0)] * 40
    met = read(rows, census, news)
    assert not census.is_complete()
    assert set(range(12)) <= met | read(rows, census, news)
    assert census.is_complete()


def test_without_totals_a_repeated_row_is_doubted_once():
    """A row that stands twice may be there for another one; a second pass that finds nothing more settles it."""
    census = Passes(BEGUN)
    for is_complete in (False, True):
        census.begin()
        census.count([head(1), head(2)], None)
        census.count([head(2), head(3)], "many")
        assert census.is_complete() is is_complete
