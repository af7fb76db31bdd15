"""The proof of no gap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from store.chain import chain_of

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def batches(*moves: tuple[str | None, str | None]) -> list[dict]:
    return [
        {
            "sync_batch_id": str(number),
            "started_at": NOON + timedelta(minutes=number),
            "status": "completed" if end else "running",
            "covered_from": begin,
            "covered_to": end,
            "pages": 1,
            "fetched": 2,
            "appended": 1,
            "bytes": 10,
        }
        for number, (begin, end) in enumerate(moves)
    ]


def test_runs_that_begin_where_the_last_one_ended_are_a_chain():
    """From the read from the beginning to the present."""
    chain = chain_of(batches(("", "a"), ("a", "b"), ("b", "b"), ("b", "c")))
    assert chain.is_whole
    assert [link.end for link in chain.links] == ["a", "b", "b", "c"]


def test_a_run_that_died_covers_nothing():
    """Its successor begins where it began."""
    assert chain_of(batches(("", "a"), ("a", None), ("a", "b"))).is_whole


def test_a_missing_run_is_a_hole():
    """And the place is named."""
    chain = chain_of(batches(("", "a"), ("b", "c"), ("c", "d")))
    assert (chain.is_whole, chain.hole) == (False, "b")
    assert [link.begin for link in chain.links] == ["b", "c"]


def test_a_full_read_begins_a_new_chain():
    """What was before it does not matter any more."""
    chain = chain_of(batches(("x", "y"), ("", "z"), ("z", "zz")))
    assert chain.is_whole
    assert len(chain.links) == 2


def test_nothing_read_is_no_proof():
    """An empty chain is not whole."""
    assert not chain_of([]).is_whole
    assert not chain_of(batches(("", None))).is_whole


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=12), st.data())
def test_taking_a_link_away_never_goes_unnoticed(ends: list[str], data: st.DataObject):
    """Unless the cursor had stood at the same place before, so that nothing lies between."""
    places = ["", *(f"{end}{number}" for number, end in enumerate(ends))]
    moves = list(pairwise(places))
    assert chain_of(batches(*moves)).is_whole
    lost = data.draw(st.integers(0, len(moves) - 1))
    rest = moves[:lost] + moves[lost + 1 :]
    if lost < len(moves) - 1:
        assert not chain_of(batches(*rest)).is_whole


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["a", "b", "c", "d", None])), max_size=25))
def test_each_link_ends_where_the_next_one_begins(moves: list[tuple[str, str | None]]):
    """And before it in time, whatever was read; where none does, there is the hole."""
    found = chain_of(batches(("", "a"), *moves))
    assert all(one.end == other.begin and one.started_at < other.started_at for one, other in pairwise(found.links))
    assert found.links[0].begin == found.hole
    earlier = [row for row in batches(("", "a"), *moves) if row["started_at"] < found.links[0].started_at]
    assert not found.hole or found.hole not in {row["covered_to"] for row in earlier}


def test_a_year_of_links_is_followed_at_once():
    """Each step looks only at links that end where it begins, not at all of them."""
    assert len(chain_of(batches(("", "0"), *((str(n), str(n + 1)) for n in range(100_000)))).links) == 100_001
