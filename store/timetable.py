"""When what runs by itself is due: intervals, an hour of the day, quiet hours. Pure: moments are arguments, in UTC."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from store.setting import AT_ONCE
from store.settings import (
    QUIET_HOURS,
    RECONCILE,
    SCHEDULE,
    TIME_ZONE,
    Places,
    Setting,
    malformed,
    whole_number,
)

INTERVALS = {1: timedelta(minutes=5), 2: timedelta(minutes=15), 3: timedelta(hours=1), 4: timedelta(hours=6)}
"""By priority, where nothing else is said."""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=366)
LONGEST_SPAN = timedelta(days=60)
INTERVAL = re.compile(r"(\d{1,9})\s*([smhd])")
HOUR = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
OFF = "off"
UTC_ZONE = ZoneInfo("UTC")
PAST_MIDNIGHT = time(0, 1)


@dataclass(frozen=True, slots=True)
class Every:
    """Once an interval."""

    interval: timedelta

    def after(self, moment: datetime) -> datetime:
        """The next time behind a moment at which it was done."""
        return moment + self.interval


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at an hour of a place; on a day that skips the hour, behind the gap."""

    hour: time
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """The next time behind a moment."""
        today = moment.astimezone(self.zone).date()
        due, tomorrow = (
            datetime.combine(today + timedelta(days=days), self.hour, self.zone).astimezone(UTC) for days in (0, 1)
        )
        return due if due > moment else tomorrow


When = Every | Daily


@dataclass(frozen=True, slots=True)
class Hours:
    """From an hour of each day to another one, over midnight where the second is the earlier."""

    begin: time
    end: time
    zone: ZoneInfo

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is within."""
        now = moment.astimezone(self.zone).time()
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def over(self, moment: datetime) -> datetime:
        """When the hours that hold a moment end; where clocks are set back, at the second of two such hours if need be."""
        again = (
            datetime.combine(moment.astimezone(self.zone).date(), self.end, self.zone).replace(fold=1).astimezone(UTC)
        )
        first = Daily(self.end, self.zone).after(moment)
        return min(first, again) if again > moment else first

    def between(self, begin: datetime, end: datetime) -> timedelta:
        """How much of a span they take, of its last days."""
        begin = max(begin, end - LONGEST_SPAN)
        total, moment = timedelta(), begin
        while moment < end:
            if self.holds(moment):
                over = min(self.over(moment), end)
                total += over - moment
            else:
                over = min(Daily(self.begin, self.zone).after(moment), end)
            moment = over
        return total


MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Timetable:
    """What is due when. `own` are entities with an interval of their own; None: never by itself."""

    priorities: Mapping[int, timedelta | None] = field(default_factory=lambda: dict(INTERVALS))
    own: Mapping[str, timedelta | None] = field(default_factory=dict)
    reconcile: When | None = None
    quiet: Hours | None = None
    zone: ZoneInfo = UTC_ZONE
    at_once: int = 16  # duties of one process

    def awake(self, begin: datetime, end: datetime) -> timedelta:
        """How much of a span is not in quiet hours."""
        return end - begin - (self.quiet.between(begin, end) if self.quiet else timedelta())

    @property
    def midnight(self) -> Daily:
        """When a new day has begun for the tenant."""
        return Daily(PAST_MIDNIGHT, self.zone)

    def interval(self, entity: str, priority: int) -> timedelta | None:
        """How often an entity is read; None: never by itself."""
        return self.own[entity] if entity in self.own else self.priorities[priority]

    def duty(self, entity: str, priority: int) -> str:
        """What reads an entity by itself, as `system.turns` calls it."""
        return f"sync {entity}" if entity in self.own else f"sync priority {priority}"


def timetable(places: Places | None = None) -> Timetable:
    """What the settings say. Raises SettingsError."""
    places = places or Places()
    zone = zone_named(places.text(TIME_ZONE))
    priorities, own = intervals(places.text(SCHEDULE))
    return Timetable(
        priorities,
        own,
        reconcile_when(places.text(RECONCILE), zone),
        hours(places.text(QUIET_HOURS), zone),
        zone,
        whole_number(AT_ONCE, places.text(AT_ONCE), 1, MOST_AT_ONCE),
    )


def zone_named(name: str) -> ZoneInfo:
    """The time zone of this name. Raises SettingsError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise malformed(TIME_ZONE, name, "a name of the time zone database such as `America/New_York`") from None


def intervals(text: str) -> tuple[dict[int, timedelta | None], dict[str, timedelta | None]]:
    """Intervals by priority and by entity, of `1=2m, jobs=30s, 4=off`. Raises SettingsError."""
    priorities, own = dict[int, timedelta | None](INTERVALS), dict[str, timedelta | None]()
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not (name and equals):
            raise malformed(SCHEDULE, part, "`priority=interval` or `entity=interval`, with commas between")
        often = None if value.lower() == OFF else interval(SCHEDULE, value)
        if name.isdigit() and int(name) not in INTERVALS:
            raise malformed(
                SCHEDULE, part, f"a priority from {min(INTERVALS)} to {max(INTERVALS)}, or an entity's name"
            )
        if name.isdigit():
            priorities[int(name)] = often
        else:
            own[name] = often
    return priorities, own


def interval(setting: Setting, text: str) -> timedelta:
    """`30s`, `5m`, `2h` or `1d`. Raises SettingsError."""
    found = INTERVAL.fullmatch(text.lower())
    often = timedelta(**{UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < often <= LONGEST:
        raise malformed(setting, text, f"a number and one of s, m, h and d, up to {LONGEST.days}d, or `{OFF}`")
    return often


def reconcile_when(text: str, zone: ZoneInfo) -> When | None:
    """`03:00` each day, `every 12h`, or `off`. Raises SettingsError."""
    if text.lower() == OFF:
        return None
    if text.lower().startswith("every "):
        return Every(interval(RECONCILE, text[len("every ") :].strip()))
    if HOUR.fullmatch(text):
        return Daily(hour(text), zone)
    raise malformed(RECONCILE, text, f"an hour such as `03:00`, `every 12h`, or `{OFF}`")


def hours(text: str, zone: ZoneInfo) -> Hours | None:
    """`22:00-05:30`, or nothing. Raises SettingsError."""
    if not text:
        return None
    begin, _, end = (each.strip() for each in text.partition("-"))
    if not (HOUR.fullmatch(begin) and HOUR.fullmatch(end)) or hour(begin) == hour(end):
        raise malformed(QUIET_HOURS, text, "two different hours such as `22:00-05:30`")
    return Hours(hour(begin), hour(end), zone)


def hour(text: str) -> time:
    """An hour of `HOUR`'s shape."""
    hours, _, minutes = text.partition(":")
    return time(int(hours), int(minutes))
