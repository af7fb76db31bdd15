"""Moments as ServiceTitan writes them: UTC with seven-digit fractions, counted here in ticks of 100 nanoseconds.

A tick count sorts as its text does, so that filters and feeds compare integers only.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

SECOND = 10_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIDNIGHT = "00:00:00Z"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<time>\d{2}:\d{2}(?::\d{2})?)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


@cache
def date_text(day: int) -> str:
    """The ISO date of a day counted from 1970-01-01."""
    return (EPOCH + timedelta(days=day)).date().isoformat()


def stamp(ticks: int) -> str:
    """`2026-01-02T16:28:55.8446003Z`."""
    day, rest = divmod(ticks, DAY)
    second, fraction = divmod(rest, SECOND)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{date_text(day)}T{hour:02}:{minute:02}:{second:02}.{fraction:07}Z"


def midnight(ticks: int) -> str:
    """The day of a moment as ServiceTitan writes wall-clock dates: `2026-01-02T00:00:00Z`."""
    return f"{date_text(ticks // DAY)}T{MIDNIGHT}"


def date(ticks: int) -> str:
    """`2026-01-02`."""
    return date_text(ticks // DAY)


def ticks(moment: datetime) -> int:
    """Ticks since 1970 of an aware moment."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 10


def moment(ticks: int) -> datetime:
    """The moment of a tick count, cut to microseconds."""
    return EPOCH + timedelta(microseconds=ticks // 10)


def parse(text: str) -> int:
    """Ticks of a date or an ISO 8601 moment; no zone means UTC.

    A space before the zone's digits stands for a plus sign that was not percent-encoded. Raises ValueError.
    """
    found = MOMENT.fullmatch(re.sub(r" (?=\d{2}:?\d{2}$)", "+", text) if "T" in text else text)
    if not found:
        raise ValueError(f"`{text}` is not a date or an ISO 8601 moment.")
    clock_time, zone = found["time"] or "00:00", (found["zone"] or "Z").upper().replace("Z", "+00:00")
    whole = ticks(datetime.fromisoformat(f"{found['date']}T{clock_time}{zone}"))
    return whole + int((found["fraction"] or "0").ljust(7, "0")[:7])


class Clock:
    """The sandbox's time: the machine's, or one that starts at a given moment and goes on from there."""

    def __init__(self, today: datetime | None = None, elapsed: Callable[[], float] = time.monotonic) -> None:
        """`today` without a zone is UTC; `elapsed` gives seconds and never goes back."""
        self.start = ticks(today if today and today.tzinfo else today.replace(tzinfo=UTC)) if today else None
        self.elapsed = elapsed
        self.began = elapsed()

    def now(self) -> int:
        """Ticks since 1970."""
        if self.start is None:
            return time.time_ns() // 100
        return self.start + int((self.elapsed() - self.began) * SECOND)

    def horizon(self) -> int:
        """The midnight before now: no seeded record is younger, so that a seed gives the same data all day."""
        return self.now() // DAY * DAY
