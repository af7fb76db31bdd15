"""When what runs by itself is due."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.exceptions import SettingsError
from store.settings import Places
from store.timetable import INTERVALS, Daily, Every, Hours, Timetable, timetable

CHICAGO, UTC_ZONE = ZoneInfo("America/Chicago"), ZoneInfo("UTC")
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  made aware
HOURS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
ZONES = st.sampled_from(["UTC", "America/Chicago", "Asia/Kathmandu", "Pacific/Apia"]).map(ZoneInfo)


def said(**settings: str) -> Timetable:
    return timetable(Places({f"LAZI_{name}": value for name, value in settings.items()}, Path("/nonexistent")))


def test_what_is_due_when_nothing_is_said():
    """Priorities at 5 and 15 minutes, 1 and 6 hours; a reconciliation at three; no quiet hours."""
    table = said()
    assert [table.interval("any", priority) for priority in (1, 2, 3, 4)] == list(INTERVALS.values())
    assert (table.reconcile, table.quiet) == (Daily(time(3), UTC_ZONE), None)


def test_priorities_and_entities_have_intervals_of_their_own():
    """Each in its unit; `off` is never."""
    table = said(SCHEDULE="1=30s, 4=off, jobs = 2m,calls=1d, job_types=OFF")
    assert table.interval("customers", 1) == timedelta(seconds=30)
    assert table.interval("tags", 2) == INTERVALS[2]
    assert table.interval("anything", 4) is None
    assert [table.interval(name, 4) for name in ("jobs", "calls", "job_types")] == [
        timedelta(minutes=2),
        timedelta(days=1),
        None,
    ]


@pytest.mark.parametrize(
    ("text", "when"),
    [("04:30", Daily(time(4, 30), CHICAGO)), ("every 24m", Every(timedelta(minutes=24))), ("off", None)],
)
def test_a_reconciliation_is_daily_or_at_an_interval(text: str, when: object):
    """In the tenant's time zone."""
    assert said(RECONCILE=text, TIME_ZONE="America/Chicago").reconcile == when


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"SCHEDULE": "1"}, "`1`"),
        ({"SCHEDULE": "5=1m"}, "from 1 to 4"),
        ({"SCHEDULE": "1=0s"}, "`0s`"),
        ({"SCHEDULE": "1=5"}, "`5`"),
        ({"SCHEDULE": "jobs=999999999d"}, "366d"),
        ({"SCHEDULE": "=1m"}, "`=1m`"),
        ({"RECONCILE": "25:00"}, "`25:00`"),
        ({"RECONCILE": "every day"}, "`day`"),
        ({"QUIET_HOURS": "22:00"}, "`22:00`"),
        ({"QUIET_HOURS": "5:00-05:00"}, "two different hours"),
        ({"TIME_ZONE": "Chicago"}, "America/New_York"),
        ({"TIME_ZONE": "../etc/passwd"}, "America/New_York"),
    ],
)
def test_what_is_not_allowed_is_said_with_what_is(settings: dict[str, str], value: str):
    """The setting, the value, what is allowed, and where it stands."""
    with pytest.raises(SettingsError) as error:
        said(**settings)
    assert value in str(error.value)
    assert f"LAZI_{next(iter(settings))}" in str(error.value)


@given(MOMENTS, HOURS, ZONES)
def test_a_daily_duty_is_due_once_a_day(moment: datetime, hour: time, zone: ZoneInfo):
    """Later than the moment, within two days (a zone may skip one), and at its hour unless the clock skips that."""
    due = Daily(hour, zone).after(moment)
    assert moment < due <= moment + timedelta(hours=49)
    local = due.astimezone(zone)
    assert local.time() == hour or datetime.combine(local.date(), hour, zone).astimezone(UTC) == due


@given(MOMENTS, HOURS, HOURS, ZONES)
def test_quiet_hours_end(moment: datetime, begin: time, end: time, zone: ZoneInfo):
    """When they end, they no longer hold; the hours and those between them share the day."""
    if begin == end:
        return
    quiet, rest = Hours(begin, end, zone), Hours(end, begin, zone)
    assert quiet.holds(moment) != rest.holds(moment)
    if quiet.holds(moment):
        assert quiet.over(moment) > moment


def test_hours_over_midnight():
    """From ten in the evening to half past five."""
    quiet = said(QUIET_HOURS="22:00-05:30", TIME_ZONE="America/Chicago").quiet
    assert quiet
    at = {
        hour: datetime(2026, 7, 1, *hour, tzinfo=CHICAGO).astimezone(UTC)
        for hour in ((21, 59), (22, 0), (5, 29), (5, 30))
    }
    assert [quiet.holds(moment) for moment in at.values()] == [False, True, True, False]
    assert quiet.over(at[22, 0]).astimezone(CHICAGO) == datetime(2026, 7, 2, 5, 30, tzinfo=CHICAGO)


QUIET = st.builds(Hours, HOURS, HOURS, ZONES).filter(lambda hours: hours.begin != hours.end)


@given(hours=QUIET, begin=MOMENTS, minutes=st.integers(0, 4 * 24 * 60))
def test_quiet_time_within_a_span_is_counted_by_the_minute(hours: Hours, begin: datetime, minutes: int):
    """As many minutes as there are moments that the hours hold; what is left is awake."""
    begin = begin.replace(second=0, microsecond=0)
    end = begin + timedelta(minutes=minutes)
    held = sum(hours.holds(begin + timedelta(minutes=minute)) for minute in range(minutes))
    assert hours.between(begin, end) == timedelta(minutes=held)
    assert Timetable(quiet=hours).awake(begin, end) == timedelta(minutes=minutes - held)


def test_quiet_hours_end_once_more_where_clocks_are_set_back():
    """In the second of two such hours they end at its own end, not on the next day."""
    hours = Hours(time(22), time(1, 30), ZoneInfo("America/New_York"))
    second = datetime(2026, 11, 1, 6, 10, tzinfo=UTC)  # 01:10 for the second time
    assert hours.holds(second)
    assert hours.over(second) == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
