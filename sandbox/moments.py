"""When things happened, by the field's name, counted from the moment that the record was made."""

from collections.abc import Callable

from sandbox import clock
from sandbox.row import Row

PLANNED = frozenset(
    {
        "dueDate",
        "end",
        "endDate",
        "to",
        "nextScheduledBillDate",
        "followUpDate",
        "followUpOn",
        "requiredOn",
        "completeBy",
    }
)
"""What may lie ahead."""

HOURS: dict[str, tuple[int, int]] = {
    "from": (0, 1),
    "start": (1, 47),
    "startDate": (0, 24),
    "startTime": (0, 8),
    "startedOn": (0, 8),
    "dispatchedOn": (1, 2),
    "arrivedOn": (3, 2),
    "doneOn": (5, 6),
    "end": (49, 6),
    "endTime": (9, 3),
    "endedOn": (9, 5),
    "to": (24 * 365, 1),
    "endDate": (24 * 365, 1),
    "dueDate": (24 * 30, 1),
    "nextScheduledBillDate": (24 * 30, 24 * 300),
    "manufacturerWarrantyEnd": (24 * 365, 24),
    "serviceProviderWarrantyEnd": (24 * 365, 24),
}
"""At least so many hours later, and up to so many more."""
USUAL = (0, 72)

DATES = frozenset({"from", "to", "date", "startDate", "endDate", "dueDate", "billDate", "postDate", "depositDate"})
"""Days of the wall clock, sent as midnights."""


def moment(name: str, form: str) -> Callable[[Row, int], str]:
    """How to make the moment in a field of this name: a `date` or a `date-time`."""
    least, more = HOURS.get(name, USUAL)
    write = clock.date if form == "date" else clock.midnight if name in DATES else clock.stamp

    def make(row: Row, grain: int) -> str:
        when = row.created + least * clock.HOUR + row.chance(more * clock.HOUR, grain)
        return write(when if name in PLANNED else row.business.capped(when, row.number))

    return make


def duration(row: Row, grain: int) -> str:
    """`01:30:00`."""
    return f"{row.chance(9, grain) + 1:02}:{row.chance(4, grain) * 15:02}:00"
