"""Readings begun before dlt is asked: what is idle, what goes on, and where cursors stand."""

import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.servicetitan.begun import Begun, begin_all, is_negligible
from sources.servicetitan.reading import Reading, State

Step = tuple[bool, int]
"""Whether a page has rows, and where the cursor stands behind it."""
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass
class Told:
    """A reading that takes these steps, numbering its rows."""

    steps: list[Step]
    is_whole: bool = False
    taken: int = 0

    def tables(self, state: State) -> Iterator[pa.Table | None]:
        for number, (has_rows, place) in enumerate(self.steps):
            self.taken += 1
            yield pa.table({"number": [number]}) if has_rows else None
            state["token"] = place
        self.is_whole = True


def begun(told: list[Told], cursors: list[State], at_once: int = 3) -> list[Begun]:
    return begin_all(cast("list[Reading]", told), cursors, at_once)


def numbers(one: Begun, kept: State) -> list[int]:
    return [number for table in one.tables(kept) for number in table.column("number").to_pylist()]


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=6), max_size=6), st.integers(1, 3))
def test_nothing_is_lost_or_repeated(steps: list[list[Step]], at_once: int):
    """Rows come once and in order, whoever read them; cursors end where the last page left them."""
    told = [Told(some) for some in steps]
    for reading, one in zip(told, begun(told, [{"token": 0} for _ in told], at_once), strict=True):
        kept: State = {"token": 0}
        rows = [number for number, (has_rows, _) in enumerate(reading.steps) if has_rows]
        last = reading.steps[-1][1] if reading.steps else 0
        if one.is_idle:
            assert (rows, last) == ([], 0)
        else:
            assert numbers(one, kept) == rows
            assert kept == {"token": last}
        assert reading.is_whole


@given(st.lists(st.lists(st.tuples(st.just(False), st.just(0)), max_size=4), max_size=6))
def test_without_news_all_are_idle(steps: list[list[Step]]):
    """Where no page has rows and no cursor moves, nothing is left for dlt."""
    told = [Told(some) for some in steps]
    assert all(one.is_idle for one in begun(told, [{"token": 0} for _ in told]))


def test_the_first_rows_stop_everyone():
    """Who has not begun when rows are met is not begun ahead: one page at most is held in memory for each."""
    told = [Told([(True, 1)] * 5), Told([(True, 1)] * 5), Told([])]
    found = begun(told, [{}, {}, {}], at_once=1)
    assert [reading.taken for reading in told] == [1, 0, 0]
    assert [one.is_idle for one in found] == [False, False, False]


def test_a_cursor_moves_behind_its_rows():
    """While rows are handed on, dlt's cursor stands before them; ahead of them it would skip what is not loaded."""
    told = [Told([(True, 1), (False, 2), (True, 3)])]
    [one] = begun(told, [{"token": 0}])
    kept: State = {"token": 0}
    seen = [kept["token"] for _ in one.tables(kept)]
    assert (seen, kept["token"]) == ([0, 2], 3)


def test_what_dlt_keeps_is_not_touched_ahead():
    """The cursor given is copied: an idle reading may have moved its own."""
    cursor: dict[str, Any] = {"token": 0}
    begun([Told([(False, 9)])], [cursor])
    assert cursor == {"token": 0}


@pytest.mark.parametrize(
    ("before", "after", "negligible"),
    [
        ({}, {}, True),
        ({"token": "a"}, {"token": "a"}, True),
        ({"token": "a"}, {"token": "b"}, False),
        ({}, {"cursor": NOON.isoformat()}, False),
        ({"cursor": NOON.isoformat()}, {"cursor": (NOON + timedelta(hours=5)).isoformat()}, True),
        ({"cursor": NOON.isoformat()}, {"cursor": (NOON + timedelta(hours=6)).isoformat()}, False),
        ({"cursor": f"{NOON.isoformat()} 5"}, {"cursor": f"{NOON.isoformat()} 6"}, False),
        ({"cursor": NOON.isoformat(), "token": "a"}, {"cursor": NOON.isoformat(), "token": "b"}, False),
    ],
)
def test_negligible_moves(before: State, after: State, *, negligible: bool):
    """Only a clock that went on a little may be forgotten."""
    assert is_negligible(before, after) is negligible


def test_a_page_is_let_go_before_the_next_is_read():
    """The page that was read ahead too: many readings would hold one each for as long as they go on."""
    alive: list[int] = []

    @dataclass
    class Watched(Told):
        def tables(self, state: State) -> Iterator[pa.Table | None]:
            seen: list[weakref.ref[pa.Table]] = []
            for table in super().tables(state):
                seen.append(weakref.ref(table))
                yield table
                del table
                alive.append(sum(one() is not None for one in seen))

    [one] = begun([Watched([(True, 1), (True, 2), (True, 3)])], [{}])
    tables = one.tables({})
    assert [next(tables).num_rows for _ in range(3)] == [1, 1, 1]
    assert next(tables, None) is None
    assert alive == [0, 0, 0]
