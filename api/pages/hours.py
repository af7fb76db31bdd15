"""What reads brought and asked for in each of the last hours, as charts. Pure: rows of `reads_by_hour` in."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from api.pages.charts import Chart, Column, chart
from api.pages.look import number
from store.operations import Row

HOURS = 24
HOUR = timedelta(hours=1)
EVERY = 6  # hours between two labels
SECONDS = 3600
NEAR = 4  # a budget is drawn where the busiest hour took a quarter of it; else bars would be too low to be seen


def first_hour(now: datetime) -> datetime:
    """When the first of the hours begins, whose last is the one that runs."""
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - (HOURS - 1) * HOUR


def by_hour(rows: Iterable[Row], now: datetime) -> list[tuple[datetime, Mapping[str, int]]]:
    """All the hours, also those without a read."""
    known = {row["hour"][:10] + row["hour"][11:13]: row for row in rows}
    hours = [first_hour(now) + place * HOUR for place in range(HOURS)]
    nothing = {"fetched": 0, "appended": 0, "requests": 0}
    return [(hour, known.get(f"{hour:%Y-%m-%d%H}", nothing)) for hour in hours]


def records(rows: Iterable[Row], now: datetime) -> Chart:
    """Records that were fetched, and versions of them that were new."""
    hours = by_hour(rows, now)
    fetched, appended = (sum(int(row[name]) for _, row in hours) for name in ("fetched", "appended"))
    return chart(
        ident="records",
        title="Records per hour",
        about=f"{number(fetched)} fetched, {number(appended)} of them new or changed and appended.",
        axis="From",
        series=("fetched", "appended"),
        columns=[column(hour, int(row["fetched"]), int(row["appended"])) for hour, row in hours],
    )


def requests(rows: Iterable[Row], now: datetime, rate: float) -> Chart:
    """Requests that reads made, against what the rate allows in an hour."""
    hours, budget = by_hour(rows, now), rate * SECONDS
    busiest = max(int(row["requests"]) for _, row in hours)
    return chart(
        ident="requests",
        title="Requests per hour",
        about=(
            f"Reads took {share(busiest / budget)} of the budget of {number(budget)} requests in the busiest hour. "
            "Each counts in the hour in which it ended."
        ),
        axis="From",
        series=("requests",),
        columns=[column(hour, int(row["requests"])) for hour, row in hours],
        limit=budget if busiest * NEAR >= budget else None,
    )


def column(hour: datetime, *values: int) -> Column:
    """An hour; each sixth has its label."""
    label = f"{hour:%H:%M}" if hour.hour % EVERY == 0 else ""
    return Column(f"{hour:%Y-%m-%d %H:%M} UTC", values, label, hour)


def share(part: float) -> str:
    """A part in per cent, in words where digits would be nothing."""
    if not part:
        return "nothing"
    if part < 0.001:  # noqa: PLR2004  what would be told as nothing
        return "less than 0.1 %"
    return f"{100 * part:.1f} %"
