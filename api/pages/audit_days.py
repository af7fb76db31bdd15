"""How much changed on each of the last days, as a chart.

A record's first version is no change, unless it was made from here or is what is asked for: a first sync would dwarf
everything else.
`audit.daily_summary` counts the same, but as a view over the whole log; here PostgreSQL reads 30 days of it by an index.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from api.pages.audit_filters import Conditions, within
from api.pages.charts import Chart, Column, chart
from api.pages.look import number
from api.query import MARKS
from api.steps import Steps
from store.looped import Plan, Question

DAYS = 30
EVERY = 7  # days between two labels
BEHIND = 7  # days that are shown behind one that is long ago
ON_DAY = "CAST((a.synced_at AT TIME ZONE 'UTC') AS DATE)"
COUNTED = f"""
SELECT {ON_DAY}, COUNT(*), SUM(CASE WHEN a.actor_type = 'lazi' THEN 1 ELSE 0 END)
FROM audit.log AS a
WHERE {{where}}
GROUP BY {ON_DAY}
"""
IS_CHANGE = "(a.operation <> 'insert' OR a.actor_type = 'lazi')"
Counts = Mapping[date, tuple[int, int]]


def last_day(today: date, day: date | None) -> date:
    """The last day of the chart: today, unless the day that is asked for is too long ago to be among those before."""
    if day is None or day > today - timedelta(days=DAYS):
        return today
    return day + timedelta(days=BEHIND)


def days(dialect: str, found: Conditions, given: Mapping[str, Any]) -> Steps[Chart]:
    """The chart of what the filters find, the day apart."""
    day, counts_first = given.get("day"), given.get("operation") == "insert"
    last = last_day(datetime.now(UTC).date(), day)
    first = last - timedelta(days=DAYS - 1)
    asked = within(found if counts_first else found.and_(IS_CHANGE), first, last)
    query = COUNTED.format(where=asked.where).format(mark=MARKS[dialect])
    rows = yield Question(query, asked.values, Plan.OWN)
    note = "" if counts_first else " Records that were first seen are not counted."
    return drawn({on: (int(every), int(ours)) for on, every, ours in rows}, first, day, note)


def drawn(counts: Counts, first: date, day: date | None, note: str = "") -> Chart:
    """The chart of these counts; days without any change are there too."""
    every = [first + timedelta(days=number) for number in range(DAYS)]
    return chart(
        ident="days",
        title="Changes a day",
        about=about(counts, every[0], every[-1]) + note,
        axis="Day (UTC)",
        series=("changes", "through ST-LAZI"),
        columns=[column(each, counts.get(each, (0, 0)), day, (every[-1] - each).days) for each in every],
    )


def about(counts: Counts, first: date, last: date) -> str:
    """What the chart shows, in words."""
    total, ours = (sum(values[place] for values in counts.values()) for place in (0, 1))
    return f"{number(total)} change{'s' * (total != 1)} from {first} to {last}, {number(ours)} through ST-LAZI."


def column(day: date, values: tuple[int, int], asked: date | None, before: int) -> Column:
    """A day, so many `before` the last: each seventh has its label, or where one is asked for that one alone."""
    is_labelled = day == asked if asked else before % EVERY == 0
    return Column(f"{day:%Y-%m-%d}", tuple(map(float, values)), f"{day:%b} {day.day}" if is_labelled else "")
