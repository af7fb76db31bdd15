"""How an entity stands: what is under way, what is asked for, and when it is read next. Pure: rows of the store in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.pages.entity_runs import RECONCILE
from api.pages.look import seconds
from api.reads import moment
from sources.servicetitan.catalog import Entity
from store.operations import Row
from store.timetable import Daily, Every, Timetable

PATIENCE = timedelta(minutes=1)  # after which a wish that nobody takes up is a matter for somebody
CLOCK = "%H:%M"


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish. `begun_at` is when a read began behind it that may grant it; `is_late`: nobody took it up for long."""

    work: str
    at: datetime
    begun_at: datetime | None
    is_late: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """The turn that reads an entity, as it went last and comes next; `begun_at` while it is under way, or was cut off."""

    begun_at: datetime | None
    ended_at: datetime | None
    due_at: datetime
    error: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A read that is under way, or was cut off."""

    begun_at: datetime
    is_reconciliation: bool


def readings(rows: Iterable[Row], entity: str) -> list[Reading]:
    """An entity's, of all that are under way."""
    return [
        Reading(begun, row["feed"] == RECONCILE)
        for row in rows
        if row["entity"] == entity and (begun := moment(row["started_at"]))
    ]


def asked(rows: Iterable[Row], under_way: Sequence[Reading], now: datetime) -> list[Asked]:
    """The wishes of an entity."""
    found = []
    for row in rows:
        at = moment(row["wished_at"])
        assert at  # noqa: S101  the column is NOT NULL
        behind = [one.begun_at for one in under_way if fits(one, row["work"]) and one.begun_at >= at]
        found.append(Asked(row["work"], at, max(behind, default=None), not under_way and now - at > PATIENCE))
    return found


def fits(reading: Reading, work: str) -> bool:
    """Whether a read may be the one that was asked for."""
    return reading.is_reconciliation == (work == RECONCILE)


def turn(rows: Sequence[Row]) -> Turn | None:
    """The turn that the store has; None before the schedule first ran."""
    if not rows:
        return None
    begun, ended, due = (moment(rows[0][name]) for name in ("begun_at", "ended_at", "due_at"))
    assert due  # noqa: S101  the column is NOT NULL
    is_over = begun is None or (ended is not None and ended >= begun)
    return Turn(None if is_over else begun, ended, due, rows[0]["error"] or "")


def rhythm(table: Timetable, entity: Entity) -> timedelta | None:
    """How often it is read by itself; None: never."""
    return table.interval(entity.name, entity.priority)


def nightly(table: Timetable) -> str:
    """When all is reconciled, in words."""
    match table.reconcile:
        case None:
            return "never by itself"
        case Daily(hour, zone):
            return f"each day at {hour.strftime(CLOCK)} {zone.key}"
        case Every(interval):
            return f"every {seconds(interval)}"


def quiet(table: Timetable) -> str:
    """The hours in which no turn begins, in words; empty where there are none."""
    hours = table.quiet
    return f"{hours.begin.strftime(CLOCK)} to {hours.end.strftime(CLOCK)} {hours.zone.key}" if hours else ""
