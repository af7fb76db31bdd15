"""Versions in time: what is new, what is there, what repeats, and which one master shows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.legacy.timeline import Entry, Timeline, Verdict, micros

DAY = datetime(2024, 1, 1, tzinfo=UTC)


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_of_rows_in_order_those_land_that_differ_from_the_one_before(hashes: Sequence[str]) -> None:
    """Landed are the changes, and all of them are found again by a second pass."""
    line = Timeline()
    for at, hash_ in enumerate(hashes):
        if line.judge(at, hash_) is Verdict.NEW:
            line.add(Entry(at, hash_, None))
    changes = [(at, hash_) for at, hash_ in enumerate(hashes) if not at or hashes[at - 1] != hash_]
    assert [(entry.at, entry.hash) for entry in line.entries] == changes
    again = [line.judge(at, hash_) for at, hash_ in enumerate(hashes)]
    assert again == [Verdict.THERE if (at, hash_) in changes else Verdict.REPEAT for at, hash_ in enumerate(hashes)]


def test_our_own_versions_count_as_the_ones_before() -> None:
    """What was read here already is not landed once more; what lies before it is."""
    line = Timeline.of([Entry(10, "x", None)])
    assert line.judge(20, "x") is Verdict.REPEAT
    assert line.judge(5, "x") is Verdict.NEW
    assert line.judge(10, "y") is Verdict.NEW


@given(st.lists(st.tuples(st.integers(0, 50), st.none() | st.integers(0, 5)), min_size=1, unique_by=lambda one: one[0]))
def test_master_shows_the_version_that_was_read_last(versions: list[tuple[int, int | None]]) -> None:
    """Whatever order versions are fitted in and whatever they say of their modification, the last one read is shown."""
    line = Timeline()
    for at, day in sorted(versions):
        modified = None if day is None else DAY + timedelta(days=day)
        line.add(Entry(at, str(at), line.fitted(at, modified)))
    shown = max(line.entries, key=lambda entry: (entry.modified_on or datetime.min.replace(tzinfo=UTC), entry.at))
    assert shown == line.entries[-1]


def test_an_older_version_does_not_go_over_one_that_was_read_here_later() -> None:
    """History that says it was modified later than our own, later word of the record stays behind it."""
    line = Timeline.of([Entry(10, "ours", DAY)])
    assert line.fitted(5, DAY + timedelta(days=3)) == DAY
    assert line.fitted(15, DAY + timedelta(days=3)) == DAY + timedelta(days=3)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_microseconds_are_exact(moment: datetime) -> None:
    """No moment loses a microsecond on its way to a number."""
    utc = moment.replace(tzinfo=UTC)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros(utc)) == utc
