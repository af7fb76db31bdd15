"""How fresh each entity is, by module and priority. Pure: rows of `last_reads` in, cells out.

An entity is late where `alarms/checks.py` would call it stale: it was last read more intervals ago than `LAZI_ALARMS` allows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from api.reads import moment
from sources.servicetitan.catalog import Entity
from store.operations import Row
from store.timetable import Timetable


class Freshness(StrEnum):
    """How an entity is."""

    FRESH = "fresh"
    LATE = "late"
    FAILING = "failing"  # its last read failed
    UNAVAILABLE = "unavailable"  # ServiceTitan does not open it to this tenant
    NEVER = "never"  # read


MARKS = dict(zip(Freshness, ("\N{BULLET}", "L", "F", "U", "N"), strict=True))
"""What tells them apart where colours do not."""


@dataclass(frozen=True, slots=True)
class Cell:
    """An entity: how it is, when it was last read, and when it was last tried if that came to nothing."""

    name: str
    freshness: Freshness
    read_at: datetime | None = None
    tried_at: datetime | None = None
    often: timedelta | None = None

    @property
    def mark(self) -> str:
        """A letter or a dot."""
        return MARKS[self.freshness]


@dataclass(frozen=True, slots=True)
class Grid:
    """Cells by module and priority; `intervals` are those of the priorities."""

    priorities: tuple[int, ...]
    intervals: Mapping[int, timedelta | None]
    modules: Mapping[str, Mapping[int, Sequence[Cell]]]

    @property
    def cells(self) -> list[Cell]:
        """All of them."""
        return [cell for by_priority in self.modules.values() for cells in by_priority.values() for cell in cells]

    @property
    def counts(self) -> dict[Freshness, int]:
        """How many are how."""
        found = Counter(cell.freshness for cell in self.cells)
        return {freshness: found[freshness] for freshness in Freshness}


def grid(entities: Sequence[Entity], rows: Iterable[Row], table: Timetable, limit: float, now: datetime) -> Grid:
    """Every entity in its place; `limit` is the number of intervals after which it is late."""
    known = {row["entity"]: row for row in rows}
    priorities = tuple(sorted({entity.priority for entity in entities}))
    modules = {
        module: {
            priority: [
                cell(entity, known.get(entity.name, {}), table, limit, now)
                for entity in entities
                if (entity.module, entity.priority) == (module, priority)
            ]
            for priority in priorities
        }
        for module in sorted({entity.module for entity in entities})
    }
    return Grid(priorities, table.priorities, modules)


def cell(entity: Entity, row: Row, table: Timetable, limit: float, now: datetime) -> Cell:
    """An entity of which this is known."""
    completed, unavailable, failed = (moment(row.get(f"{word}_at")) for word in ("completed", "unavailable", "failed"))
    often = table.interval(entity.name, entity.priority)
    answered = max((at for at in (completed, unavailable) if at), default=None)
    if failed and (answered is None or failed > answered):
        return Cell(entity.name, Freshness.FAILING, completed, failed, often)
    if answered is None:
        return Cell(entity.name, Freshness.NEVER, often=often)
    if often and table.awake(answered, now) / often > limit:
        return Cell(entity.name, Freshness.LATE, completed, answered, often)
    if answered is unavailable:
        return Cell(entity.name, Freshness.UNAVAILABLE, completed, answered, often)
    return Cell(entity.name, Freshness.FRESH, completed, often=often)
