"""Slices of dates on a fixed grid, so that a slice that is read again is the same slice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sources.servicetitan.catalog import Window

BEGINNING = datetime(2018, 1, 1, tzinfo=UTC)
MONTHS = 12


def start_of(window: Window, moment: datetime) -> datetime:
    """Where the slice begins that holds a moment."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if not window.days:
        return day.replace(day=1)
    return day - timedelta(days=(day - BEGINNING).days % window.days)


def next_start(window: Window, start: datetime) -> datetime:
    """Where the slice behind the one at `start` begins."""
    if window.days:
        return start + timedelta(days=window.days)
    year, month = divmod(start.year * MONTHS + start.month, MONTHS)
    return start.replace(year=year, month=month + 1)


def slices(window: Window, since: datetime | None, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end of each slice from the one that holds `since` (the first one when None) to the last before the end.

    What has no history begins with the slice of now at each read: what is past there is of no use any more.
    """
    begin = (since or BEGINNING) if window.is_history else now
    start, end = start_of(window, begin), now + timedelta(days=window.ahead)
    while start < end:
        yield start, next_start(window, start)
        start = next_start(window, start)
