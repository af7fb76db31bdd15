"""The reads of an entity as a table's rows. Pure: rows of `system.sync_batches` in."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from api.reads import moment
from sources.servicetitan.catalog import Feed
from sources.servicetitan.exceptions import StoppedError
from store.operations import Row

RECONCILE = "reconcile"  # as `feed` calls it
BEGINNING = ""  # where a cursor stands before the first read
TONES = {"completed": "good", "failed": "bad", "unavailable": "warn", "running": "info"}
STOPPED = str(StoppedError.__doc__)
LONG = 160  # characters of an error from which it is folded


@dataclass(frozen=True, slots=True)
class Run:
    """One read. `work` is sync, full or reconcile."""

    begun_at: datetime
    seconds: float | None  # None: it is under way, or was cut off
    work: str
    status: str
    fetched: int
    appended: int
    requests: int
    retries: int
    error: str

    @property
    def tone(self) -> str:
        """The class of its status."""
        return TONES.get(self.status, "")

    @property
    def is_long(self) -> bool:
        """Whether its error is folded."""
        return len(self.error) > LONG


def runs(rows: Iterable[Row]) -> list[Run]:
    """In the order of the rows."""
    return [run(row) for row in rows]


def run(row: Row) -> Run:
    """One of them."""
    begun, ended, error = moment(row["started_at"]), moment(row["finished_at"]), row["error"] or ""
    assert begun  # noqa: S101  the column is NOT NULL
    return Run(
        begun,
        (ended - begun).total_seconds() if ended else None,
        work(row),
        "stopped" if row["status"] == "failed" and error == STOPPED else row["status"],
        int(row["fetched"]),
        int(row["appended"]),
        int(row["requests"]),
        int(row["retries"]),
        error,
    )


def work(row: Row) -> str:
    """What a read was for. What is read whole each time is never a full read of its own."""
    if row["feed"] == RECONCILE:
        return RECONCILE
    is_full = row["covered_from"] == BEGINNING and row["covered_to"] is not None
    return "full" if is_full and row["feed"] not in {Feed.SNAPSHOT, Feed.REPORT} else "sync"
